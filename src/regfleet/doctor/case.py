"""The facts that a diagnosis is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regfleet.doctor.signs import Signs
from regfleet.errors import RegfleetError
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Plan
from regfleet.model.resource import Resource


@dataclass(frozen=True, slots=True)
class HostExam:
    """The examination of one host.

    Attributes:
        reached: whether the connection succeeded.
        seen, signs: None if reading the host failed; `error` says why.
        skew: seconds, at least, that its clock is ahead of this machine's; negative if behind.
        refused: the error that planning it raised.
        plan: what an apply would change on it; None if unknown.
    """

    name: str
    reached: bool = True
    seen: ObservedHost | None = None
    signs: Signs | None = None
    skew: int = 0
    error: RegfleetError | None = None
    refused: RegfleetError | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class RegistryExam:
    """What a registry answered to this machine; an own registry is asked through its host.

    Attributes:
        user: the user it was asked as; empty for none.
        error: None if it answered as it should.
    """

    name: str
    user: str = ""
    error: RegfleetError | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """The facts of a fleet.

    Attributes:
        desired, unknown: as in `Wanted`.
        hosts: the examined hosts, by name.
        registries: the asked registries, by name.
        errors: why some secret of the fleet is unknown here.
    """

    fleet: Fleet
    desired: Mapping[str, DesiredHost]
    hosts: Mapping[str, HostExam]
    registries: Mapping[str, RegistryExam]
    unknown: Mapping[str, frozenset[Resource]] = field(default_factory=dict)
    errors: tuple[RegfleetError, ...] = ()

    def applied(self, name: str) -> bool:
        """Whether this fleet owns anything on a host; unknown counts as yes."""
        exam = self.hosts.get(name)
        return exam is None or exam.seen is None or self.fleet.name in exam.seen.owned

    def by_endpoint(self, endpoint: str) -> Registry | None:
        """The declared registry with this endpoint."""
        registries = self.fleet.registries.values()
        return next((each for each in registries if each.endpoint == endpoint), None)
