"""Everything that was collected, for the diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regfleet.desired.model import DesiredHost
from regfleet.doctor.signs import Signs
from regfleet.errors import RegfleetError
from regfleet.fleet.model import Fleet, Registry
from regfleet.look.observed import ObservedHost


@dataclass(frozen=True, slots=True)
class HostExam:
    """One host's.

    Attributes:
        reached: whether it could be connected to.
        seen, signs: None where it could not be looked at, for the reason in `error`.
        skew: seconds that its clock is ahead of ours, at least; negative behind.
        refused: why a plan of it would be refused.
    """

    name: str
    reached: bool = True
    seen: ObservedHost | None = None
    signs: Signs | None = None
    skew: int = 0
    error: RegfleetError | None = None
    refused: RegfleetError | None = None


@dataclass(frozen=True, slots=True)
class RegistryExam:
    """What a registry answered from here, through its host where it is ours.

    Attributes:
        user: as whom it was asked; empty for nobody.
        error: None where it answered as it should.
    """

    name: str
    user: str = ""
    error: RegfleetError | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A fleet's.

    Attributes:
        desired, unknown: as `known.Known.desired` gives them.
        hosts: those that were examined.
        registries: those that were asked.
        errors: why something of the fleet is not known here.
    """

    fleet: Fleet
    desired: Mapping[str, DesiredHost]
    hosts: Mapping[str, HostExam]
    registries: Mapping[str, RegistryExam]
    unknown: Mapping[str, frozenset[str]] = field(default_factory=dict)
    errors: tuple[RegfleetError, ...] = ()

    def applied(self, name: str) -> bool:
        """Whether there is anything of this fleet on a host; what is not known counts as yes."""
        exam = self.hosts.get(name)
        return exam is None or exam.seen is None or self.fleet.name in exam.seen.owned

    def by_endpoint(self, endpoint: str) -> Registry | None:
        """The declared registry of that endpoint."""
        registries = self.fleet.registries.values()
        return next((each for each in registries if each.endpoint == endpoint), None)
