"""What is proven and what is not, from just before a change to a smoke test that passed."""

import json

import pytest
from making import client, fleet, host, registry

from regfleet import state_paths, unproven
from regfleet.errors import StateError
from regfleet.model.checks import Check
from regfleet.run.proof import Proof, SharedProof, affected
from regfleet.state import StateDirectory

PASSED = (Check("main/push", "passed"), Check("main/delete", "skipped", "deletion is off"))
FAILED = (Check("main/push", "passed"), Check("main/pull", "failed", "no route"))
FLEET = fleet(
    [registry(), registry("closed", "closed.example", external=True, hosts=(), smoke=False)],
    [
        client(hosts=(host("web1"), host("web2"))),
        client("plain", hosts=(host("db1"),), registries=()),
        client("shut", hosts=(host("db2"),), registries=("closed",)),
    ],
)


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


def noted(state):
    """As the next run finds it."""
    return {name: each.checks for name, each in unproven.read(state).items()}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ([], []),
        (["web2"], ["web2"]),
        (["reg1"], ["reg1", "web1", "web2"]),
        (["db1", "db2"], []),
    ],
)
def test_a_registry_that_changes_makes_its_clients_unproven(changed, expected):
    assert affected(FLEET, changed) == expected


def test_what_is_about_to_change_is_noted_before_it_is(state):
    Proof(FLEET, state).begin(["web1"])
    assert noted(state) == {"web1": ()}


def test_a_failure_is_remembered_until_the_test_passes(state):
    Proof(FLEET, state).begin(["web1", "web2"])
    Proof(FLEET, state).settle({"web1": FAILED, "web2": PASSED})
    assert noted(state) == {"web1": ("main/pull",)}
    Proof(FLEET, state).settle({"web1": PASSED})
    assert noted(state) == {}


def test_a_host_that_was_proven_and_fails_is_not_any_more(state):
    SharedProof(FLEET, state).settle({"web1": FAILED})
    assert noted(state) == {"web1": ("main/pull",)}


def test_where_nothing_is_to_be_noted_no_directory_is_made(state):
    SharedProof(FLEET, state).settle({"web1": PASSED})
    Proof(FLEET, state).forget(["web1"])
    assert not state.path.exists()


def test_a_test_does_not_prove_what_another_run_changed_meanwhile(state):
    Proof(FLEET, state).begin(["web1", "web2"])
    testing = SharedProof(FLEET, state)
    other = Proof(FLEET, state)
    other.run = 7
    other.begin(["web1"])
    testing.settle({"web1": PASSED, "web2": PASSED})
    assert noted(state) == {"web1": ()}
    assert unproven.read(state)["web1"].run == 7


def test_hosts_that_left_the_fleet_are_not_asked_for(state):
    entry = unproven.Unproven("2026-01-01T00:00:00Z")
    unproven.write(state, {"gone": entry, "web1": entry})
    proof = Proof(FLEET, state)
    assert set(proof.hosts) == {"web1"}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"version": 2, "hosts": {}}', '{"version": 1, "hosts": {"a": {}}}',
     '{"version": 1, "hosts": []}', "[" * 100_000],
)  # fmt: skip
def test_a_file_of_somebody_else_is_refused_by_name(state, text):
    state.write_text(state_paths.UNPROVEN, text)
    with pytest.raises(StateError) as caught:
        unproven.read(state)
    assert state_paths.UNPROVEN in caught.value.message
    assert "regfleet smoke" in caught.value.hint


def test_what_is_written_is_read_again(state):
    hosts = {"web1": unproven.Unproven("2026-01-01T00:00:00Z", 3, ("main/pull",))}
    unproven.write(state, hosts)
    assert unproven.read(state) == hosts
    assert json.loads(state.read(state_paths.UNPROVEN))["version"] == 1
