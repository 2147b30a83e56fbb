"""A job of any kind on a real host: killed anywhere, cut off, one of two, hostile.

The job is one of tests (counting.py and counting.sh beside it); that rollback and recovery survive
the same is seen in test_kill_everywhere.py and test_generations.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import counting
import pytest
from counting import Count, Counted
from driver import Driver, await_that, kill_at, text_of, wait_at

BODY = """
[client.all]
hosts = [$one]
mirrors = ["https://mirror.example.com"]
"""
PLACE = "/srv/counted"
FOUND = Counted({"a b.txt": 2, "c.txt": 0}, 2)
ROOT = Path(__file__).resolve().parents[2]
CUT = """
[ "$2" = read ] && [ ! -e /run/cut ] && {
  : >/run/cut
  above=$$
  while [ "$(cat "/proc/$above/comm")" != sshd ]; do
    above=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$above/status")
  done
  kill -9 "$above"
}
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("one")


@pytest.fixture
def host(twin):
    host = twin.hosts["one"]
    host.read(f"mkdir {PLACE} && cd {PLACE} && printf hi >'a b.txt' && : >c.txt && : >other")
    yield host
    host.run(f"rm -rf {PLACE} /run/waits /run/go /run/cut /var/lib/regfleet")


@pytest.fixture
def driver(twin, write_fleet):
    return Driver(write_fleet(twin, BODY), twin)


def boundaries(driver, job):
    return driver.boundaries("one", lambda name, hook: driver.do(name, job, hook))


def is_closed(host):
    return host.run(f"[ -e {PLACE}/closed ]").returncode == 0


def test_a_job_is_done_and_answers(driver, host):
    ended = driver.do("one", Count(PLACE))
    assert ended.outcome.result == "changed"
    assert ended.value == FOUND
    assert text_of(host, f"{PLACE}/total") == "2\n"
    assert not is_closed(host)
    assert host.run("ls -d /var/lib/regfleet").returncode != 0  # nothing is owned here


def test_a_job_survives_a_kill_at_every_boundary(driver, host, tally):
    steps, ended = boundaries(driver, Count(PLACE))
    assert {step for _, step in steps} >= {"close", "read", "put-in-place", "open", "finish"}
    assert ended.value == FOUND
    host.run(f"echo before >{PLACE}/total")
    for number, step in steps:
        where = f"killed at {number}, {step}"
        assert driver.do("one", Count(PLACE), kill_at(number)).outcome.cut, where
        assert text_of(host, f"{PLACE}/total") in ("before\n", "2\n"), where
        ended = driver.do("one", Count(PLACE))
        assert ended.outcome.result == "changed", (where, ended)
        assert ended.value == FOUND, where
        assert not is_closed(host), where
        assert text_of(host, f"{PLACE}/total") == "2\n", where
        assert not driver.seen_pending("one"), where
        host.run(f"echo before >{PLACE}/total")
    tally("job killed at a boundary", len(steps), len(steps))


def test_a_job_that_fails_takes_back_what_it_did(driver, host, tally):
    job = Count(PLACE, (("count_refuse",),))
    host.run(f"echo before >{PLACE}/total")
    steps, ended = boundaries(driver, job)
    assert (ended.outcome.result, ended.value) == ("rolled-back", None)
    assert ended.outcome.error == "there is nothing to count here"
    assert text_of(host, f"{PLACE}/total") == "before\n"
    assert not is_closed(host)
    back = [step for _, step in steps].index("count_open")
    for number, step in steps[back:]:
        where = f"killed at {number}, {step}, on the way back"
        assert driver.do("one", job, kill_at(number)).outcome.cut, where
        assert driver.do("one", job).outcome.result == "rolled-back", where
        assert text_of(host, f"{PLACE}/total") == "before\n", where
        assert not is_closed(host), where
    tally("job killed on its way back", len(steps) - back, len(steps) - back)


def test_a_change_that_was_cut_off_is_put_back_before_a_job(driver, host, tally):
    before = text_of(host)
    assert driver.touch_with("one", '[ "$2" = activate ] && kill -9 $$').cut
    assert "mirror.example.com" in text_of(host)
    ended = driver.do("one", Count(PLACE))
    assert ended.value == FOUND
    assert (
        "an earlier change was interrupted; the state before it was restored first"
        in ended.outcome.notes
    )
    assert text_of(host) == before
    tally("job behind a touch that was killed", 1, 1)


def over_ssh(path, *steps, hook="", **environment):
    """The job over SSH: a process, whose output is what it came to."""
    return subprocess.Popen(
        [sys.executable, counting.__file__, path, "one", PLACE, *steps],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "REGFLEET_TOUCH_HOOK": hook,
            **environment,
        },
    )


def came_to(process):
    said, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    return json.loads(said)


def test_a_job_whose_connection_is_cut_is_asked_how_it_went(twin, host, write_fleet, tally):
    ended = came_to(over_ssh(write_fleet(twin, BODY), hook=CUT))
    assert host.run("[ -e /run/cut ]").returncode == 0
    assert ended["result"] == "changed", ended
    assert ended["sizes"] == FOUND.sizes
    assert "it was asked again for the outcome" in ended["notes"][-1]
    assert text_of(host, f"{PLACE}/total") == "2\n"
    tally("job whose connection was cut", 1, 1)


def test_of_two_jobs_at_once_one_is_refused(twin, host, write_fleet, regfleet, tally):
    path = write_fleet(twin, BODY)
    first = over_ssh(path, hook=wait_at("count_files"))
    await_that(host, "[ -e /run/waits ]")
    second = came_to(over_ssh(path))
    assert second["result"] == "failed"
    assert "another regfleet run is at work here" in second["error"]
    touched = regfleet("apply", path, "--yes")
    assert touched.returncode == 1
    assert "another regfleet run is at work here" in touched.stdout
    host.read(": >/run/go")
    assert came_to(first)["sizes"] == FOUND.sizes
    assert not is_closed(host)
    tally("two jobs at once", 2, 2)


FLOODS = {
    "too much": ("count_flood 11000000", "it sent more than 8 MB as its answer to one command"),
    "too many": ("count_lines 10001", "more than 10000 answers"),
    "too long": ("count_flood 5000 5000", "an answer of more than 4096 characters"),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_what_a_job_says_is_bounded(twin, host, write_fleet, tally, kind):
    """The host does its work; nothing of it is believed that nobody can take in."""
    step, error = FLOODS[kind]
    ended = came_to(over_ssh(write_fleet(twin, BODY), step, REGFLEET_AGAIN_SECONDS="1"))
    assert ended["result"] == "failed", ended
    assert error in ended["error"]
    assert ended["cut"] == (kind == "too much")
    assert ended["sizes"] is None
    await_that(host, "[ ! -e /var/lib/regfleet/lock ] || flock -n /var/lib/regfleet/lock true")
    assert not is_closed(host)
    tally("job that says too much", 1, 1)
