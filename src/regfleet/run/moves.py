"""Registries that came behind a gateway, or from behind one, and then failed a smoke test. Pure.

A touch proves that the gateway works, by a request on its own host. Whether clients can work with
it only they can tell: so where one cannot, what the run did to the registry is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regfleet.desired.resolve import clients_of
from regfleet.errors import HostError
from regfleet.fleet.model import Fleet
from regfleet.jobs.rollback import Rollback
from regfleet.model.plan import Plan
from regfleet.model.report import Report
from regfleet.touch.generations import Generations

# Checks that fail for what a client itself lacks.
_OF_CLIENT = frozenset({"present", "remove", "run"})


@dataclass(frozen=True, slots=True)
class Failed:
    """A registry that moved and does not serve as it should.

    Attributes:
        checks: `CHECK on HOST` of each that failed.
    """

    registry: str
    checks: tuple[str, ...]

    @property
    def message(self) -> str:
        """What happened to its host, and why."""
        return (
            f"the smoke test of {self.registry} failed behind what is new there "
            f"({', '.join(self.checks)}): this run's changes were taken back on this host"
        )


def failed(fleet: Fleet, report: Report) -> dict[str, Failed]:
    """By host, the registries that moved there in this run and failed a smoke test."""
    found: dict[str, Failed] = {}
    for name, host in report.hosts.items():
        if host.status != "changed" or host.plan is None:
            continue
        for registry in _moved(fleet, host.plan):
            checks = tuple(
                f"{check.name.partition('/')[2]} on {other.name}"
                for other in report.hosts.values()
                if other.name == name or clients_of(fleet, other.name)
                for check in other.failed_checks
                if check.name.partition("/")[0] == registry
                and check.name.partition("/")[2] not in _OF_CLIENT
            )
            if checks:
                found[name] = Failed(registry, checks)
    return found


def _moved(fleet: Fleet, plan: Plan) -> list[str]:
    """The registries that were there before, and whose gateway is made or goes."""
    actions: Mapping[str, str] = {each.resource.name: each.action for each in plan.changes}
    return [
        name
        for name in fleet.registries
        if actions.get(f"regfleet-{name}.gateway") in ("create", "delete")
        and actions.get(f"regfleet-{name}") in ("update", "run")
    ]


def way_back(host: str, found: Generations, run: str) -> Rollback:
    """The job that takes a run's change of a host back.

    Args:
        run: the run's id.

    Raises:
        HostError: the host's newest change is not that run's.
    """
    newest = next(iter(found.kept), None)
    if newest is None or newest.id != run:
        raise HostError(
            host,
            "a smoke test of its registry failed, and what this run changed cannot be taken back: "
            "another change came later",
            f"see `regfleet history FILE --host {host}`",
        )
    return Rollback(newest.number, newest.number)
