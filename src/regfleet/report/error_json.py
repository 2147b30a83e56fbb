"""The document of `--json` for a command that failed without a result. Pure."""

from __future__ import annotations

import json

from regfleet.errors import FleetFileError, RegfleetError
from regfleet.fleet.values import Json
from regfleet.terminal.cleaning import escape_json

VERSION = 1


def error_document(error: RegfleetError, exit_code: int | None = None) -> str:
    """`{"version": 1, "ok": false, "error": {...}}`; docs/json.md explains it.

    Args:
        exit_code: the process's exit code, if it differs from the error's own.
    """
    told: dict[str, Json] = {
        "kind": error.sort,
        "message": error.message,
        "hint": error.hint or None,
        "exit_code": error.exit_code if exit_code is None else exit_code,
    }
    if isinstance(error, FleetFileError):
        told["mistakes"] = mistakes(error)
    return escape_json(
        json.dumps({"version": VERSION, "ok": False, "error": told}, indent=2, ensure_ascii=False)
    )


def mistakes(error: FleetFileError) -> list[Json]:
    """The mistakes of a fleet file, in file order."""
    return [
        {
            "path": each.path,
            "line": each.line,
            "message": each.message,
            "hint": each.hint,
            "file": each.file,
        }
        for each in error.mistakes
    ]
