"""Reads the engine's document of a run; its text is not trusted. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from regfleet.fleet.values import Json
from regfleet.model.copies import COUNTS, STATES, CopyOutcome

_MOST = 1 << 60
_MOST_LINES = 1000
_MOST_CHARACTERS = 400


def parse_text(text: str) -> CopyOutcome | None:
    """The outcome that a record tells of; None for one that cannot be read."""
    try:
        found = json.loads(text)
        return parse(found) if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        return None


def parse(document: Mapping[str, Json]) -> CopyOutcome:
    """The outcome that a document tells of.

    Raises:
        ValueError: it is none of the engine's.
    """
    state, started = document.get("state"), _number(document, "started")
    seconds = document.get("seconds")
    if state not in STATES:
        raise ValueError("no state")
    counts = document.get("counts")
    requests = document.get("requests")
    return CopyOutcome(
        state=str(state),
        counts={name: _number(counts, name) for name in COUNTS},
        started=started,
        seconds=round(seconds, 1) if isinstance(seconds, float) and 0 <= seconds < _MOST else 0.0,
        requests=_number(requests, "source") + _number(requests, "target"),
        errors=_lines(document, "errors"),
        notices=_lines(document, "notices"),
        would=_lines(document, "would"),
        complete=_number(document, "complete") or (started if state == "ok" else None) or None,
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
