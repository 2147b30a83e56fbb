"""Copies between two registries on this machine: regfleet's program beside `skopeo sync`.

    python tests/bench/replication.py [--tags 200] [--skopeo PATH] [--latency 50] [--plain]

Needs a registry's binary (REGFLEET_REGISTRY_BINARY). The registries speak TLS, with
certificates of one CA that both tools check; with --plain they do not. Prints one JSON document:
seconds, processor seconds and requests of a first run and of one with nothing to do, each tool into
a target of its own; and the same with a line of some latency to the source.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests/unit/replication")]

from places import Place, free_port  # noqa: E402 - of the tests beside

from regfleet.pki import pem  # noqa: E402
from regfleet.pki.authority import Authority, new_authority  # noqa: E402
from regfleet.replication import bundle, engine  # noqa: E402

REPOSITORY = "bench/app"


class Registry:
    """A registry whose requests are counted, by its access log."""

    def __init__(self, binary: str, folder: Path, authority: Authority | None) -> None:
        folder.mkdir()
        self.log = folder / "log"
        port = free_port()
        config = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": f"127.0.0.1:{port}", **self._tls(folder, authority)},
        }
        (folder / "config.yml").write_text(json.dumps(config))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, "serve", folder / "config.yml"], stdout=log, stderr=log
            )
        ca = authority.certificate_pem.decode() if authority else None
        self.place = Place(port, self.process, folder, ca)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)

    def _tls(self, folder: Path, authority: Authority | None) -> dict[str, Any]:
        if authority is None:
            return {}
        certificate, key = authority.issue("bench", ["127.0.0.1"], datetime.now(timezone.utc))
        paths = {"certificate": folder / "crt", "key": folder / "key"}
        paths["certificate"].write_bytes(pem.certificates_to_pem(certificate))
        paths["key"].write_text(pem.key_to_pem(key))
        return {"tls": {name: str(path) for name, path in paths.items()}}

    def requests(self) -> int:
        """All requests so far."""
        return len(re.findall(rb'" [1-5][0-9]{2} [0-9]+ "', self.log.read_bytes()))


class Line:
    """A TCP line to a port on which every byte arrives later."""

    def __init__(self, to: int, seconds: float) -> None:
        self._to, self._seconds = to, seconds
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", self._to))
            for one, other in ((client, server), (server, client)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while content := one.recv(1 << 20):
                time.sleep(self._seconds / 2)  # half of a round trip each way
                other.sendall(content)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            one.close()
            other.close()


def timed(command: list[str], registries: list[Registry]) -> dict[str, Any]:
    """Run a command; its seconds, its processor seconds, the requests that it made."""
    before = sum(each.requests() for each in registries)
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        click.echo(output.decode(errors="replace")[-2000:], err=True)
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    seconds = time.monotonic() - began
    time.sleep(0.2)  # the log's last lines
    return {
        "seconds": round(seconds, 2),
        "processor": round(usage.ru_utime + usage.ru_stime, 2),
        "requests": sum(each.requests() for each in registries) - before,
        "megabytes": usage.ru_maxrss // 1024,
    }


def ours(folder: Path, source: int, target: int, ca: str | None) -> list[str]:
    """The command of regfleet's program."""
    scheme, trust = ("https", {"ca": ca}) if ca else ("http", {})
    found = {
        "version": engine.VERSION,
        "policy": "bench",
        "source": {"url": f"{scheme}://127.0.0.1:{source}", **trust},
        "target": {"url": f"{scheme}://127.0.0.1:{target}", **trust},
        "repositories": [REPOSITORY],
        "ledger": str(folder / f"{source}-{target}.ledger"),
    }
    settings = folder / f"{source}-{target}.json"
    settings.write_text(json.dumps(found))
    program = folder / "engine.py"
    program.write_text(bundle.text())
    return [sys.executable, "-I", str(program), str(settings)]


def theirs(folder: Path, source: int, target: int, ca: str | None, skopeo: str) -> list[str]:
    """The command of skopeo."""
    trust = [f"--{side}-tls-verify=false" for side in ("src", "dest")]
    if ca:
        (folder / "trusted").mkdir(exist_ok=True)
        (folder / "trusted/ca.crt").write_text(ca)
        trust = [f"--{side}-cert-dir={folder}/trusted" for side in ("src", "dest")]
    return [
        *(skopeo, "--insecure-policy", "sync", "--all", "--src", "docker"),
        *("--dest", "docker", *trust),
        *(f"127.0.0.1:{source}/{REPOSITORY}", f"127.0.0.1:{target}/copy"),
    ]


@click.command()
@click.option("--tags", default=200, show_default=True)
@click.option("--skopeo", default="skopeo", show_default=True)
@click.option("--latency", default=50, show_default=True, help="Milliseconds of a round trip.")
@click.option("--plain", is_flag=True, help="Without TLS.")
def main(tags: int, skopeo: str, latency: int, plain: bool) -> None:
    """Measure, and print one JSON document."""
    binary = os.environ["REGFLEET_REGISTRY_BINARY"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = None if plain else new_authority("bench", datetime.now(timezone.utc))
        source = Registry(binary, folder / "source", authority)
        tools = ("regfleet", "skopeo")
        targets = {tool: Registry(binary, folder / tool, authority) for tool in tools}
        for number in range(tags):
            source.place.image(REPOSITORY, f"v{number}", os.urandom(20_000), b"base" * 10_000)
        line = Line(source.place.port, latency / 1000)
        version = subprocess.run([skopeo, "--version"], capture_output=True, text=True, check=True)
        result: dict[str, Any] = {
            "tags": tags,
            "latency_ms": latency,
            "tls": not plain,
            "skopeo": version.stdout.split()[-1],
        }
        for what, port in (
            ("first", source.place.port),
            ("nothing_to_do", source.place.port),
            ("nothing_to_do_far", line.port),
        ):
            for tool, target in targets.items():
                to = target.place.port
                given = (folder, port, to, source.place.ca)
                command = ours(*given) if tool == "regfleet" else theirs(*given, skopeo)
                result.setdefault(what, {})[tool] = timed(command, [source, target])
        for each in (source, *targets.values()):
            each.process.kill()
            each.process.wait()
    click.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
