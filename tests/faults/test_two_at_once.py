"""Two controllers at once, and an operator at work between plan and apply."""

import os
import pty
import signal
import time

import pytest
from driver import Driver, await_that, kill_at, text_of, traces, wait_at

BODY = """
[client.all]
hosts = [$one]
mirrors = ["https://%s.example"]
"""
BEHIND = "[ -e /run/waits ]"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("one")


@pytest.fixture
def host(twin):
    return twin.hosts["one"]


@pytest.fixture(autouse=True)
def _clean(host):
    yield
    host.run(
        "rm -rf /run/waits /run/go /etc/docker/daemon.json /var/lib/regfleet;"
        "systemctl reset-failed docker; systemctl restart docker"
    )


@pytest.fixture
def fleet(twin, write_fleet):
    """`fleet("acme")`: a fleet file of that name, which wants a mirror of that name."""

    def write(name):
        path = write_fleet(twin, BODY % name, name=f"{name}.toml")
        path.write_text(path.read_text().replace('name = "test"', f'name = "{name}"', 1))
        return path

    return write


def test_a_second_run_of_the_same_fleet_is_refused_by_name_of_the_first(
    host, fleet, begin, regfleet, tally
):
    path = fleet("acme")
    first = begin("apply", path, "--yes", hook=wait_at("record"))
    await_that(host, BEHIND)
    for command in ("apply", "destroy", "rollback"):
        second = regfleet(command, path, "--yes")
        assert second.returncode == 1, second.stderr
        assert f"process {first.pid}, apply, since " in second.stderr
    host.read(": >/run/go")
    said, complaints = first.communicate(timeout=60)
    assert first.returncode == 0, said + complaints
    assert regfleet("apply", path, "--yes").returncode == 0
    tally("a second controller, same fleet", 3, 3)


def test_another_fleet_on_the_same_host_is_refused_by_name_of_the_first(
    host, fleet, begin, regfleet, tally
):
    one, two = fleet("acme"), fleet("bolts")
    first = begin("apply", one, "--yes", hook=wait_at("commit"))
    await_that(host, BEHIND)
    before = traces(host)
    for command in ("plan", "apply"):
        second = regfleet(command, two, *(["--yes"] if command == "apply" else []))
        assert second.returncode == 1, second.stderr
        assert "another regfleet run is at work here" in second.stdout
        assert "fleet acme since" in second.stdout
        assert "interrupted change" not in second.stdout
    assert traces(host) == before
    host.read(": >/run/go")
    said, complaints = first.communicate(timeout=60)
    assert first.returncode == 0, said + complaints
    assert '"registry-mirrors": [\n    "https://acme.example"\n  ]' in text_of(host)
    assert regfleet("apply", two, "--yes").returncode == 0
    assert "acme.example" in text_of(host)
    assert "bolts.example" in text_of(host)
    for path in (one, two):
        assert regfleet("destroy", path, "--yes").returncode == 0
    assert text_of(host) is None
    tally("a second controller, another fleet on the host", 3, 3)


def test_the_lock_of_a_dead_touch_is_taken_over(twin, host, fleet, regfleet, tally):
    path = fleet("acme")
    assert Driver(path, twin).touch_with("one", kill_at(5)).cut
    assert host.read("cat /var/lib/regfleet/lock").startswith("a test: regfleet")
    done = regfleet("apply", path, "--yes")
    assert done.returncode == 0, done.stderr
    assert "acme.example" in text_of(host)
    tally("a lock whose holder is dead", 1, 1)


def test_the_lock_of_a_dead_controller_is_taken_over(host, fleet, begin, regfleet, tally):
    path = fleet("acme")
    first = begin("apply", path, "--yes", hook=wait_at("commit"))
    await_that(host, BEHIND)
    first.send_signal(signal.SIGKILL)
    first.wait(timeout=10)
    # The fleet's lock is free; on the host the touch is at work and goes on without us.
    refused = regfleet("apply", path, "--yes")
    assert refused.returncode == 1
    assert "another regfleet run is at work here" in refused.stdout
    host.read(": >/run/go")
    await_that(host, "flock -n /var/lib/regfleet/lock true")
    assert "acme.example" in text_of(host)
    done = regfleet("apply", path, "--yes")
    assert done.returncode == 0, done.stderr
    assert "nothing to do on 1 host" in done.stdout
    tally("a lock whose holder is dead", 1, 1)


EDIT = '{"debug": true, "labels": ["owner=by-hand"]}\n'


@pytest.fixture(params=[None, '{"debug": false}\n'], ids=["new file", "old file"])
def edited(request, host):
    """The host of an operator; daemon.json is there or not."""
    if request.param:
        host.run("cat >/etc/docker/daemon.json", stdin=request.param)
    return host


def test_an_operator_edits_daemon_json_between_plan_and_apply(
    edited, fleet, begin, regfleet, tally
):
    host, path = edited, fleet("acme")
    outer, inner = pty.openpty()
    process = begin("apply", path, stdin=inner)
    try:
        _await_question(process)
        host.run("cat >/etc/docker/daemon.json", stdin=EDIT)
        os.write(outer, b"y\n")
        said, _ = process.communicate(timeout=60)
    finally:
        os.close(outer)
        os.close(inner)
    assert process.returncode == 1, said
    assert "/etc/docker/daemon.json changed since the plan was made" in said
    assert "plan afresh" in said
    assert text_of(host) == EDIT
    assert host.run("ls -d /var/lib/regfleet").returncode != 0
    assert regfleet("apply", path, "--yes").returncode == 0
    assert '"owner=by-hand"' in text_of(host)
    assert regfleet("destroy", path, "--yes").returncode == 0
    assert text_of(host) == EDIT
    tally("daemon.json edited between plan and apply", 1, 1)


def _await_question(process):
    """Read what it says until it asks."""
    said = ""
    deadline = time.monotonic() + 30
    while "Apply this?" not in said:
        assert time.monotonic() < deadline, said
        letter = process.stderr.read(1)
        assert letter, said
        said += letter
