"""What a survey found: hosts, registries, certificates, and what of it needs attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from regfleet.plan.model import Change
from regfleet.registry_api.contents import Contents
from regfleet.report.model import Origin

Health = Literal["healthy", "unhealthy", "unknown"]
HostState = Literal["ok", "drift", "failed", "unreachable"]

MOST_SKEW = 60  # seconds; certificates and tokens are judged by clocks


@dataclass(frozen=True, slots=True)
class Drift:
    """A change that a plan would make, and where the difference comes from.

    Attributes:
        origin: see `report.model.Origin`.
    """

    change: Change
    origin: Origin


@dataclass(slots=True)
class HostStatus:
    """One host's.

    Attributes:
        reachable: whether it could be connected to.
        engine: the engine that it is to have, `docker`; empty where that is none.
        engine_state: as `ObservedEngine.state`; empty where it was not seen.
        skew: seconds that its clock is ahead of ours, at least; negative behind.
        drift: the changes of its plan, those of `unknown` left out.
        unknown: resources that cannot be compared, since a password or certificate is not known.
        error, hint: why it cannot be reached or planned.
    """

    name: str
    reachable: bool = False
    os: str = ""
    engine: str = ""
    engine_state: str = ""
    version: str = ""
    skew: int = 0
    drift: tuple[Drift, ...] = ()
    unknown: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""

    @property
    def state(self) -> HostState:
        """The worst that is to be said."""
        if not self.reachable:
            return "unreachable"
        if self.error:
            return "failed"
        return "drift" if self.drift else "ok"

    @property
    def attention(self) -> tuple[str, ...]:
        """What somebody should look at, in a few words each."""
        found: list[str] = []
        if self.state in ("failed", "unreachable"):
            found.append(self.state)
        if self.drift:
            found.append("drift")
        if abs(self.skew) > MOST_SKEW:
            found.append("clock")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Certificate:
    """How long a certificate holds.

    Attributes:
        days_left: whole days; negative once it is over.
        warn: less than a third of its life is left.
        renewed: whether the next `apply` makes a new one by itself.
    """

    not_after: datetime
    days_left: int
    warn: bool
    renewed: bool

    @classmethod
    def lasting(
        cls, start: datetime, end: datetime, now: datetime, *, renewed: bool
    ) -> Certificate:
        """From its validity."""
        left = end - now
        return cls(end, left // timedelta(days=1), left < (end - start) / 3, renewed)


@dataclass(slots=True)
class RegistryStatus:
    """One registry's.

    Attributes:
        endpoint: as clients type it.
        proxy: what it is a pull-through cache of, empty where it is none.
        api_version: what it says of itself: `registry/2.0`; empty where it does not.
        certificate: None where it has none of ours or none is known.
        certificate_error: why none is known.
        contents: None where they could not be counted, for the reason in `note`.
        error, hint: why it is not healthy, or that is not known.
    """

    name: str
    endpoint: str
    external: bool
    proxy: str = ""
    health: Health = "unknown"
    api_version: str = ""
    certificate: Certificate | None = None
    certificate_error: str = ""
    contents: Contents | None = None
    note: str = ""
    error: str = ""
    hint: str = ""

    @property
    def attention(self) -> tuple[str, ...]:
        """What somebody should look at, in a few words each."""
        found = ["unhealthy"] if self.health == "unhealthy" else []
        if self.certificate_error or (self.certificate and self.certificate.warn):
            found.append("certificate")
        return tuple(found)


@dataclass(slots=True)
class FleetStatus:
    """A fleet's at one moment.

    Attributes:
        when: the moment, with a time zone.
        hosts, registries: by name, in the fleet's order.
        left_out: hosts that were not asked for.
        authority: the fleet's CA, None where there is none.
        last_apply: None where none is known.
        unknown: why something could not be compared, with what to do, a pair for each reason.
    """

    fleet: str
    when: datetime
    hosts: Mapping[str, HostStatus] = field(default_factory=dict)
    registries: Mapping[str, RegistryStatus] = field(default_factory=dict)
    left_out: int = 0
    authority: Certificate | None = None
    last_apply: datetime | None = None
    unknown: tuple[tuple[str, str], ...] = ()

    @property
    def attention(self) -> dict[str, tuple[str, ...]]:
        """What needs it, and why: `host web1`, `registry main`, `fleet CA`."""
        found = {f"host {name}": host.attention for name, host in self.hosts.items()}
        found |= {f"registry {name}": each.attention for name, each in self.registries.items()}
        if self.authority and self.authority.warn:
            found["fleet CA"] = ("certificate",)
        return {name: why for name, why in found.items() if why}

    @property
    def ok(self) -> bool:
        """Whether nothing needs attention."""
        return not self.attention
