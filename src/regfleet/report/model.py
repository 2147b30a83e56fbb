"""What came of a run, host by host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from regfleet.errors import InterruptedRunError, RegfleetError, UnreachableError
from regfleet.plan.model import Change, Plan
from regfleet.smoke.outcome import Check

Status = Literal["unchanged", "changed", "rolled-back", "failed", "unreachable", "skipped"]

# Where a difference comes from: the host was changed; what is declared for it (or a password or
# certificate) was; it cannot be told.
Origin = Literal["host", "fleet", "unclear"]


@dataclass(slots=True)
class HostReport:
    """One host's.

    Attributes:
        plan: what was to be done, None when the host could not be looked at.
        checks: the smoke test's, in their order; none where it did not run.
        seconds: how long looking, touching and smoking took.
        notes: what else the host had to say.
        untested: it was changed, and the smoke test that was due did not run.
        origins: where the differences behind the plan's changes come from.
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
    origins: Mapping[Change, Origin] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong here."""
        return self.status in ("unchanged", "changed") and not self.failed_checks

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == "failed")

    def fail(self, error: RegfleetError, status: Status = "failed") -> None:
        """Note an error."""
        if isinstance(error, UnreachableError):
            status = "unreachable"
        elif isinstance(error, InterruptedRunError):
            status = "skipped"
        self.status = status
        self.error, self.hint = error.message, error.hint


@dataclass(slots=True)
class Report:
    """A whole run's.

    Attributes:
        hosts: by name, in the fleet's order.
    """

    fleet: str
    hosts: Mapping[str, HostReport] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong anywhere."""
        return all(host.ok for host in self.hosts.values())
