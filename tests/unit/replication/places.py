"""A real registry as a place to fill and to read, and a line to it that is cut."""

import hashlib
import json
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from regfleet.replication import engine

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Place:
    """A registry and how tests fill and read it."""

    port: int
    process: subprocess.Popen
    data: Path
    ca: str | None = None
    user: tuple[str, str] | None = None
    sizes: dict = field(default_factory=dict)

    def settings(self, **changes):
        scheme = "https" if self.ca else "http"
        found = {"name": f"r{self.port}", "url": f"{scheme}://127.0.0.1:{self.port}"}
        if self.ca:
            found["ca"] = self.ca
        if self.user:
            found |= {"user": self.user[0], "password": self.user[1]}
        return found | changes

    def api(self):
        return engine.Registry(self.settings(), engine.Clock(60))

    def ask(self, method, path, body=None, kind=None):
        registry = self.api()
        headers = {"Accept": engine.ACCEPT}
        if kind:
            headers["Content-Type"] = kind
        answer = registry.ask(method, path, "", body, headers, 1 << 26)
        registry.cut()
        return answer

    def blob(self, repository, content):
        digest = digest_of(content)
        path = f"/v2/{repository}/blobs/"
        if self.ask("HEAD", path + digest).status != 200:
            begun = self.ask("POST", path + "uploads/", b"")
            where = begun.headers["Location"].split(f":{self.port}", 1)[1]
            done = self.ask("PUT", f"{where}&digest={digest}", content, "application/octet-stream")
            assert done.status == 201, done
        self.sizes[digest] = len(content)
        return digest

    def describe(self, repository, content, kind, **more):
        return {
            "mediaType": kind,
            "digest": self.blob(repository, content),
            "size": len(content),
        } | more

    def put(self, repository, reference, document):
        raw = json.dumps(document, indent=3).encode()  # not canonical: bytes must stay as they are
        digest = digest_of(raw)
        kind = document["mediaType"]
        done = self.ask("PUT", f"/v2/{repository}/manifests/{reference or digest}", raw, kind)
        assert done.status == 201, done
        return {"mediaType": kind, "digest": digest, "size": len(raw)}

    def image(self, repository, tag, *layers, kind=OCI, config=None, **more):
        config = config or {"architecture": "amd64", "os": "linux", "n": f"{repository}{tag}"}
        return self.put(
            repository,
            tag,
            {
                "schemaVersion": 2,
                "mediaType": kind,
                "config": self.describe(repository, json.dumps(config).encode(), CONFIG),
                "layers": [self.describe(repository, each, LAYER) for each in layers],
            }
            | more,
        )

    def index(self, repository, tag, *children, kind=OCI_INDEX, **more):
        return self.put(
            repository,
            tag,
            {"schemaVersion": 2, "mediaType": kind, "manifests": list(children)} | more,
        )

    def tags(self, repository):
        return set(self.api().tags(repository))

    def digest(self, repository, tag):
        return self.api().digest(repository, tag)

    def everything(self):
        """Every tag's digest."""
        api = self.api()
        return {
            f"{repository}:{tag}": api.digest(repository, tag)
            for repository in api.catalog()
            for tag in api.tags(repository)
        }

    def whole(self, repository, reference):
        """Read an image to its last byte, checked against the digests."""
        api = self.api()
        raw, _ = api.manifest(repository, reference)
        document = json.loads(raw)
        for child in document.get("manifests", []):
            self.whole(repository, child["digest"])
        for each in [document.get("config"), *document.get("layers", [])]:
            if each and "urls" not in each:
                read = self.ask("GET", f"/v2/{repository}/blobs/{each['digest']}")
                assert digest_of(read.body) == each["digest"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Line:
    """A TCP line to a port that is cut, now and then, after some bytes.

    Args:
        cuts: bytes after which each of the first connections ends, one after another; 0 for never.
    """

    def __init__(self, port, cuts):
        self._to, self._cuts = port, list(cuts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.made = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.made += 1
            server = socket.create_connection(("127.0.0.1", self._to))
            left = self._cuts.pop(0) if self._cuts else 0
            threading.Thread(target=self._pass, args=(client, server, 0), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, left), daemon=True).start()

    @staticmethod
    def _pass(one, other, left):
        counted = bool(left)
        try:
            while content := one.recv(min(65536, left) if counted else 65536):
                other.sendall(content)
                left -= len(content)
                if counted and left <= 0:
                    break
        except OSError:
            pass
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()
