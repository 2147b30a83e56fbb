"""The document of `history --json`."""

from __future__ import annotations

from collections.abc import Sequence

from regfleet.fleet.values import Json
from regfleet.image_work import Entry
from regfleet.journal import Run
from regfleet.model.resource import Resource
from regfleet.report.resource_text import resource_text
from regfleet.report.status_json import printable
from regfleet.touch.generations import Generation

VERSION = 1


def document(
    fleet: str,
    runs: Sequence[Run],
    host: str = "",
    kept: Sequence[Generation] = (),
    images: Sequence[Entry] = (),
) -> str:
    """Runs, the newest first, and the generations that a host keeps.

    Args:
        host: the host's name; empty for runs only.
        images: what was done to images, the newest first.
    """
    found: dict[str, Json] = {
        "version": VERSION,
        "fleet": fleet,
        "runs": [_run(run) for run in runs],
    }
    if not host:
        found["images"] = [_entry(each) for each in images]
    if host:
        found |= {"host": host, "generations": [_generation(each) for each in kept]}
    return printable(found)


def _changes(changes: Sequence[tuple[str, Resource]]) -> list[Json]:
    return [{"action": action, "resource": resource_text(resource)} for action, resource in changes]


def _run(run: Run) -> Json:
    return {
        "number": run.number,
        "id": run.id,
        "command": run.command,
        "line": run.line,
        "who": run.who,
        "origin": run.origin,
        "began": run.began,
        "ended": run.ended or None,
        "ok": run.ok,
        "hosts": {
            name: {
                "status": host.status or None,
                "changes": _changes(host.changes),
                "error": host.error or None,
                "undone_by": host.undone or None,
            }
            for name, host in run.hosts.items()
        },
    }


def _entry(each: Entry) -> Json:
    return {
        "command": each.command,
        "line": each.line,
        "who": each.who,
        "origin": each.origin,
        "began": each.began,
        "ended": each.ended or None,
        "ok": each.ok,
        "did": list(each.did),
        "further": each.more,
        "error": each.error or None,
    }


def _generation(each: Generation) -> Json:
    return {
        "generation": each.number,
        "fleet": each.fleet,
        "when": each.when or None,
        "run": each.run or None,
        "id": each.id or None,
        "who": each.who or None,
        "changes": _changes(each.changes),
        "files_that_come_back": list(each.present),
        "files_that_go": list(each.absent),
        "containers": list(each.services),
    }
