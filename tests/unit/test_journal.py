"""Runs as they are kept: numbered, the last fifty, and none that somebody else wrote."""

import json
import math

import pytest

from regfleet import journal, state_paths, unproven
from regfleet.errors import StateError
from regfleet.journal import HostRun
from regfleet.model.resource import Resource
from regfleet.run import samples
from regfleet.state import StateDirectory

CHANGES = {"web1": (("create", Resource("file", "/etc/x")),), "web2": ()}


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


def test_a_run_is_noted_before_and_after(state, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/regfleet", "apply", "my fleet.toml"])
    begun = journal.begin(state, "apply", "run-1", CHANGES)
    assert journal.read(state) == [begun]
    assert (begun.number, begun.ok, begun.ended) == (1, None, "")
    assert begun.line == "regfleet apply 'my fleet.toml'"
    assert begun.hosts["web1"] == HostRun("", CHANGES["web1"])
    ended = journal.finish(state, begun, {"web1": HostRun("changed", CHANGES["web1"])}, ok=True)
    assert journal.read(state) == [ended]
    assert ended.ok is True
    assert ended.ended
    assert ended.hosts["web2"].status == ""


def test_who_it_was_and_from_where(state, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "alice")
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.5 50000 10.0.0.1 22")
    run = journal.begin(state, "apply", "run-1", {})
    assert run.who.startswith("alice (as ")
    assert run.origin.endswith("(from 10.0.0.5)")


def test_fifty_stay_and_numbers_go_on(state):
    for number in range(journal.KEPT + 3):
        run = journal.begin(state, "apply", f"run-{number}", {})
        state.write_text(run.page, "page")
    numbers = [run.number for run in journal.read(state)]
    assert numbers == list(range(53, 3, -1))
    assert len(state.names(state_paths.RUNS)) == 2 * journal.KEPT


@pytest.mark.parametrize(
    ("host", "stands"),
    [
        (HostRun("changed"), True),
        (HostRun("unknown"), True),
        (HostRun(""), True),
        (HostRun("failed"), False),
        (HostRun("rolled-back"), False),
        (HostRun("unchanged"), False),
        (HostRun("changed", undone=4), False),
    ],
)
def test_what_stands_can_be_taken_back(host, stands):
    assert host.stands is stands


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "hosts": 3}'])
def test_a_file_of_somebody_else_is_refused_by_name(state, text):
    state.write_text("runs/0007.json", text)
    with pytest.raises(StateError, match=r"0007\.json"):
        journal.read(state)


def test_other_files_are_no_runs(state):
    for name in ("notes.txt", "x.json", ".0001.json.ab.new", "0001.html"):
        state.write_text(f"runs/{name}", "x")
    assert journal.read(state) == []


def test_it_is_json_of_one_version(state):
    journal.begin(state, "apply", "run-1", CHANGES)
    assert json.loads(state.read("runs/0001.json"))["version"] == 1


KEYS = ("id", "command", "line", "who", "origin", "began", "ended", "ok")


@pytest.mark.parametrize(
    ("read", "name", "text"),
    [
        (
            journal.read,
            "runs/0001.json",
            json.dumps({**dict.fromkeys(KEYS, ""), "version": 1, "number": math.inf, "hosts": {}}),
        ),
        (
            unproven.read,
            state_paths.UNPROVEN,
            '{"version": 1, "hosts": {"h": {"since": "", "run": 1e999, "checks": []}}}',
        ),
    ],
)
def test_a_number_without_end_is_none_that_we_wrote(state, read, name, text):
    state.write_text(name, text)
    with pytest.raises(StateError, match="not what regfleet wrote"):
        read(state)


def test_samples_with_a_number_without_end_are_none(state):
    state.write_text(state_paths.SPACE, '{"main": [[1e999, 1, 1]]}')
    assert samples.read(state) == {}
