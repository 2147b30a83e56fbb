"""How the copies of a replication ended, and how they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

COUNTS = (
    "repositories",
    "tags",
    "same",
    "copied",
    "kept",
    "left",
    "deleted",
    "failed",
    "manifests",
    "blobs",
    "mounted",
    "present",
    "bytes",
    "resumed",
)
STATES = ("ok", "failed", "away", "busy", "deadline", "stopped")
_LATE = 3  # intervals without a complete run, after which a copy needs attention
_GRACE = 600  # seconds beside these


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """One run of a copy.

    Attributes:
        state: see `STATES`; `engine.Run.result` says what they mean.
        counts: by the names in `COUNTS`.
        started: when it began, in seconds since 1970.
        seconds: how long it took.
        requests: to source and target together.
        complete: when the last run began that copied everything; None for none so far.
        would: what a dry run would do.
    """

    state: str
    counts: Mapping[str, int] = field(default_factory=dict)
    started: int = 0
    seconds: float = 0.0
    requests: int = 0
    errors: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    would: tuple[str, ...] = ()
    complete: int | None = None

    @property
    def ok(self) -> bool:
        """Whether everything is at the target as it should be."""
        return self.state == "ok"


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """One copy, and its last run.

    Attributes:
        host: the host that it runs on; empty for the machine that runs regfleet.
        every: seconds between its runs by itself; 0 for none.
        last: its last run; None for none that is known.
        error: why nothing is known.
    """

    name: str
    source: str
    target: str
    host: str
    every: int
    last: CopyOutcome | None = None
    error: str = ""

    def lag(self, now: datetime) -> int | None:
        """Seconds since the last complete run began: what is newer may not be at the target."""
        if self.last is None or self.last.complete is None:
            return None
        return max(0, int(now.timestamp()) - self.last.complete)

    def attention(self, now: datetime) -> tuple[str, ...]:
        """What the operator should look at, in a few words each."""
        found = ["unknown"] if self.error else []
        if self.last and self.last.state in ("failed", "away", "deadline"):
            found.append(self.last.state)
        lag = self.lag(now)
        late = lag is not None and lag > _LATE * self.every + _GRACE
        if self.every and not self.error and (self.last is None or lag is None or late):
            found.append("late")
        return tuple(found)
