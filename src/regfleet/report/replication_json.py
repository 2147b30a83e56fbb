"""The document of `replicate --json`."""

from __future__ import annotations

from collections.abc import Sequence

from regfleet.fleet.values import Json
from regfleet.report.status_json import VERSION, printable, run_document
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
        "result": run_document(found) if found else None,
    }
