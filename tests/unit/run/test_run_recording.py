"""A run's entry: begun before anything is changed, and told what came of each host."""

from types import SimpleNamespace

import pytest

from regfleet import journal
from regfleet.journal import HostRun
from regfleet.model.report import HostReport, Report
from regfleet.model.resource import Resource
from regfleet.run.recording import Recording
from regfleet.state import StateDirectory

CHANGES = (("create", Resource("file", "/etc/x")),)


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def work():
    return SimpleNamespace(token="run-ab12", number=0)


def test_what_was_never_begun_is_not_noted(state, work):
    Recording(state, work, None, "apply").finish(Report("acme", {}))
    assert journal.read(state) == []
    assert not state.path.exists()


def test_a_run_is_noted_before_and_when_it_ends(state, work):
    proof = SimpleNamespace(run=0)
    recording = Recording(state, work, proof, "apply")
    recording.begin({"web1": CHANGES, "web2": CHANGES})
    assert (work.number, proof.run) == (1, 1)
    (noted,) = journal.read(state)
    assert (noted.id, noted.command, noted.ok) == ("run-ab12", "apply", None)
    assert noted.hosts == {"web1": HostRun("", CHANGES), "web2": HostRun("", CHANGES)}
    web1 = HostReport("web1", status="changed")
    web2 = HostReport("web2", status="failed", error="x" * 1000, uncertain=True)
    recording.finish(Report("acme", {"web1": web1, "web2": web2, "web3": HostReport("web3")}))
    (noted,) = journal.read(state)
    assert noted.ok is False
    assert noted.hosts == {
        "web1": HostRun("changed", CHANGES),
        "web2": HostRun("unknown", CHANGES, "x" * 600),
    }


def test_host_by_host_a_run_begins_with_the_first_and_ends_with_the_last(state, work):
    """As plain pyinfra has it, which tells nobody when all is done."""
    recording = Recording(state, work, None, "pyinfra")
    recording.note("web1", "", CHANGES)
    recording.note("web1", "changed")
    assert recording.run.ok is True
    recording.note("web2", "", CHANGES)
    assert recording.run.ok is None
    recording.note("web2", "rolled-back", error="why")
    recording.note("web1", "", error="smoke test failed: main/pull")
    (noted,) = journal.read(state)
    assert (noted.number, noted.command, noted.ok) == (1, "pyinfra", False)
    assert noted.hosts == {
        "web1": HostRun("changed", CHANGES, "smoke test failed: main/pull"),
        "web2": HostRun("rolled-back", CHANGES, "why"),
    }
