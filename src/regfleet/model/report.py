"""The result of a run, host by host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from regfleet.errors import InterruptedRunError, RegfleetError, UnreachableError
from regfleet.model.checks import Check
from regfleet.model.plan import Change, Plan
from regfleet.model.resource import Resource
from regfleet.unproven import Unproven

Status = Literal["unchanged", "changed", "rolled-back", "failed", "unreachable", "skipped"]

# Where a difference comes from: somebody changed the host (`host`); the fleet file, a password or
# a certificate changed (`fleet`); regfleet cannot tell (`unclear`).
Origin = Literal["host", "fleet", "unclear"]


@dataclass(frozen=True, slots=True)
class NotCompared:
    """A resource that was not compared, because its content is not known on this machine.

    Attributes:
        users: the users whose passwords it holds; empty when naming them says no more than the
            resource does.
        reason: the place in the fleet file that asks for it; empty as `users`.
    """

    resource: Resource
    users: tuple[str, ...] = ()
    reason: str = ""


@dataclass(slots=True)
class HostReport:
    """The result of a run on one host.

    Attributes:
        plan: the host's plan; None when the look failed.
        checks: the smoke test's checks, in their order; none when it did not run.
        seconds: how long the look, the touch and the smoke test took together.
        notes: further messages from the host.
        untested: whether no smoke test has finished since the host, or a registry that it uses,
            was changed.
        unknown: resources that were not compared.
        uncertain: whether the touch failed without telling whether it changed the host.
        origins: the origin of the difference behind each of the plan's changes.
        skip: why the run is not going to touch the host, where the looks have shown it already;
            empty otherwise.
        reinstalled: what tells that it is another machine than at the last run; empty otherwise.
    """

    name: str
    status: Status = "unchanged"
    plan: Plan | None = None
    error: str = ""
    hint: str = ""
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    untested: bool = False
    unknown: tuple[NotCompared, ...] = ()
    uncertain: bool = False
    origins: Mapping[Change, Origin] = field(default_factory=dict)
    skip: str = ""
    reinstalled: str = ""

    @property
    def went_well(self) -> bool:
        """Whether the host has its desired state, whatever the smoke test found."""
        return self.status in ("unchanged", "changed")

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong on this host."""
        return self.went_well and not self.failed_checks

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == "failed")

    def fail(self, error: RegfleetError, status: Status = "failed") -> None:
        """Record an error and the status that it means."""
        if isinstance(error, UnreachableError):
            status = "unreachable"
        elif isinstance(error, InterruptedRunError):
            status = "skipped"
        self.end(status, error.message, error.hint)

    def end(self, status: Status, error: str, hint: str) -> None:
        """Record a result; what failed earlier in this run is made good by no later work."""
        if self.went_well:
            self.status, self.error, self.hint = status, error, hint
            return
        if status == "unreachable" or self.status == "skipped":
            self.status = status if status not in ("unchanged", "changed") else self.status
        self.error = "; ".join(dict.fromkeys(filter(None, (self.error, error))))
        self.hint = "; ".join(dict.fromkeys(filter(None, (self.hint, hint))))


@dataclass(slots=True)
class Report:
    """The result of a whole run.

    Attributes:
        hosts: by name, in the fleet's order.
        unproven: hosts of the fleet, also outside this run, that no smoke test has proven since
            they were changed, by name.
        owed: whether this run had to smoke-test: a host of the run in `unproven` is a failure.
        gone: hosts that left the fleet file and that `destroy` has not cleaned, by name, with
            their groups.
    """

    fleet: str
    hosts: Mapping[str, HostReport] = field(default_factory=dict)
    unproven: Mapping[str, Unproven] = field(default_factory=dict)
    owed: bool = False
    gone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong, and every host that had to be smoke-tested is proven."""
        owing = self.owed and any(name in self.unproven for name in self.hosts)
        return not owing and all(host.ok for host in self.hosts.values())
