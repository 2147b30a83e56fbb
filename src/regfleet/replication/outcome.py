"""How a run of a copy ended, from the engine's document; its text is not trusted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regfleet.fleet.model import Json

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
_MOST = 1 << 60
_MOST_LINES = 1000
_MOST_CHARACTERS = 400


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


def parse(document: Mapping[str, Json]) -> CopyOutcome:
    """The outcome that a document tells of.

    Raises:
        ValueError: it is none of the engine's.
    """
    state = document.get("state")
    if state not in STATES:
        raise ValueError("no state")
    counts = document.get("counts")
    requests = document.get("requests")
    return CopyOutcome(
        state=str(state),
        counts={name: _number(counts, name) for name in COUNTS},
        started=_number(document, "started"),
        seconds=float(_number(document, "seconds")),
        requests=_number(requests, "source") + _number(requests, "target"),
        errors=_lines(document, "errors"),
        notices=_lines(document, "notices"),
        would=_lines(document, "would"),
        complete=_number(document, "complete") or None,
    )


def _number(table: object, name: str) -> int:
    found = table.get(name) if isinstance(table, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < _MOST:
        return 0
    return int(found)


def _lines(document: Mapping[str, Json], name: str) -> tuple[str, ...]:
    found = document.get(name)
    lines = found if isinstance(found, list) else []
    return tuple(each[:_MOST_CHARACTERS] for each in lines[:_MOST_LINES] if isinstance(each, str))
