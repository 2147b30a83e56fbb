"""What was done to images (deleted, collected, promoted, backed up): a file for each in `images/`.

Runs that change hosts are in the journal, which `rollback` reads; nothing here can be taken back by
it, and nothing here takes the place of a run there. The files hold no secrets.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import cast

from regfleet import journal, kept, state_paths
from regfleet.errors import RegfleetError, StateError
from regfleet.fleet.values import Json
from regfleet.state import StateDirectory

KEPT = 200
MOST_LINES = 50  # of one entry
_LONGEST = 300  # characters of a line
VERSION = 1
_TEXTS = ("command", "line", "who", "origin", "began", "ended", "error")


@dataclass(frozen=True, slots=True)
class Entry:
    """One command.

    Attributes:
        command: `delete`, `prune`, `gc`, `promote`, `demote`, ...
        line, who, origin, began, ended: as in `journal.Run`.
        ok: whether all went well; None when it was cut off.
        did: what it did, the first lines of it.
        more: how many further lines there were.
        error: why it ended.
    """

    command: str
    line: str
    who: str
    origin: str
    began: str
    ended: str = ""
    ok: bool | None = None
    did: tuple[str, ...] = ()
    more: int = 0
    error: str = ""


class Note:
    """What a command has done so far."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ok = True

    def did(self, line: str) -> None:
        """Note a thing that is done."""
        self.lines.append(line[:_LONGEST])

    def failed(self, line: str) -> None:
        """Note a thing that was not done."""
        self.ok = False
        self.did(f"not done: {line}")


@contextmanager
def noted(state: StateDirectory, command: str) -> Iterator[Note]:
    """Record a command before it changes anything, and what it did when it ends, however it does.

    Raises:
        StateError: it cannot be recorded; then nothing was changed, or all that was is shown.
    """
    entry = Entry(command, journal.line(), journal.user(), journal.origin(), journal.now())
    name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
    _write(state, name, entry)
    for old in _names(state)[:-KEPT]:
        state.remove(state_paths.image_entry(old))
    note, error, ok = Note(), "interrupted", False
    try:
        yield note
        error, ok = "", note.ok
    except RegfleetError as failure:
        error = failure.message
        raise
    finally:
        did = tuple(note.lines[:MOST_LINES])
        _write(
            state,
            name,
            replace(
                entry,
                ended=journal.now(),
                ok=ok,
                did=did,
                more=len(note.lines) - len(did),
                error=error[:_LONGEST],
            ),
        )


def read(state: StateDirectory) -> list[Entry]:
    """All entries, the newest first.

    Raises:
        StateError: a file cannot be read, or regfleet did not write it.
    """
    return [_read(state, name) for name in reversed(_names(state))]


def _write(state: StateDirectory, name: str, entry: Entry) -> None:
    text = json.dumps({"version": VERSION, **asdict(entry)}, indent=1)
    state.write_text(state_paths.image_entry(name), f"{text}\n")


def _names(state: StateDirectory) -> Sequence[str]:
    found = map(state_paths.image_entry_name, state.names(state_paths.IMAGES))
    return sorted(name for name in found if name is not None)


def _read(state: StateDirectory, name: str) -> Entry:
    file = state_paths.image_entry(name)
    hint = "restore it from a backup, or remove it: the history then lacks that command"
    found = kept.read(state, file, VERSION, _parse, hint)
    if found is None:
        raise StateError(f"{state.path_of(file)} has just been removed", "run the command again")
    return found


def _parse(found: Mapping[str, Json]) -> Entry:
    ok = found["ok"]
    return Entry(
        **{key: str(found[key]) for key in _TEXTS},
        ok=None if ok is None else bool(ok),
        did=tuple(map(str, cast("list[Json]", found["did"])[:MOST_LINES])),
        more=int(cast("int", found["more"])),
    )
