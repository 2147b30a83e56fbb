"""Which registries that moved behind a gateway are taken back, and by what."""

import pytest
from making import client, fleet, host, registry
from reports import planned, report

from regfleet.errors import HostError
from regfleet.jobs.rollback import Rollback
from regfleet.model.checks import Check
from regfleet.model.plan import Change
from regfleet.model.resource import Resource
from regfleet.run import moves
from regfleet.touch.generations import Generation, Generations

FLEET = fleet([registry(hosts=(host("reg1"),))], [client(hosts=(host("web1"),))])
MOVES = (("update", "regfleet-main"), ("create", "regfleet-main.gateway"))


def changes(*each):
    return tuple(
        Change(Resource("container", name), action, "registry.main") for action, name in each
    )


def found(of_registry, checks, status="changed", own=()):
    reg1 = planned("reg1", changes(*of_registry))
    reg1.status = status
    reg1.checks = tuple(Check(*each) for each in own)
    web1 = planned("web1", ())
    web1.checks = tuple(Check(*each) for each in checks)
    return moves.failed(FLEET, report(reg1, web1))


PULL = ("main/pull", "failed")


@pytest.mark.parametrize("of_registry", [MOVES, (MOVES[0], ("delete", "regfleet-main.gateway"))])
def test_a_move_whose_smoke_test_fails(of_registry):
    (failed,) = found(of_registry, [PULL, ("main/push", "passed")]).values()
    assert (failed.registry, failed.checks) == ("main", ("pull on web1",))
    assert "the smoke test of main failed" in failed.message


def test_its_own_roles_count():
    (failed,) = found(MOVES, [], own=[("main/guest-push-refused", "failed")]).values()
    assert failed.checks == ("guest-push-refused on reg1",)


@pytest.mark.parametrize(
    ("of_registry", "checks", "status"),
    [
        (MOVES, [("main/pull", "passed")], "changed"),
        (MOVES, [("main/pull", "skipped")], "changed"),
        (MOVES, [("other/pull", "failed")], "changed"),
        (MOVES, [("main/present", "failed")], "changed"),  # of the client alone
        (MOVES, [PULL], "rolled-back"),
        ((("update", "regfleet-main.gateway"),), [PULL], "changed"),
        ((("create", "regfleet-main"), ("create", "regfleet-main.gateway")), [PULL], "changed"),
    ],
)
def test_what_is_not_taken_back(of_registry, checks, status):
    assert found(of_registry, checks, status) == {}


def test_only_what_this_run_changed_is_taken_back():
    kept = Generations((Generation(7, id="run-1"), Generation(6, id="run-0")))
    assert moves.way_back("reg1", kept, "run-1") == Rollback(7, 7)
    for other in (Generations(), Generations((Generation(8, id="run-2"), *kept.kept))):
        with pytest.raises(HostError, match="another change came later"):
            moves.way_back("reg1", other, "run-1")
