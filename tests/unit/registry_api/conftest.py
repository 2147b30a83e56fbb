"""A real registry on a free port of this machine; skipped where there is no binary.

Debian's package docker-registry has one; REGFLEET_REGISTRY_BINARY names another. A real sshd to
tunnel through, likewise (REGFLEET_SSHD).
"""

import hashlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import paramiko
import pytest
import urllib3

from regfleet import htpasswd
from regfleet.pki import pem
from regfleet.pki.authority import new_authority
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.target import Credentials, Target
from regfleet.registry_api.tunnel import direct
from regfleet.secret import Secret

USER, PASSWORD = "ci", "pässword:with colon"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    """Until somebody listens; fails when the process ends before."""
    for _ in range(600):
        if process.poll() is not None:
            pytest.fail(f"ended with {process.returncode}: {process.args}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"nobody listens: {process.args}")


@dataclass
class Running:
    """A registry process and how to reach it."""

    port: int
    ca: bytes | None
    has_users: bool
    process: subprocess.Popen
    storage: Path

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    def target(self, **changes):
        values = {
            "endpoint": self.endpoint,
            "dial": direct("127.0.0.1", self.port),
            "tls": self.ca is not None,
            "ca": self.ca,
            "timeout": 10.0,
        }
        return Target(**values | changes)

    def client(self, password=PASSWORD, **changes):
        known = Credentials(USER, Secret(password)) if self.has_users else None
        return RegistryClient(self.target(**changes), known)

    def push(self, repository, *tags, content=b"{}"):
        """An image of one configuration and no layers, as any client uploads it."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": len(content),
                    "digest": digest,
                },
                "layers": [],
            }
        ).encode()
        headers = {"authorization": Credentials(USER, Secret(PASSWORD)).header()}
        scheme = "https" if self.ca else "http"
        base = f"{scheme}://{self.endpoint}/v2/{repository}"
        with urllib3.PoolManager(ca_cert_data=self.ca and self.ca.decode()) as pool:
            begun = pool.request("POST", f"{base}/blobs/uploads/", headers=headers)
            where = begun.headers["location"]
            where += f"{'&' if '?' in where else '?'}digest={digest}"
            assert pool.request("PUT", where, body=content, headers=headers).status == 201
            for tag in tags:
                url = f"{base}/manifests/{tag}"
                put = pool.request(
                    "PUT", url, body=manifest, headers={**headers, "content-type": MANIFEST}
                )
                assert put.status == 201, put.data
        return f"sha256:{hashlib.sha256(manifest).hexdigest()}", digest


@pytest.fixture(scope="session")
def registry_binary():
    found = os.environ.get("REGFLEET_REGISTRY_BINARY") or shutil.which("docker-registry")
    if not found:
        pytest.skip("no registry binary: install docker-registry or set REGFLEET_REGISTRY_BINARY")
    return found


@pytest.fixture(scope="session")
def authority():
    return new_authority("test", datetime.now(timezone.utc))


@pytest.fixture(scope="session")
def start_registry(registry_binary, authority, tmp_path_factory):
    """Start registries as asked for; all of them end with the session."""
    processes = []

    def start(
        *,
        tls=True,
        users=True,
        delete=True,
        names=("127.0.0.1",),
        at=None,
        minimum=None,
        page=None,
        render=None,
        binary=None,
    ):
        """`render(storage, listen)`: the configuration's text; the others make one here."""
        directory = tmp_path_factory.mktemp("registry")
        port = free_port()
        config = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(directory / "data")},
                "delete": {"enabled": delete},
            },
            "http": {"addr": f"127.0.0.1:{port}"},
        }
        if page:
            config["catalog"] = {"maxentries": page}
        if tls:
            moment = at or datetime.now(timezone.utc)
            certificate, key = authority.issue("test", list(names), moment)
            (directory / "crt").write_bytes(pem.certificates_to_pem(certificate))
            (directory / "key").write_text(pem.key_to_pem(key))
            config["http"]["tls"] = {
                "certificate": str(directory / "crt"),
                "key": str(directory / "key"),
            }
            if minimum:
                config["http"]["tls"]["minimumtls"] = minimum
                config["http"]["tls"]["ciphersuites"] = ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"]
        if users:
            text = htpasswd.update(None, {USER: Secret(PASSWORD)}, lambda _user: 4)
            (directory / "htpasswd").write_text(text)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}}
        text = render(str(directory / "data"), f"127.0.0.1:{port}") if render else ""
        (directory / "config.yml").write_text(text or json.dumps(config))
        # Its S3 driver heeds Amazon's variables of whoever runs the tests, as AWS_CA_BUNDLE.
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [binary or registry_binary, "serve", directory / "config.yml"],
                stdout=log,
                stderr=log,
                env=own,
            )
        processes.append(process)
        wait_for(port, process)
        ca = authority.certificate_pem if tls else None
        return Running(port, ca, users, process, directory / "data")

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def registry(start_registry):
    """With TLS, a user and deletion, as regfleet sets them up."""
    return start_registry()


@pytest.fixture(scope="session")
def plain_registry(start_registry):
    """Without TLS, users and deletion."""
    return start_registry(tls=False, users=False, delete=False)


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    """An SSH server of this machine; gives what `paramiko.SSHClient.connect` takes."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    binary = os.environ.get("REGFLEET_SSHD") or shutil.which("sshd", path=search)
    if not binary:
        pytest.skip("no sshd: install openssh-server or set REGFLEET_SSHD")
    directory = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        paramiko.ECDSAKey.generate().write_private_key_file(str(directory / name))
    public = paramiko.ECDSAKey.from_private_key_file(str(directory / "user"))
    (directory / "authorized").write_text(f"{public.get_name()} {public.get_base64()}\n")
    port = free_port()
    (directory / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nStrictModes no\n"
        f"AuthorizedKeysFile {directory}/authorized\nPermitRootLogin yes\nUsePAM no\n"
        "AllowTcpForwarding local\nPermitOpen 127.0.0.1:*\n"
    )
    trial = subprocess.run(
        [binary, "-t", "-f", directory / "config"], capture_output=True, text=True, check=False
    )
    if trial.returncode != 0:
        pytest.skip(f"sshd cannot run here: {trial.stderr.strip()}")
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "-D", "-e", "-f", directory / "config"], stdout=log, stderr=log
        )
    wait_for(port, process)
    yield {
        "hostname": "127.0.0.1",
        "port": port,
        "username": pwd.getpwuid(os.geteuid()).pw_name,
        "key_filename": str(directory / "user"),
        "look_for_keys": False,
        "allow_agent": False,
    }
    process.kill()
    process.wait()


@pytest.fixture
def transport(sshd):
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(**sshd)
        yield client.get_transport()
