"""How the last run of a job on a host ended, whoever began it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from regfleet.fleet.schedules import NEVER, Schedule

_LATE = 2  # intervals without a run, after which a job needs attention
_GRACE = 3 * 3600  # seconds beside these: it waits for other work on the host


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One run.

    Attributes:
        run: its mark; `timer-…` for one that the host began by itself.
        who: who began it, as the lock says it.
        began: seconds since 1970, by the host's clock.
        seconds: how long it took.
        result: `changed`, `unchanged`, `rolled-back` or `failed`, as of a touch.
        error, hint: why it failed, and what to do.
    """

    run: str
    who: str
    began: int
    seconds: int
    result: str
    error: str = ""
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.result in ("changed", "unchanged")

    @property
    def by_itself(self) -> bool:
        """Whether the host began it."""
        return self.run.startswith("timer-")


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job for a registry, and its last run.

    Attributes:
        job: its name, such as `collection`.
        schedule: when the host does it by itself.
        last: its last run, whoever began it; None for none that is known.
        figures: numbers of what that run did, by name.
        error: why nothing is known.
    """

    job: str
    schedule: Schedule = NEVER
    last: JobRecord | None = None
    figures: Mapping[str, int] = field(default_factory=dict)
    error: str = ""

    def attention(self, now: datetime) -> tuple[str, ...]:
        """What the operator should look at, in a few words each."""
        if self.error:
            return (f"{self.job} not known",)
        if self.last is None:
            return ()
        found = [] if self.last.ok else [f"{self.job} {self.last.result}"]
        late = now.timestamp() - self.last.began > _LATE * self.schedule.every + _GRACE
        return (*found, f"{self.job} late") if self.schedule.every and late else tuple(found)
