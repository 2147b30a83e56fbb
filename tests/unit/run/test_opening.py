"""A run that was begun early is taken up once, by the same command alone, and its lock ends."""

from dataclasses import replace

import pytest

from regfleet.errors import StateError
from regfleet.fleet.load import load
from regfleet.run import opening
from regfleet.run.opening import Opening, begin, open_run, take
from regfleet.ssh import first_looks
from regfleet.ssh.multiplex import Multiplexed
from regfleet.state import StateDirectory

FLEET = """\
version = 1
name = "one"
[client.all]
hosts = [{ name = "web1", address = "127.9.9.9" }]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET)
    return path


@pytest.fixture
def wanted(file, monkeypatch):
    """A control socket where nobody listens: its look has no answer."""
    gone = Multiplexed(file.with_name("socket"))
    monkeypatch.setattr(first_looks, "usable", lambda hosts: {each.name: gone for each in hosts})
    made = Opening(file, locked="apply")
    begin(made, load(file), None)
    yield made
    opening._begun.clear()


def is_locked(file):
    try:
        with StateDirectory.beside(file, "one").lock("plan"):
            return False
    except StateError:
        return True


def test_the_same_command_takes_it_up_once(wanted, file):
    opened = take(wanted)
    assert list(opened.looks) == ["web1"]
    assert opened.looks["web1"].lines() is None
    assert is_locked(file)
    opened.close()
    assert not is_locked(file)
    assert take(wanted) is None


def test_another_command_does_not_and_its_lock_ends(wanted, file):
    assert take(replace(wanted, prune=True)) is None
    assert not is_locked(file)


def test_nothing_begins_early_without_kept_connections(file):
    begin(Opening(file, locked="apply"), load(file), None)
    assert take(Opening(file, locked="apply")) is None
    assert not is_locked(file)


def test_a_run_that_cannot_begin_leaves_no_lock(file):
    with pytest.raises(ZeroDivisionError):
        open_run(Opening(file, locked="apply"), desired=lambda _: 1 / 0)
    assert not is_locked(file)
