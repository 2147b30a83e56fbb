"""Which hosts a fleet has something on: kept, read with care, and found when they left the file."""

import json

import pytest
from making import client, desired, fleet, host, registry

from regfleet import members, state_paths
from regfleet.errors import StateError, UsageError
from regfleet.members import Member
from regfleet.model.plan import Plan
from regfleet.model.report import HostReport, Report
from regfleet.run import gone
from regfleet.state import StateDirectory

WHOLE = fleet([registry()], [client(hosts=(host("web1"), host("web2", port=2200)))])
LEFT = fleet([registry()], [client(hosts=(host("web1"),))])


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def applied(state):
    """A state of the whole fleet, applied."""
    hosts = {name: HostReport(name, plan=Plan(name)) for name in WHOLE.hosts()}
    wanted = gone.wanted(
        WHOLE, {name: Member.of(WHOLE, name, ("docker",)) for name in WHOLE.hosts()}
    )
    gone.note(WHOLE, state, gone.planned(Report("acme", hosts)), wanted)
    return state


def test_what_is_kept_is_read_as_it_was(applied):
    known = members.read(applied)
    assert set(known) == {"reg1", "web1", "web2"}
    assert known["web2"] == Member(WHOLE.hosts()["web2"], ("client_build",), ("docker",))


def test_whose_engine_it_was_is_kept(state):
    """Whoever is taken out later has to be asked, and become, again."""
    wanted = {"web1": desired(engines=("docker-rootless",), account="alice")}
    gone.note(WHOLE, state, ["web1"], wanted)
    known = members.read(state)
    assert known["web1"].account == "alice"
    assert gone.wanted(WHOLE, known)["web1"].account == "alice"


def test_who_left_the_file_is_found(applied):
    assert set(members.gone(LEFT, members.read(applied))) == {"web2"}
    assert members.gone(WHOLE, members.read(applied)) == {}


def test_who_is_only_named_anew_did_not_leave(applied):
    renamed = host("other", port=2200).__class__("other", "web2", host(port=2200).ssh)
    assert members.gone(fleet([registry()], [client(hosts=(host("web1"), renamed))]),
                        members.read(applied)) == {}  # fmt: skip


def test_who_left_stays_known_until_it_is_taken_out(applied):
    report = Report(
        "acme",
        {"web1": HostReport("web1", plan=Plan("web1"))},
        gone={"web2": ("client_build",)},
    )
    gone.note(LEFT, applied, gone.planned(report), gone.wanted(LEFT, members.read(applied)))
    gone.pruned(applied, report)
    assert set(gone.left(LEFT, applied)) == {"web2"}
    report.hosts = {**report.hosts, "web2": HostReport("web2", "failed", plan=Plan("web2"))}
    gone.pruned(applied, report)
    assert set(gone.left(LEFT, applied)) == {"web2"}
    report.hosts["web2"].status = "changed"
    gone.pruned(applied, report)
    assert gone.left(LEFT, applied) == {}
    assert report.gone == {}


def test_taken_out_is_nothing_wanted_by_the_way_it_was_reached(applied):
    left = gone.left(LEFT, applied)
    whole = gone.with_gone(LEFT, left)
    assert whole.hosts()["web2"] == WHOLE.hosts()["web2"]
    assert whole.groups()["client_gone"] == ("web2",)
    (want,) = gone.wanted(whole, left).values()
    assert (want.name, want.fleet, want.files, want.engine) == ("web2", "acme", (), None)


def test_a_group_of_that_name_is_not_overwritten(applied):
    declared = fleet([registry()], [client("gone", hosts=(host("web1"),))])
    whole = gone.with_gone(declared, gone.left(LEFT, applied))
    assert whole.groups()["client_gone"] == ("web1",)
    assert whole.groups()["client_gone_"] == ("web2",)


def test_who_is_there_no_more_is_forgotten(applied):
    assert gone.left(LEFT, applied, ["web2"]) == {}
    gone.forget(applied, ["web2"])
    assert set(members.read(applied)) == {"reg1", "web1"}
    for name in ("web1", "nobody", "web2"):
        with pytest.raises(UsageError, match=f"--forget {name}"):
            gone.left(LEFT, applied, [name])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", 0),
        ("port", "22"),
        ("port", 70_000),
        ("address", None),
        ("engines", ["rm -rf"]),
        ("account", 5),
        ("groups", []),
        ("host_key_checking", "no"),
        ("key", 5),
        ("groups", "x"),
    ],
)
def test_what_regfleet_did_not_write_is_told_by_its_place(applied, key, value):
    document = json.loads(applied.read(state_paths.MEMBERS))
    document["hosts"]["web1"][key] = value
    applied.write_text(state_paths.MEMBERS, json.dumps(document))
    with pytest.raises(StateError, match=r"members\.json is not what regfleet wrote"):
        members.read(applied)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "hosts": {}}', "[" * 100_000])
def test_no_nonsense_ends_in_a_traceback(state, text):
    state.write_text(state_paths.MEMBERS, text)
    with pytest.raises(StateError, match=r"members\.json"):
        members.read(state)
