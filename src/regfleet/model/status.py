"""The result of `status`: hosts, registries, certificates, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from regfleet.model.contents import Contents
from regfleet.model.copies import CopyStatus
from regfleet.model.plan import Change
from regfleet.model.records import JobStatus
from regfleet.model.report import Origin
from regfleet.model.resource import Resource
from regfleet.unproven import Unproven

Health = Literal["healthy", "unhealthy", "unknown"]
HostState = Literal["ok", "differs", "drift", "unknown", "failed", "unreachable"]
UNKNOWN = ("unknown", "not compared", "room not known")
"""The attention words that mean that something is not known; they are shown first."""

LEAST_ROOM = 10  # per cent of a storage's bytes, or inodes
MOST_SKEW = 60  # seconds; a wrong clock makes certificates and tokens invalid


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
    """The status of one host.

    Attributes:
        reachable: whether regfleet could connect to it.
        engine: the engine that it must have, such as `docker`; empty for none.
        engine_state: as `ObservedEngine.state`; empty when the look failed.
        skew: by how many seconds, at least, its clock is ahead of this machine's; negative when
            it is behind.
        drift: the changes of its plan, without those in `unknown`.
        unknown: resources that cannot be compared, because a password or certificate is not
            known on this machine.
        reinstalled: what tells that it is another machine than at the last run; empty otherwise.
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
    unknown: tuple[Resource, ...] = ()
    reinstalled: str = ""
    error: str = ""
    hint: str = ""

    @property
    def state(self) -> HostState:
        """The worst state that applies."""
        if not self.reachable:
            return "unreachable"
        if self.error:
            return "failed"
        return self.difference or ("unknown" if self.unknown else "ok")

    @property
    def difference(self) -> Literal["", "differs", "drift"]:
        """`drift` when somebody may have changed the host; `differs` when only the fleet did."""
        if not self.drift:
            return ""
        return "differs" if all(each.origin == "fleet" for each in self.drift) else "drift"

    @property
    def attention(self) -> tuple[str, ...]:
        """What the operator should look at, in a few words each."""
        found = ["not compared"] if self.unknown else []
        if self.state in ("failed", "unreachable"):
            found.append(self.state)
        if self.difference:
            found.append("installed anew" if self.reinstalled else self.difference)
        if abs(self.skew) > MOST_SKEW:
            found.append("clock")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Certificate:
    """How long a certificate is valid.

    Attributes:
        days_left: whole days; negative when it has expired.
        warn: whether less than a third of its life is left.
        renewed: whether the next `apply` renews it.
    """

    not_after: datetime
    days_left: int
    warn: bool
    renewed: bool

    @classmethod
    def lasting(
        cls, start: datetime, end: datetime, now: datetime, *, renewed: bool
    ) -> Certificate:
        """A certificate that is valid from `start` to `end`."""
        left = end - now
        return cls(end, left // timedelta(days=1), left < (end - start) / 3, renewed)


@dataclass(frozen=True, slots=True)
class Room:
    """The free space of the file system that holds a registry's data.

    Attributes:
        size, free: bytes of the file system; others may use it too.
        inodes, free_inodes: 0 when their number is not fixed.
        per_day: growth of the used bytes in a day, since the last `apply` looked; negative when
            they shrank, None when it is not known.
    """

    size: int
    free: int
    inodes: int = 0
    free_inodes: int = 0
    per_day: int | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is short, in a few words each."""
        found = []
        if self.free * 100 < self.size * LEAST_ROOM or not self.size:
            found.append(f"less than {LEAST_ROOM} % free")
        if self.free_inodes * 100 < self.inodes * LEAST_ROOM:
            found.append(f"less than {LEAST_ROOM} % of the inodes free")
        if self.per_day is not None and self.per_day > self.free:
            found.append("full in less than a day at its present growth")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class WrongLogins:
    """Logins with a wrong password, or as nobody's user, in the last day.

    Attributes:
        count: how many, as far as the gateway's log goes back.
        addresses: from how many addresses; one that came by two gateways counts twice.
    """

    count: int
    addresses: int

    @classmethod
    def of_all(cls, found: Iterable[WrongLogins | None]) -> WrongLogins | None:
        """Those at several gateways; None where one could not be asked."""
        each = list(found)
        known = [one for one in each if one is not None]
        if not known or len(known) < len(each):
            return None
        return cls(sum(one.count for one in known), sum(one.addresses for one in known))


@dataclass(slots=True)
class RegistryStatus:
    """The status of one registry.

    Attributes:
        endpoint: as clients type it.
        proxy: the upstream's URL when it is a pull-through cache, else empty.
        api_version: its Docker-Distribution-API-Version, `registry/2.0`; empty when it sends none.
        certificate: None when regfleet manages no certificate for it, or does not know it.
        certificate_error: why the certificate is not known.
        contents: None when they could not be counted; `note` says why.
        room: None when it is external, or the look failed.
        room_unknown: whether its storage exists but its free space could not be read.
        read_only: whether it takes no pushes at the moment, for its garbage is being collected.
        wrong_logins: None where no gateway counts them, or it could not be asked.
        jobs: work on its host, by name, such as `collection`.
        before: the registries that its gateway stands before, where it is a gateway alone.
        served_by: the one of these that answers; empty where that is not known.
        error, hint: why it is not healthy, or why that is not known.
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
    room: Room | None = None
    room_unknown: bool = False
    read_only: bool = False
    wrong_logins: WrongLogins | None = None
    jobs: Mapping[str, JobStatus] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    served_by: str = ""
    note: str = ""
    error: str = ""
    hint: str = ""

    @property
    def attention(self) -> tuple[str, ...]:
        """What the operator should look at, in a few words each."""
        found = [] if self.health == "healthy" else [str(self.health)]
        if self.served_by and self.served_by != self.before[0]:
            found.append(f"served by {self.served_by}")
        if self.room_unknown:
            found.append("room not known")
        if self.room and self.room.warnings:
            found.append("room")
        if self.certificate_error or (self.certificate and self.certificate.warn):
            found.append("certificate")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Care:
    """How registries are cared for, as their hosts say.

    Attributes:
        registries: those whose hosts were looked at; without what only they themselves know.
    """

    registries: tuple[RegistryStatus, ...] = ()
    copies: tuple[CopyStatus, ...] = ()


@dataclass(slots=True)
class FleetStatus:
    """The status of a fleet at one moment.

    Attributes:
        when: the moment, with a time zone.
        hosts, registries: by name, in the fleet's order.
        left_out: the number of hosts that `--limit` or `--exclude` left out.
        authority: the fleet's CA; None when there is none.
        last_apply: when the last `apply` ended; None when it is not known.
        unknown: pairs of a reason why something could not be compared, and what to do.
        unproven: hosts that no smoke test has proven since they were changed, by name.
        copies: of the replications, by name.
    """

    fleet: str
    when: datetime
    hosts: Mapping[str, HostStatus] = field(default_factory=dict)
    registries: Mapping[str, RegistryStatus] = field(default_factory=dict)
    left_out: int = 0
    authority: Certificate | None = None
    last_apply: datetime | None = None
    unknown: tuple[tuple[str, str], ...] = ()
    unproven: Mapping[str, Unproven] = field(default_factory=dict)
    copies: Mapping[str, CopyStatus] = field(default_factory=dict)

    @property
    def attention(self) -> dict[str, tuple[str, ...]]:
        """What needs attention, and why, by name: `host web1`, `registry main`, `fleet CA`."""
        found = {f"host {name}": host.attention for name, host in self.hosts.items()}
        for name, registry in self.registries.items():
            of_jobs = (why for job in registry.jobs.values() for why in job.attention(self.when))
            found[f"registry {name}"] = (*registry.attention, *of_jobs)
        found |= {f"copy {name}": each.attention(self.when) for name, each in self.copies.items()}
        for name in self.unproven:
            found[f"host {name}"] = (*found.get(f"host {name}", ()), "not proven")
        if self.authority and self.authority.warn:
            found["fleet CA"] = ("certificate",)
        return {name: why for name, why in found.items() if why}

    @property
    def ok(self) -> bool:
        """Whether nothing needs attention and everything is known."""
        return not self.attention and not self.unknown
