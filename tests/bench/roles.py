"""Roles on this machine: a registry behind its gateway beside the same with htpasswd alone.

    python tests/bench/roles.py [--seconds 5] [--connections 4]

Needs nginx with njs and a registry's binary (REGFLEET_NGINX, REGFLEET_REGISTRY_BINARY, or what
`make test` unpacks). Both speak TLS, and passwords are hashed at cost 10, as those of people.
Prints one JSON document: requests a second with Basic on each of them, as curl and containerd send
it; a push of ten layers; tokens a second with 1,000 projects of 20 members, also for each second
that a processor is at work for the gateway; and what eight connections that try wrong passwords
leave of all other traffic.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests/unit"), str(ROOT / "tests/unit/gateway")]

from gateway_stand import PASSWORDS, Stand, free_port, program  # noqa: E402 - of the tests beside

from regfleet.fleet.registries import Member, Project  # noqa: E402
from regfleet.runtimes import configuration  # noqa: E402

LAYERS = 10
GUESSING = 8  # connections
MANY = tuple(
    Project(f"team-{number}", members=tuple(Member(f"user-{each}", "guest") for each in range(20)))
    for number in range(1000)
)


class Plain(Stand):
    """The same registry without projects: it ends TLS and checks passwords itself."""

    def run(self) -> Plain:
        (self.directory / "registry").mkdir()
        declared = replace(self.declared, projects=(), admins=(), gateway=None)
        material = replace(self.material, tokens=None)
        home = self.directory / "registry"
        text = configuration.render(
            declared,
            material,
            str(home),
            storage=str(self.directory / "images"),
            listen=f"127.0.0.1:{self.port}",
        )
        (home / "config.yml").write_text(text)
        (home / "htpasswd").write_text(material.htpasswd)
        (home / "registry.crt").write_bytes(material.pair.certificate_pem)
        (home / "registry.key").write_text(material.pair.key_pem.reveal())
        self.start_registry()
        while True:
            with suppress(OSError):
                self.ask("GET", "/v2/")
                return self
            time.sleep(0.05)


def basic(user: str, password: str | None = None) -> dict[str, str]:
    """The header by which a user logs in."""
    pair = f"{user}:{password or PASSWORDS[user]}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _ask(stand: Stand, path: str, headers: dict[str, str], until: float, counts) -> None:
    """Ask again and again on one connection; put the numbers of answers by status."""
    found: dict[int, int] = {}
    connection = http.client.HTTPSConnection("localhost", stand.port, context=stand.trust())
    while time.time() < until:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        found[answer.status] = found.get(answer.status, 0) + 1
    counts.put(found)


@contextmanager
def asking(stand: Stand, path: str, headers: dict[str, str], seconds: float, connections: int):
    """Connections that ask meanwhile; gives a function for the answers by status, at their end."""
    context = multiprocessing.get_context("fork")
    counts = context.Queue()
    until = time.time() + seconds
    workers = [
        context.Process(target=_ask, args=(stand, path, headers, until, counts))
        for _ in range(connections)
    ]
    for worker in workers:
        worker.start()

    def answers() -> dict[int, int]:
        found: dict[int, int] = {}
        for _ in workers:
            for status, count in counts.get().items():
                found[status] = found.get(status, 0) + count
        return found

    try:
        yield answers
    finally:
        for worker in workers:
            worker.join()


def rate(
    stand: Stand, path: str, headers: dict[str, str], seconds: float, connections: int
) -> float:
    """Answers with 200 a second.

    Raises:
        RuntimeError: there were others.
    """
    with asking(stand, path, headers, seconds, connections) as answers:
        found = answers()
    if set(found) != {200}:
        raise RuntimeError(f"{path}: answers by status: {found}")
    return round(found[200] / seconds, 1)


def processor_seconds(stand: Stand) -> float:
    """What nginx and the password check have used so far (proc(5), /proc/PID/stat)."""
    master = stand.processes["nginx"].pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    ticks = 0
    for pid in (master, stand.processes["users"].pid, *children):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def push(stand: Stand, repository: str, *, by_token: bool) -> float:
    """Seconds that a push of ten layers takes, on one connection: as Docker, or with Basic."""
    connection = http.client.HTTPSConnection("localhost", stand.port, context=stand.trust())
    headers = basic("alice")

    def ask(method: str, path: str, expect: int, body: bytes = b"", **more: str):
        connection.request(method, path, body, {**headers, **more})
        answer = connection.getresponse()
        answer.read()
        if answer.status != expect:
            raise RuntimeError(f"{method} {path}: {answer.status}")
        return answer

    began = time.perf_counter()
    if by_token:
        connection.request(
            "GET", f"/auth/token?scope=repository:{repository}:pull,push", headers=headers
        )
        token = json.loads(connection.getresponse().read())["token"]
        headers = {"Authorization": f"Bearer {token}"}
    described = []
    for number in range(LAYERS + 1):
        content = f"{repository} {number}".encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = ask("POST", f"/v2/{repository}/blobs/uploads/", 202).headers["Location"]
        path = place.partition(f":{stand.port}")[2] or place
        ask("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest}", 201, content)
        kind = "application/octet-stream"
        described.append({"digest": digest, "size": len(content), "mediaType": kind})
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": described[0]}
    body = json.dumps({**manifest, "layers": described[1:]}).encode()
    ask("PUT", f"/v2/{repository}/manifests/1", 201, body, **{"Content-Type": kind})
    return time.perf_counter() - began


def pushes(stand: Stand, name: str, *, by_token: bool) -> float:
    """The least of five: what else the machine does only adds."""
    times = (push(stand, f"team-a/{name}-{each}", by_token=by_token) for each in range(5))
    return round(min(times), 3)


@contextmanager
def running(kind: type[Stand], folder: Path, **settings: object) -> Iterator[Stand]:
    """A stand with passwords at cost 10."""
    folder.mkdir()
    programs = (
        program("REGFLEET_NGINX", "nginx/usr/sbin/nginx", "nginx"),
        program("REGFLEET_REGISTRY_BINARY", "docker-registry/usr/bin/docker-registry", "registry"),
    )
    stand = kind(folder, *programs, port=free_port(), source="env", **settings)
    try:
        yield stand.run()
    finally:
        stand.stop()


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="Of each measurement.")
@click.option("--connections", default=4, show_default=True)
def main(seconds: float, connections: int) -> None:
    """Print the figures."""
    path = "/v2/team-a/app/tags/list"
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        with (
            running(Plain, Path(folder) / "plain") as plain,
            running(Stand, Path(folder) / "gateway") as gateway,
        ):
            for each in (plain, gateway):
                push(each, "team-a/app", by_token=False)
            rates = [
                rate(each, path, basic("bob"), seconds, connections) for each in (plain, gateway)
            ]
            found["requests a second"] = _compared(*rates)
            times = [
                pushes(plain, "basic", by_token=False),
                pushes(gateway, "basic", by_token=False),
                pushes(gateway, "token", by_token=True),
            ]
            found["seconds of a push of ten layers"] = {
                "htpasswd": times[0],
                "gateway, Basic": times[1],
                "gateway, token": times[2],
                "ratio": round(times[0] / times[2], 1),
            }
            ask = partial(rate, gateway, path, basic("bob"), seconds, connections)
            before = ask()
            with asking(gateway, path, basic("carol", "wrong"), seconds + 2, GUESSING):
                time.sleep(1)
                flooded = ask()
            calm = round((before + ask()) / 2, 1)
            found["requests a second under wrong logins"] = {
                "before and after": calm,
                "meanwhile": flooded,
                "ratio": round(flooded / calm, 2),
            }
        words = {"root": "word", **{f"user-{each}": "word" for each in range(20)}}
        with running(
            Stand, Path(folder) / "many", passwords=words, changes={"projects": MANY}
        ) as many:
            scope = "/auth/token?scope=repository:team-500/app:pull"
            login = basic("user-7", "word")
            used = processor_seconds(many)
            tokens = rate(many, scope, login, seconds, connections)
            used = processor_seconds(many) - used
            found["tokens a second, 1,000 projects of 20 members"] = {
                "gateway": tokens,
                "for each second of a processor": round(tokens * seconds / used, 1),
            }
    click.echo(json.dumps(found, indent=1))


def _compared(before: float, after: float) -> dict[str, float]:
    return {"htpasswd": before, "gateway": after, "ratio": round(after / before, 1)}


if __name__ == "__main__":
    main()
