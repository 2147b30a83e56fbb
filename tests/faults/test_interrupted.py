"""Ctrl-C once and twice, and a controller that is killed at any moment."""

import json
import os
import random
import signal
import time

import pytest
from driver import await_that, text_of

NAMES = ("one", "two", "three")
FOREIGN = '{"max-concurrent-uploads": 3}'
BODY = """
[client.all]
hosts = [$one, $two, $three]
mirrors = ["https://mirror.example.com"]
daemon = { debug = true }
"""
# Each touch waits once its files are in place.
WAIT = '[ "$2" = activate ] && { : >/run/waits; while [ ! -e /run/go ]; do sleep 0.1; done; }'
FREE = "[ ! -e /var/lib/regfleet/lock ] || flock -n /var/lib/regfleet/lock true"
# A controller that is killed may have sent a touch that has not come to its lock yet: there is
# none once neither its sshd nor its shell is there. The brackets keep pgrep from finding itself.
ENDED = "! pgrep -f '[s]shd(-session)?: [^/]' && ! pgrep -f '[s]h -s'"
STATE = "ls -l /var/lib/regfleet; cat /var/lib/regfleet/last; ps -ef --forest"
MOMENTS = int(os.environ.get("REGFLEET_SOAK") or 6)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(*NAMES)
    for host in twin.hosts.values():
        host.run("cat >/etc/docker/daemon.json", stdin=FOREIGN)
    return twin


@pytest.fixture
def path(twin, write_fleet, regfleet):
    """The fleet file; in the end the fleet goes again, and all is as it was."""
    path = write_fleet(twin, BODY)
    yield path
    for host in twin.hosts.values():
        host.run("rm -f /run/waits; : >/run/go")
        await_that(host, FREE)
        host.run("rm -f /run/go")
    assert regfleet("apply", path, "--yes").returncode == 0
    done = regfleet("destroy", path, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {text_of(host) for host in twin.hosts.values()} == {FOREIGN}


def test_ctrl_c_once_finishes_the_hosts_in_flight_and_begins_no_other(twin, path, begin, tally):
    process = begin("apply", path, "--yes", "--json", "--parallel", 1, hook=WAIT)
    await_that(twin.hosts["one"], "[ -e /run/waits ]")
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None, "it waits for the host in flight"
    twin.hosts["one"].read(": >/run/go")
    said, complaints = process.communicate(timeout=120)
    assert process.returncode == 1
    hosts = json.loads(said)["hosts"]
    assert [hosts[name]["status"] for name in NAMES] == ["changed", "skipped", "skipped"]
    assert "interrupted" in complaints
    assert "mirror.example.com" in text_of(twin.hosts["one"])
    for name in ("two", "three"):
        assert text_of(twin.hosts[name]) == FOREIGN
    tally("Ctrl-C once", 1, 1)


def test_ctrl_c_twice_ends_at_once_and_the_host_ends_by_itself(twin, path, begin, tally):
    process = begin("apply", path, "--yes", "--parallel", 1, hook=WAIT)
    host = twin.hosts["one"]
    await_that(host, "[ -e /run/waits ]")
    # Two signals of a kind that come before the program has taken up the first one are one.
    process.send_signal(signal.SIGINT)
    while "again to leave them alone" not in (line := process.stderr.readline()):
        assert line, "it has ended"
    process.send_signal(signal.SIGINT)
    # The host still waits: whoever waited for it would wait for ever.
    _, complaints = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in complaints
    assert "by themselves" in complaints
    host.read(": >/run/go")
    await_that(host, FREE)
    assert "mirror.example.com" in text_of(host)
    assert host.read("docker info -f '{{.Debug}}'") == "true"
    assert host.run("ls /var/lib/regfleet/pending").returncode != 0
    tally("Ctrl-C twice", 1, 1)


def test_a_controller_that_is_killed_at_any_moment(twin, path, begin, regfleet, tally):
    began = time.monotonic()
    assert regfleet("apply", path, "--yes").returncode == 0
    whole = time.monotonic() - began
    assert regfleet("destroy", path, "--yes").returncode == 0
    wanted = {host.name: text_of(host) for host in twin.hosts.values()}
    survived = 0
    for number in range(MOMENTS):
        # Spread over the whole run, and by chance within each part of it.
        moment = whole * (number + random.random()) / MOMENTS  # noqa: S311 - no secret
        process = begin("apply", path, "--yes")
        time.sleep(moment)
        process.kill()
        process.wait()
        for host in twin.hosts.values():
            await_that(host, ENDED)
            where = f"{host.name}: killed after {moment:.2f} s of {whole:.2f}"
            assert "max-concurrent-uploads" in json.loads(text_of(host) or where), where
            assert host.run("docker version").returncode == 0, where
            pending = host.run("ls /var/lib/regfleet/pending").returncode == 0
            assert not pending, f"{where}\n{host.run(STATE).stdout}"
        done = regfleet("apply", path, "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nothing to do" in regfleet("plan", path).stdout
        assert regfleet("destroy", path, "--yes").returncode == 0
        assert {host.name: text_of(host) for host in twin.hosts.values()} == wanted
        survived += 1
    tally("controller killed at a random moment", MOMENTS, survived)
