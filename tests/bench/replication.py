"""Copies between two registries on this machine: regfleet's program beside `skopeo sync`.

    python tests/bench/replication.py [--tags 200] [--skopeo PATH] [--latency 50]

Needs a registry's binary (REGFLEET_REGISTRY_BINARY). Prints one JSON document: seconds, processor
seconds and requests of a first run and of one with nothing to do, each tool into a target of its
own; and the same with a line of some latency to the source.
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
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests/unit/replication")]

from places import Place, free_port  # noqa: E402 - of the tests beside

from regfleet.replication import engine  # noqa: E402

REPOSITORY = "bench/app"


class Registry:
    """A registry whose requests are counted, by its access log."""

    def __init__(self, binary: str, folder: Path) -> None:
        folder.mkdir()
        self.log = folder / "log"
        port = free_port()
        config = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": f"127.0.0.1:{port}"},
        }
        (folder / "config.yml").write_text(json.dumps(config))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [binary, "serve", folder / "config.yml"], stdout=log, stderr=log
            )
        self.place = Place(port, self.process, folder)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)

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


def ours(folder: Path, source: int, target: int) -> list[str]:
    """The command of regfleet's program."""
    found = {
        "version": engine.VERSION,
        "policy": "bench",
        "source": {"url": f"http://127.0.0.1:{source}"},
        "target": {"url": f"http://127.0.0.1:{target}"},
        "repositories": [REPOSITORY],
        "ledger": str(folder / f"{source}-{target}.ledger"),
    }
    settings = folder / f"{source}-{target}.json"
    settings.write_text(json.dumps(found))
    return [sys.executable, "-I", engine.__file__, str(settings)]


def theirs(skopeo: str, source: int, target: int) -> list[str]:
    """The command of skopeo."""
    return [
        *(skopeo, "--insecure-policy", "sync", "--all", "--src", "docker"),
        *("--dest", "docker", "--src-tls-verify=false", "--dest-tls-verify=false"),
        *(f"127.0.0.1:{source}/{REPOSITORY}", f"127.0.0.1:{target}/copy"),
    ]


@click.command()
@click.option("--tags", default=200, show_default=True)
@click.option("--skopeo", default="skopeo", show_default=True)
@click.option("--latency", default=50, show_default=True, help="Milliseconds of a round trip.")
def main(tags: int, skopeo: str, latency: int) -> None:
    """Measure, and print one JSON document."""
    binary = os.environ["REGFLEET_REGISTRY_BINARY"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = Registry(binary, folder / "source")
        targets = {tool: Registry(binary, folder / tool) for tool in ("regfleet", "skopeo")}
        for number in range(tags):
            source.place.image(REPOSITORY, f"v{number}", os.urandom(20_000), b"base" * 10_000)
        line = Line(source.place.port, latency / 1000)
        result: dict[str, Any] = {"tags": tags, "latency_ms": latency}
        for what, port in (
            ("first", source.place.port),
            ("nothing_to_do", source.place.port),
            ("nothing_to_do_far", line.port),
        ):
            for tool, target in targets.items():
                to = target.place.port
                command = ours(folder, port, to) if tool == "regfleet" else theirs(skopeo, port, to)
                result.setdefault(what, {})[tool] = timed(command, [source, target])
        for each in (source, *targets.values()):
            each.process.kill()
            each.process.wait()
    click.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
