"""A whole gateway on this machine: nginx with njs, a registry and the password check, as rendered.

The programs are Debian's packages, unpacked (see the Makefile); REGFLEET_NGINX and
REGFLEET_REGISTRY_BINARY name others.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import pytest
from making import registry as make_registry

from regfleet import htpasswd
from regfleet.fleet.registries import Gateway, Member, PasswordSource, Project, Registry, User
from regfleet.gateway import files, nginx
from regfleet.gateway.places import behind
from regfleet.gateway.upstreams import Upstreams
from regfleet.materials import RegistryMaterial
from regfleet.pki import tokens
from regfleet.pki.authority import new_authority
from regfleet.pki.certificates import server_pair
from regfleet.runtimes import configuration
from regfleet.secret import Secret
from regfleet.state import StateDirectory

BUILD = Path(__file__).resolve().parents[3] / ".build"
MODULE = "usr/lib/nginx/modules/ngx_http_js_module.so"
PASSWORDS = {name: f"{name}-password" for name in ("root", "alice", "bob", "carol", "dave")}
PROJECTS = (
    Project(
        "team-a",
        members=(Member("alice", "developer"), Member("bob", "guest"), Member("carol", "admin")),
    ),
    Project("team-a/secret", members=(Member("carol", "admin"),)),
    Project("team-b", members=(Member("dave", "developer"),)),
    Project("open", public=True, members=(Member("alice", "developer"),)),
)


def program(variable, place, name):
    found = os.environ.get(variable) or (str(BUILD / place) if (BUILD / place).exists() else None)
    found = found or shutil.which(name)
    if not found:
        pytest.skip(f"no {name}: `make test` unpacks it, or set {variable}")
    return found


def put(path, content):
    """At once: a program that starts meanwhile may read it."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class Stand:
    """A running gateway with what is behind it.

    Attributes:
        source: where passwords come from, which decides how costly their hashes are.
        changes: of the registry's declaration.
        others: places of further instances, which nothing here starts.
    """

    directory: Path
    nginx: str
    registry_program: str
    port: int = field(default_factory=free_port)
    passwords: dict = field(default_factory=lambda: dict(PASSWORDS))
    source: str = "generate"
    changes: dict = field(default_factory=dict)
    others: tuple = ()
    processes: dict = field(default_factory=dict)

    def __post_init__(self):
        self.state = StateDirectory(self.directory / "state")
        self.authority = new_authority("test", datetime.now(timezone.utc))
        self.places = behind(self.port)

    @property
    def declared(self) -> Registry:
        settings = {
            "hosts": (),
            "users": tuple(User(name, PasswordSource("env", name)) for name in self.passwords),
            "admins": ("root",),
            "projects": PROJECTS,
            "gateway": Gateway("nginx:stable"),
            **self.changes,
        }
        return make_registry(endpoint=f"localhost:{self.port}", **settings)

    @property
    def material(self):
        now = datetime.now(timezone.utc)
        kinds = dict.fromkeys(self.passwords, self.source)
        users = {name: Secret(password) for name, password in self.passwords.items()}
        pair = server_pair(
            self.state, self.declared, authority=lambda: self.authority, now=now, save=True
        )
        return RegistryMaterial(
            pair=pair,
            ca=self.authority.certificate_pem,
            htpasswd=htpasswd.for_registry(self.state, "main", users, kinds, save=True),
            http_secret=Secret("x" * 48),
            passwords=users,
            tokens=tokens.token_keys(self.state, "main", now, save=True),
        )

    def front(self, temporary):
        module = Path(self.nginx).parents[2] / MODULE
        return nginx.Front(
            name="main",
            home=str(self.directory / "gateway"),
            temporary=str(temporary),
            user="root" if os.geteuid() == 0 else "nobody",
            places=self.places,
            instances=Upstreams(self.places.registry, self.others),
            port=self.port,
            tls=self.declared.tls.source != "none",
            module=str(module),
        )

    def write(self):
        """All files as they are to be now."""
        (self.directory / "registry").mkdir(exist_ok=True)
        (self.directory / "gateway").mkdir(exist_ok=True)
        temporary = self.directory / "temporary"
        temporary.mkdir(exist_ok=True)
        material, declared = self.material, self.declared
        home = str(self.directory / "registry")
        texts = {
            "config.yml": configuration.render(
                declared,
                material,
                home,
                storage=str(self.directory / "images"),
                listen=self.places.registry,
            ),
            "users.yml": configuration.render_users(declared, material, home, self.places.users),
            "tokens.crt": material.tokens.bundle_pem.decode(),
            "htpasswd": material.htpasswd,
        }
        for name, text in texts.items():
            put(self.directory / "registry" / name, text.encode())
        self.needs = files.needs(
            declared, material, self.front(temporary), str(self.directory / "gateway")
        )
        for file in self.needs.files:
            put(Path(file.path), file.content)

    def start(self, name, *command, **environment):
        log = self.directory / f"{name}.log"
        environment = {"OTEL_TRACES_EXPORTER": "none", **environment}  # what 3.0.0 wants
        with log.open("ab") as out:
            self.processes[name] = subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, **environment}
            )

    def start_registry(self):
        config = self.directory / "registry" / "config.yml"
        self.start("registry", self.registry_program, "serve", str(config))

    def start_users(self):
        config = self.directory / "registry" / "users.yml"
        self.start("users", self.registry_program, "serve", str(config), GOMAXPROCS="1")

    def start_nginx(self):
        conf = str(self.directory / "gateway" / "nginx.conf")
        self.start("nginx", self.nginx, "-e", "stderr", "-c", conf)

    def run(self):
        self.write()
        self.start_registry()
        self.start_users()
        self.start_nginx()
        self.wait()
        return self

    def reload(self):
        self.write()
        self.hang_up()
        self.wait()

    def hang_up(self):
        """Nginx takes up its files; none of its workers of before takes connections any more."""
        before = self.workers()
        self.processes["nginx"].send_signal(signal.SIGHUP)
        for _ in range(1200):
            if not before & self.workers():
                return
            time.sleep(0.05)
        raise AssertionError(self.log("nginx"))

    def workers(self):
        """The workers that take connections: the others say that they are shutting down."""
        asked = ["pgrep", "-P", str(self.processes["nginx"].pid), "-f", "worker process$"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        return {*done.stdout.split()}

    def wait(self):
        """Until the gateway works, with the files as they are now."""
        for _ in range(800):  # the machine may be busy
            with contextlib.suppress(OSError):
                if self.ask("GET", self.needs.ready).status == 200:
                    return
            assert self.processes["nginx"].poll() is None, self.log("nginx")
            time.sleep(0.05)
        raise AssertionError(self.log("nginx") + self.log("registry") + self.log("users"))

    def end(self, name, how=signal.SIGKILL):
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait()

    def stop(self):
        for name in list(self.processes):
            # Its workers would stay, were the master killed.
            self.end(name, signal.SIGTERM if name == "nginx" else signal.SIGKILL)

    def log(self, name):
        return (self.directory / f"{name}.log").read_text(errors="replace")

    # ---- a client ----

    def ask(self, method, path, *, user=None, password=None, token=None, body=None, **headers):
        """One request on a connection of its own, exactly as the path is spelled."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if user is not None:
            password = self.passwords.get(user) if password is None else password
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            fields["Authorization"] = f"Basic {pair}"
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        if self.declared.tls.source == "none":
            connection = http.client.HTTPConnection("localhost", self.port, timeout=60)
        else:
            connection = http.client.HTTPSConnection(
                "localhost", self.port, context=self.trust(), timeout=60
            )
        try:
            connection.putrequest(
                method, path, skip_host="Host" in fields, skip_accept_encoding=True
            )
            content = body if isinstance(body, bytes) else (body or "").encode()
            if content or method in ("POST", "PUT", "PATCH"):
                fields.setdefault("Content-Length", str(len(content)))
            for name, value in fields.items():
                connection.putheader(name, value)
            connection.endheaders(content or None)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def trust(self):
        context = ssl.create_default_context(cadata=self.authority.certificate_pem.decode())
        context.check_hostname = True
        return context

    def token(self, *scopes, user=None, password=None, **headers):
        query = "&".join(f"scope={scope}" for scope in scopes)
        answer = self.ask("GET", f"/auth/token?{query}", user=user, password=password, **headers)
        assert answer.status == 200, answer
        return answer.json["token"]

    def upload(self, repository, content=b"x", **who):
        """Push a blob; the answer that ended it, for good or ill."""
        begun = self.ask("POST", f"/v2/{repository}/blobs/uploads/", **who)
        if begun.status != 202:
            return begun
        where = begun.headers["Location"]
        where = where.partition(f":{self.port}")[2] or where
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        mark = "&" if "?" in where else "?"
        return self.ask("PUT", f"{where}{mark}digest={digest}", body=content, **who)

    def push(self, repository, tag="1", **who):
        """Push an image of one layer; the answer of the last request."""
        layers = []
        for content in (b"{}", f"{repository}:{tag}".encode()):
            done = self.upload(repository, content, **who)
            if done.status != 201:
                return done
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            layers.append(
                {"digest": digest, "size": len(content), "mediaType": "application/octet-stream"}
            )
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": layers[0],
            "layers": layers[1:],
        }
        return self.ask(
            "PUT",
            f"/v2/{repository}/manifests/{tag}",
            body=json.dumps(manifest),
            Content_Type=kind,
            **who,
        )

    def pull(self, repository, tag="1", **who):
        kind = "application/vnd.oci.image.manifest.v1+json"
        return self.ask("GET", f"/v2/{repository}/manifests/{tag}", Accept=kind, **who)


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def said(self):
        """The message of the first error."""
        return self.json["errors"][0]["message"]
