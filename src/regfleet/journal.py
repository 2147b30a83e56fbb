"""The journal of runs that changed hosts or were about to: a numbered file each in `runs/`.

The state directory has `runs/0012.json` beside the page of that run. The files hold no secrets:
they name changes as a plan does.
"""

from __future__ import annotations

import getpass
import json
import os
import shlex
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import cast

from regfleet import kept, state_paths
from regfleet.errors import StateError
from regfleet.fleet.values import Json
from regfleet.model.resource import Resource, from_note, note_of
from regfleet.state import StateDirectory

KEPT = 50
VERSION = 1
_TEXTS = ("id", "command", "line", "who", "origin", "began", "ended")
UNKNOWN = "unknown"  # the run could not tell whether the host was changed
MAYBE_CHANGED = ("changed", UNKNOWN, "")


@dataclass(frozen=True, slots=True)
class HostRun:
    """What a run did to one host.

    Attributes:
        status: as in a report, or `unknown`; empty when the run was cut off before it could say.
        changes: action and resource of each planned change.
        error: why it failed.
        undone: the number of the run that rolled it back, 0 for none.
    """

    status: str = ""
    changes: tuple[tuple[str, Resource], ...] = ()
    error: str = ""
    undone: int = 0

    @property
    def stands(self) -> bool:
        """Whether it changed the host, or may have, and was not rolled back."""
        return self.status in MAYBE_CHANGED and not self.undone


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        number: counts from 1 in this state directory.
        id: the id that hosts record, unique among all state directories.
        command: `apply`, `rollback`, `destroy` or `pyinfra`.
        line: the command line as typed.
        who: the user.
        origin: the machine, and the address from which its user had logged in.
        began, ended: UTC, `2026-01-31T12:00:00Z`; `ended` is empty when the run was cut off.
        ok: whether all went well; None when the run was cut off.
        hosts: the hosts that it was about to change, by name.
    """

    number: int
    id: str
    command: str
    line: str
    who: str
    origin: str
    began: str
    ended: str = ""
    ok: bool | None = None
    hosts: Mapping[str, HostRun] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """The name of its page in the state directory."""
        return state_paths.run_page(self.number)


def begin(
    state: StateDirectory,
    command: str,
    mark: str,
    hosts: Mapping[str, tuple[tuple[str, Resource], ...]],
) -> Run:
    """Record a run before it changes anything; it gets the next number.

    Args:
        mark: the run's id.
        hosts: the changes that it is about to make (action and resource), by host.

    Raises:
        StateError: the record cannot be written.
    """
    numbers = _run_numbers(state)
    run = Run(
        max(numbers, default=0) + 1,
        mark,
        command,
        line("pyinfra" if command == "pyinfra" else "regfleet"),
        user(),
        origin(),
        now(),
        hosts={name: HostRun(changes=changes) for name, changes in hosts.items()},
    )
    write(state, run)
    for number in sorted({*numbers, run.number})[:-KEPT]:
        state.remove(state_paths.run_entry(number))
        state.remove(state_paths.run_page(number))
    return run


def finish(
    state: StateDirectory, run: Run, hosts: Mapping[str, HostRun], *, ok: bool | None
) -> Run:
    """Record the end of a run, or the result of some of its hosts.

    Args:
        ok: whether all went well; None when the run continues.

    Raises:
        StateError: the record cannot be written.
    """
    ended = "" if ok is None else now()
    noted = replace(run, hosts={**run.hosts, **hosts}, ended=ended, ok=ok)
    write(state, noted)
    return noted


def write(state: StateDirectory, run: Run) -> None:
    """Replace a run's file.

    Raises:
        StateError: it cannot be written.
    """
    document = {
        "version": VERSION,
        "number": run.number,
        "id": run.id,
        "command": run.command,
        "line": run.line,
        "who": run.who,
        "origin": run.origin,
        "began": run.began,
        "ended": run.ended,
        "ok": run.ok,
        "hosts": {
            name: {
                "status": host.status,
                "changes": [[action, note_of(resource)] for action, resource in host.changes],
                "error": host.error,
                "undone": host.undone,
            }
            for name, host in run.hosts.items()
        },
    }
    text = json.dumps(document, indent=1, ensure_ascii=True)
    state.write_text(state_paths.run_entry(run.number), f"{text}\n")


def read(state: StateDirectory) -> list[Run]:
    """All recorded runs, the newest first.

    Raises:
        StateError: a file cannot be read, or regfleet did not write it.
    """
    return [_read(state, number) for number in sorted(_run_numbers(state), reverse=True)]


def now() -> str:
    """The present time, as `Run.began` has it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _run_numbers(state: StateDirectory) -> set[int]:
    found = map(state_paths.run_number, state.names(state_paths.RUNS))
    return {number for number in found if number is not None}


def _read(state: StateDirectory, number: int) -> Run:
    name = state_paths.run_entry(number)
    hint = "restore it from a backup, or remove it: the history then lacks that run"
    found = kept.read(state, name, VERSION, _parse_run, hint)
    if found is None:
        raise StateError(f"{state.path_of(name)} has just been removed", "run the command again")
    return found


def _parse_run(found: Mapping[str, Json]) -> Run:
    hosts = cast("Mapping[str, Mapping[str, Json]]", found["hosts"])
    ok = found["ok"]
    text = {key: str(found[key]) for key in _TEXTS}
    return Run(
        int(cast("int", found["number"])),
        **text,
        ok=None if ok is None else bool(ok),
        hosts={name: _parse_host(host) for name, host in hosts.items()},
    )


def _parse_host(found: Mapping[str, Json]) -> HostRun:
    changes = cast("list[list[str]]", found["changes"])
    return HostRun(
        str(found["status"]),
        tuple((str(action), from_note(str(note))) for action, note in changes),
        str(found["error"]),
        int(cast("int", found["undone"])),
    )


def line(program: str = "regfleet") -> str:
    """The command line as typed."""
    return shlex.join([program, *sys.argv[1:]])


def user() -> str:
    """The user, and by whom with sudo."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"user {os.geteuid()}"
    by_sudo = os.environ.get("SUDO_USER", "")
    return f"{by_sudo} (as {name})" if by_sudo and by_sudo != name else name


def origin() -> str:
    """This machine, and the address from which its user came by SSH (ssh(1), SSH_CONNECTION)."""
    behind = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    return f"{socket.gethostname()} (from {behind})" if behind else socket.gethostname()
