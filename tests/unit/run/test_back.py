"""How far to go back: by runs, by generation, and never over what is somebody else's."""

from dataclasses import replace

import pytest
from making import client, fleet, host, observed, registry

from regfleet import roles
from regfleet.errors import HostError
from regfleet.fleet.clients import Login
from regfleet.fleet.registries import Member, Project
from regfleet.journal import HostRun, Run
from regfleet.record import Owned, OwnedLogin, OwnedService
from regfleet.run.back import (
    before_generation,
    before_runs,
    gone,
    hosts_of,
    last_run,
    runs_from,
    unrecorded,
    with_other_roles,
)
from regfleet.touch.generations import Generation, Generations


def run(number, command="apply", **hosts):
    hosts = {name: HostRun(status) for name, status in hosts.items()}
    return Run(number, f"run-{number}", command, "regfleet", "ops", "control", "t", hosts=hosts)


def generation(number, run_number, fleet="acme", mark=None):
    mark = f"run-{run_number}" if mark is None else mark
    return Generation(number, fleet, "t", run_number, mark, "ops@control")


RUNS = [
    run(4, "rollback", web1="changed"),
    run(3, web1="unchanged", web2="changed", web3="failed"),
    run(2, web1="changed"),
    run(1, web1="changed", web2="changed"),
]


@pytest.mark.parametrize(
    ("names", "number"),
    [(["web1", "web2", "web3"], 3), (["web1"], 2), (["web3"], None), ([], None)],
)
def test_the_last_run_is_one_that_changed_one_of_them(names, number):
    found = last_run(RUNS, names)
    assert (found.number if found else None) == number


def test_only_hosts_that_it_changed_go_back():
    assert hosts_of([RUNS[1]], ["web1", "web2", "web3"]) == ["web2"]
    assert hosts_of(runs_from(RUNS, 2), ["web1", "web2", "web3"]) == ["web1", "web2"]


def kept(*generations):
    return Generations(tuple(generations))


def test_all_generations_of_a_run_go_back():
    """One that installed the engine first has two."""
    found = kept(generation(5, 3), generation(4, 3), generation(3, 2))
    way = before_runs("web1", found, "acme", [run(3, web1="changed")], alone=True)
    assert (way.target, way.newest) == (4, 5)


@pytest.mark.parametrize("later", [generation(5, 1, mark="run-x"), generation(5, 0, mark="")])
def test_what_came_later_goes_back_when_asked_only(later):
    found = kept(later, generation(4, 3))
    with pytest.raises(HostError, match="generation 5 came later"):
        before_runs("web1", found, "acme", [run(3, web1="changed")], alone=True)
    way = before_runs("web1", found, "acme", [run(3, web1="changed")], alone=False)
    assert way.target == 4


def test_another_fleets_change_is_never_gone_over():
    found = kept(generation(5, 9, "other"), generation(4, 3))
    for ask in (
        lambda: before_runs("web1", found, "acme", [run(3, web1="changed")], alone=False),
        lambda: before_generation("web1", found, "acme", 4),
    ):
        with pytest.raises(HostError, match="generation 5 is of the fleet other"):
            ask()


@pytest.mark.parametrize(
    ("found", "last", "told"),
    [
        (kept(), None, False),
        (kept(generation(4, 0, mark="")), None, True),
        (kept(generation(4, 7, mark="run-x"), generation(3, 2)), None, True),
        (kept(generation(4, 3)), None, False),
        (kept(generation(4, 0, "other", "")), None, False),
        (kept(replace(generation(4, 0, mark=""), when="u")), RUNS[1], True),
        (kept(replace(generation(4, 0, mark=""), when="s")), RUNS[1], False),
    ],
)
def test_a_change_that_no_recorded_run_made_is_told(found, last, told):
    error = unrecorded("web1", found, "acme", RUNS, last=last)
    assert (error is not None) is told
    if error:
        assert "--limit web1 --generation 4" in error.hint


def test_what_is_not_kept_is_an_error_where_it_was_changed():
    with pytest.raises(HostError, match="keeps nothing of run 3"):
        before_runs("web1", kept(), "acme", [run(3, web1="changed")], alone=True)
    way = before_runs("web1", kept(), "acme", [run(3, web1="unknown")], alone=True)
    assert way.generations == ()


def test_a_generation_that_is_not_there():
    with pytest.raises(HostError) as caught:
        before_generation("web1", kept(generation(2, 1), generation(1, 1)), "acme", 7)
    assert caught.value.hint == "kept are: 1 2"


def test_what_is_not_set_up_any_more_is_not_tested():
    whole = fleet([registry()], [client(hosts=(host("web1"), host("web2")))])
    there = Owned(services=(OwnedService("main-behind-a-gateway", "/d", registry="main"),))
    trust = Owned(files=("/etc/docker/certs.d/reg.example.com:5000/ca.crt",))
    seen = {
        "reg1": observed(owned={"acme": there}),
        "web1": observed(owned={"acme": trust}),
        "web2": observed(),
    }
    assert gone(whole, seen) == {
        "reg1": frozenset(), "web1": frozenset(), "web2": frozenset({"main"}),
    }  # fmt: skip
    assert gone(whole, {**seen, "reg1": observed()})["web1"] == {"main"}


def test_nor_where_the_login_went_with_the_rollback():
    login = Login("main", "ci", ("root",))
    whole = fleet([registry()], [client(hosts=(host("web1"), host("web2")), logins=(login,))])
    files = ("/etc/docker/certs.d/reg.example.com:5000/ca.crt",)
    kept = OwnedLogin("root", "reg.example.com:5000", "ci", "d")
    seen = {
        "web1": observed(owned={"acme": Owned(files=files, logins=(kept,))}),
        "web2": observed(owned={"acme": Owned(files=files)}),
    }
    assert gone(whole, seen) == {"web1": frozenset(), "web2": frozenset({"main"})}


def test_after_a_rollback_a_host_may_have_other_roles_than_the_fleet_file():
    path = "/etc/regfleet/main/roles.json"
    held = registry(projects=(Project("a", members=(Member("ci", "guest"),)),))
    there = roles.parse(roles.record(held))
    older = replace(there, members={"a": {"ci": "developer"}})
    file = observed(owned={"acme": Owned(files=(path,))})
    assert with_other_roles(fleet([held]), {"reg1": observed(roles={path: there})}) == frozenset()
    assert with_other_roles(fleet([held]), {"reg1": observed(roles={path: older})}) == {"main"}
    assert with_other_roles(fleet([held]), {"reg1": observed()}) == {"main"}
    assert with_other_roles(fleet([held]), {}) == frozenset()
    assert with_other_roles(fleet(), {"reg1": file}) == {"main"}
    assert with_other_roles(fleet(), {"reg1": observed()}) == frozenset()
