"""The document of `replicate --json`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from regfleet.fleet.model import Json
from regfleet.replication.outcome import CopyOutcome
from regfleet.report.status_json import VERSION, moment, printable
from regfleet.run.replicating import Result


def document(fleet: str, results: Sequence[Result], *, dry: bool) -> str:
    """The results of copies as JSON; null for what did not run."""
    copies: dict[str, Json] = {each.copy.name: _copy(each) for each in results}
    return printable(
        {
            "version": VERSION,
            "fleet": fleet,
            "dry_run": dry,
            "copies": copies,
            "ok": all(each.ok for each in results),
        }
    )


def _copy(result: Result) -> Json:
    copy, found = result.copy, result.outcome
    return {
        "policy": copy.policy.name,
        "source": copy.source.name,
        "target": copy.target.name,
        "host": copy.host.name if copy.host else None,
        "error": f"{result.error} (hint: {result.hint})" if result.hint else result.error or None,
        "result": run(found) if found else None,
    }


def run(found: CopyOutcome) -> Json:
    """One run of a copy."""
    return {
        "state": found.state,
        "started": _time(found.started),
        "seconds": found.seconds,
        "complete": _time(found.complete),
        "counts": dict(found.counts),
        "requests": found.requests,
        "errors": list(found.errors),
        "notices": list(found.notices),
        "would": list(found.would),
    }


def _time(seconds: int | None) -> str | None:
    """A time in UTC; None for one that cannot be."""
    try:
        return moment(datetime.fromtimestamp(seconds, timezone.utc)) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None
