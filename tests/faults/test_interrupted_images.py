"""Ctrl-C in the middle of each command that changes images: the same command does the rest, and no
lock or read-only state is left."""

import json
import os
import signal
import time

import pytest
from driver import await_that, wait_at

from pushing import IMAGE, Pusher

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
tls.source = "none"
backup.to = "/srv/backup"

[[registry.main.retention.rules]]
repositories = ["old"]
keep_last = 2

[registry.prod]
hosts = [$reg1]
endpoint = "registry.test:5001"
storage = "/var/lib/prod"
image_archive = "$registry_tar"
tls.source = "none"

[replication.copies]
from = "main"
to = ["prod"]
repositories = ["copied"]
run_on = "controller"

[promotion.production]
from = { registry = "main" }
to = { registry = "prod" }
"""
DATA = "/var/lib/registry/docker/registry/v2"
AGED = f"find {DATA}/repositories -path '*/revisions/*/link' -exec touch -d '2 days ago' {{}} +"
MANY = 40
FREE = "[ ! -e /var/lib/regfleet/lock ] || flock -n /var/lib/regfleet/lock true"
LEFT = (
    "ls -d /var/lib/regfleet/collecting /run/regfleet/read-only-* 2>/dev/null;"
    "grep config.yml /proc/self/mounts"
)
MOMENTS = int(os.environ.get("REGFLEET_SOAK") or 2)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test")


@pytest.fixture
def host(twin):
    return twin.hosts["reg1"]


@pytest.fixture
def fleet(twin, write_fleet, regfleet):
    path = write_fleet(twin, BODY)
    done = regfleet("apply", path, "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    return path


@pytest.fixture
def main(host):
    return Pusher(f"{host.address}:5000")


@pytest.fixture
def prod(host):
    return Pusher(f"{host.address}:5001")


@pytest.fixture
def run(fleet, regfleet):
    """A command to its end: its document."""

    def of(command, *words):
        done = regfleet(command, fleet, *words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return of


@pytest.fixture
def at_boundary(fleet, host, begin):
    """Ctrl-C twice while the host is at a boundary; the host then ends by itself."""

    def of(boundary, command, *words):
        host.run("rm -f /run/waits /run/go")
        process = begin(command, fleet, *words, "--json", hook=wait_at(boundary))
        await_that(host, "[ -e /run/waits ]")
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        said, complaints = process.communicate(timeout=30)
        assert process.returncode != 0
        assert "Traceback" not in complaints
        assert json.loads(said)["error"], said
        host.read(": >/run/go")
        await_that(host, FREE)
        assert not host.run(LEFT).stdout

    return of


@pytest.fixture
def in_between(fleet, begin):
    """Ctrl-C as soon as something is so; None if the command ended before."""

    def of(so, command, *words):
        process = begin(command, fleet, *words, "--json")
        while process.poll() is None and not so():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=30)
        assert "Traceback" not in complaints
        if process.returncode == 0:
            return None
        assert "error" in json.loads(said), said
        return process.returncode

    return of


def test_a_collection(host, main, run, at_boundary):
    for _ in range(2):
        main.image("app", "1")
    host.read(AGED)
    at_boundary("collection-delete", "gc", "--yes")
    main.image("app", "2")
    run("gc", "--yes")
    found = run("gc", "--dry-run")["hosts"]["reg1"]["registries"]["main"]
    assert (found["untagged"], found["blobs"]) == (0, 0)
    assert [main.pull("app", tag) for tag in ("1", "2")] == [2, 2]


def test_a_backup_and_a_restore(host, main, run, at_boundary):
    for number in range(5):
        main.image("app", f"{number}")
    at_boundary("backup-prove", "backup", "main")
    made = run("backup", "main")["hosts"]["reg1"]["registries"]["main"]
    assert made["tags"] >= 5
    host.read(f"rm -r {DATA}/repositories/app")
    at_boundary("restore-prove", "restore", "main", "--yes")
    assert run("restore", "main", "--yes")["ok"]
    assert [main.pull("app", f"{number}") for number in range(5)] == [2] * 5
    assert run("audit")["ok"]


@pytest.mark.parametrize("command", ["delete", "prune"])
def test_deletions(main, run, in_between, command):
    repository = {"delete": "some", "prune": "old"}[command]
    for number in range(MANY):
        main.image(repository, f"{number:02}")
    time.sleep(1.1)  # what a deletion writes is younger than all of them
    kept = [f"{number:02}" for number in (MANY - 2, MANY - 1)]

    def words():
        if command == "prune":
            return ["main", "--yes"]
        going = (tag for tag in main.tags(repository) if tag not in kept)
        return [*(f"main/{repository}:{tag}" for tag in going), "--yes"]

    assert in_between(lambda: len(main.tags(repository)) < MANY - 5, command, *words())
    assert MANY > len(main.tags(repository)) > len(kept)
    assert run(command, *words())["ok"]
    assert main.tags(repository) == kept
    assert main.pull(repository, kept[0]) == 2


def test_copies(main, prod, run, in_between):
    for number in range(MANY):
        main.image("copied", f"{number}", size=300_000)

    def some_are_there():
        answer = prod._pool.request("GET", f"{prod._base}/copied/tags/list")
        return answer.status == 200 and len(answer.json()["tags"] or ()) > 3

    assert in_between(some_are_there, "replicate")
    assert len(prod.tags("copied")) < MANY
    found = run("replicate")["copies"]["copies.prod"]["result"]
    assert found["state"] == "ok"
    assert len(prod.tags("copied")) == MANY
    for number in range(MANY):
        assert prod.pull("copied", f"{number}") == 2


def test_promotions(main, prod, run, in_between):
    words = ("production", "staged:1", "--yes")
    accept = {"accept": IMAGE}
    url = f"{prod._base}/staged/manifests/1"
    for number in range(MOMENTS):
        later = 1.0 + 1.5 * number / MOMENTS  # seconds: the program has to start first
        first = main.image("staged", "1", size=8_000_000)
        end = time.monotonic() + later
        in_between(lambda end=end: time.monotonic() > end, "promote", *words)
        assert run("promote", *words)["result"] in ("promoted", "unchanged")
        second = main.image("staged", "1")
        assert run("promote", *words)["result"] == "promoted"
        end = time.monotonic() + later
        in_between(lambda end=end: time.monotonic() > end, "demote", *words)
        answer = prod.request("HEAD", url, (200,), headers=accept)
        if answer.headers["docker-content-digest"] == second["digest"]:
            assert run("demote", *words)["result"] == "demoted"
        answer = prod.request("HEAD", url, (200,), headers=accept)
        assert answer.headers["docker-content-digest"] == first["digest"]
        assert prod.pull("staged", "1") == 2
