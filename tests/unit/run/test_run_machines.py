"""Names and machines: two names of one are refused, clones are not; a new machine is told."""

from dataclasses import replace

import pytest
from making import client, fleet, host, observed

from regfleet import members
from regfleet.members import Member
from regfleet.model.observed import Machine
from regfleet.record import Owned
from regfleet.run import machines
from regfleet.state import StateDirectory

ONE = Machine("a" * 32, "40d19c50-28e1-4ff4-9943-7b01f9e536a6", "pid:[4026531836]")
CLONE = Machine(ONE.id, "11111111-28e1-4ff4-9943-7b01f9e536a6", ONE.processes)
CONTAINER = Machine("b" * 32, ONE.boot, "pid:[4026532975]")


def on(**by_name):
    return {name: observed(machine=each) for name, each in by_name.items()}


def test_two_names_of_one_machine_are_refused_with_what_was_found():
    error = machines.refused(on(reg1=ONE, web1=CONTAINER, other=ONE))
    assert "reg1 and other are one machine" in error.message
    assert ONE.id in error.message
    assert ONE.boot in error.message
    assert 'name = "reg1"' in error.hint
    assert error.exit_code == 2
    assert set(machines.twins(on(reg1=ONE, other=ONE))) == {"reg1", "other"}


@pytest.mark.parametrize(
    "other",
    [CLONE, CONTAINER, Machine(ONE.id), Machine("c" * 32, ONE.boot, ONE.processes), Machine()],
)
def test_other_machines_are_not(other):
    seen = on(reg1=ONE, web1=other)
    assert machines.refused(seen) is None
    assert machines.twins(seen) == {}


def test_without_a_machine_id_the_running_system_is_enough():
    nameless = Machine("", ONE.boot, ONE.processes)
    assert machines.refused(on(a=nameless, b=ONE))
    assert machines.refused(on(a=nameless, b=nameless))
    assert machines.refused(on(a=Machine(), b=Machine())) is None


def test_clones_are_named():
    assert machines.clones(on(a=ONE, b=CLONE, c=CONTAINER, d=Machine())) == [("a", "b")]


def test_a_host_of_an_earlier_run_is_compared_with_unless_it_has_moved(tmp_path):
    state = StateDirectory(tmp_path / "state")
    hosts = (host("reg1"), host("web1"))
    made = fleet([], [client(hosts=hosts)])
    machines.keep(state, made, on(reg1=ONE, web1=CONTAINER, unknown=CLONE), ["reg1", "web1"])
    members.write(state, {name: Member.of(made, name, ()) for name in ("reg1", "web1")})
    assert machines.read(state) == {"reg1": ONE, "web1": CONTAINER}
    others = machines.of_others(state, made)
    assert machines.refused(on(reg1=ONE), others) is None
    assert "reg1 and web1" in machines.refused(on(web1=ONE), others).message
    moved = fleet([], [client(hosts=(replace(host("reg1"), address="elsewhere"), host("web1")))])
    assert set(machines.of_others(state, moved)) == {"web1"}


def test_hosts_that_left_are_forgotten_and_a_broken_file_is_none(tmp_path):
    state = StateDirectory(tmp_path / "state")
    both = fleet([], [client(hosts=(host("a"), host("b")))])
    machines.keep(state, both, on(a=ONE, b=CONTAINER), ["a", "b"])
    machines.keep(state, fleet([], [client(hosts=(host("b"),))]), {}, [])
    assert machines.read(state) == {"b": CONTAINER}
    for text in ("{", "[]", '{"hosts": {"a": {}}}', '{"hosts": []}'):
        state.write_text("machines.json", text)
        assert machines.read(state) == {}


def test_a_host_that_was_installed_anew_is_told():
    new = Machine("d" * 32, CLONE.boot, ONE.processes)
    seen = {"web1": observed(machine=new)}
    (words,) = machines.reinstalled("acme", seen, {"web1": ONE}).values()
    assert ONE.id in words
    assert new.id in words
    # Not when only its id is new, nothing is known, or only the boot is another.
    owned = {"acme": Owned(files=("/etc/x",))}
    there = {"web1": observed(machine=new, owned=owned)}
    assert machines.reinstalled("acme", there, {"web1": ONE}) == {}
    assert machines.reinstalled("acme", seen, {}) == {}
    assert machines.reinstalled("acme", seen, {"web1": Machine()}) == {}
    assert machines.reinstalled("acme", on(web1=CLONE), {"web1": ONE}) == {}
