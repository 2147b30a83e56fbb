"""Real registries on ports of this machine, and copies between them."""

import json
import os
import shutil
import socket
import subprocess
import time
from datetime import datetime, timezone

import pytest
from places import Place, free_port

from regfleet import htpasswd
from regfleet.pki import pem
from regfleet.pki.authority import new_authority
from regfleet.replication import bundle, engine
from regfleet.secret import Secret


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Start registries; they end with the session."""
    binary = os.environ.get("REGFLEET_REGISTRY_BINARY") or shutil.which("docker-registry")
    if not binary:
        pytest.skip("no registry binary: install docker-registry or set REGFLEET_REGISTRY_BINARY")
    processes = []

    def launch(*, tls=False, user=None, delete=True, at=None, port=None, **more):
        directory = at or tmp_path_factory.mktemp("registry")
        port = port or free_port()
        config = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(directory / "data")},
                "delete": {"enabled": delete},
            },
            "http": {"addr": f"127.0.0.1:{port}"},
            "catalog": {"maxentries": 7},  # so that the catalog has several pages
        } | more
        ca = None
        if tls:
            moment = datetime.now(timezone.utc)
            authority = new_authority("test", moment)
            certificate, key = authority.issue("test", ["127.0.0.1"], moment)
            (directory / "crt").write_bytes(pem.certificates_to_pem(certificate))
            (directory / "key").write_text(pem.key_to_pem(key))
            config["http"]["tls"] = {
                "certificate": str(directory / "crt"),
                "key": str(directory / "key"),
            }
            ca = authority.certificate_pem.decode()
        if user:
            text = htpasswd.update(None, {user[0]: Secret(user[1])}, lambda _user: 4)
            (directory / "htpasswd").write_text(text)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}}
        (directory / "config.yml").write_text(json.dumps(config))
        with (directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [binary, "serve", directory / "config.yml"], stdout=log, stderr=log
            )
        processes.append(process)
        for _ in range(600):
            assert process.poll() is None, (directory / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        return Place(port, process, directory, ca, user)

    yield launch
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def pair(start):
    """A source and a target without TLS and logins, for the tests of one file."""
    return start(), start()


@pytest.fixture
def settings(tmp_path):
    """Settings of a copy between two places; the files are the test's own."""

    def build(source, target, **more):
        return {
            "version": 1,
            "policy": "test",
            "source": source if isinstance(source, dict) else source.settings(),
            "target": target if isinstance(target, dict) else target.settings(),
            "ledger": str(tmp_path / "ledger"),
            "lock": str(tmp_path / "lock"),
            "record": str(tmp_path / "record.json"),
            "deadline": 120,
        } | more

    return build


@pytest.fixture
def copy(settings):
    """Run a copy in this process; gives its result."""

    def run(source, target, *, dry=False, **more):
        return engine.Run(settings(source, target, **more), dry).run()

    return run


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The engine in one file, as hosts have it."""
    path = tmp_path_factory.mktemp("program") / "engine.py"
    path.write_text(bundle.text())
    return str(path)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """Pauses between tries are a twentieth of what they are."""
    pause = engine.Clock.pause
    monkeypatch.setattr(engine.Clock, "pause", lambda self, seconds: pause(self, seconds / 20))
