"""How a run begins: the fleet, the lock, the state directory, and what is wanted. Quick to import.

Where OpenSSH keeps connections, hosts are looked at from here on, while Python imports what the
rest of the run needs.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path

from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.fleet.selection import select
from regfleet.look import request
from regfleet.members import Member
from regfleet.run import gone
from regfleet.run.wanted import Wanted, declared
from regfleet.ssh import first_looks
from regfleet.ssh.first_looks import FirstLook
from regfleet.state import StagedState, StateDirectory


@dataclass(frozen=True, slots=True)
class Opening:
    """What a command begins a run with.

    Attributes:
        file: the fleet file.
        limit, exclude: the hosts, as on the command line.
        state_dir: `--state-dir`, or None.
        locked: the command that locks the fleet's state directory; empty for no lock.
        prune: whether to remove everything from hosts that left the fleet file.
        forget: hosts that left the fleet file and are forgotten.
        secrets: whether to use passwords, keys and the state directory.
    """

    file: Path
    limit: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    state_dir: Path | None = None
    locked: str = ""
    prune: bool = False
    forget: tuple[str, ...] = ()
    secrets: bool = True


@dataclass(slots=True)
class Opened:
    """A run that has begun; its lock ends with `close`.

    Attributes:
        fleet: the fleet, with `prune` also with hosts that left it.
        names: the hosts of the run.
        state: the state directory.
        staged: the same; holds new passwords and certificates in memory until they are kept.
        left: the hosts that left the fleet file, but for those that are forgotten.
        wanted: the desired states.
        looks: looks that were begun, by host.
    """

    fleet: Fleet
    names: Sequence[str]
    state: StateDirectory
    staged: StagedState
    left: Mapping[str, Member]
    wanted: Wanted
    close: Callable[[], None]
    looks: Mapping[str, FirstLook] = field(default_factory=dict)


_begun: list[tuple[Opening, Opened]] = []  # at most one


def begin(opening: Opening, fleet: Fleet, parallel: int | None) -> None:
    """Begin a run early if there are hosts that can be looked at at once; `take` gives it.

    Args:
        fleet: the fleet of the opening's file.
        parallel: hosts at the same time, as on the command line.

    Raises:
        RegfleetError: as `open_run`.
    """
    hosts = fleet.hosts()
    names = select(fleet, opening.limit, opening.exclude)
    connections = first_looks.usable(hosts[name] for name in names)
    if not connections:
        return
    opened = open_run(opening, fleet=fleet)
    desired, salt = opened.wanted.desired, opened.wanted.materials.salt

    def program(name: str) -> tuple[str, str]:
        mark = f"first-{secrets.token_hex(6)}"
        return request.render(desired[name], salt, mark), mark

    opened.looks = first_looks.begin(
        connections,
        program,
        sudo={name: hosts[name].ssh.sudo for name in connections},
        parallel=parallel,
    )
    _begun[:] = [(opening, opened)]


def take(opening: Opening) -> Opened | None:
    """The run that was begun by this opening, once; None if there is none."""
    if not _begun:
        return None
    begun, opened = _begun.pop()
    if begun == opening:
        return opened
    opened.close()
    return None


def open_run(
    opening: Opening,
    *,
    fleet: Fleet | None = None,
    desired: Callable[[Fleet], Wanted] | None = None,
) -> Opened:
    """Load the fleet, take its lock, and read or make what is wanted.

    New passwords and certificates stay in the staged state until `keep` writes them.

    Args:
        fleet: the fleet, if it is loaded already.
        desired: gives the hosts' desired state instead of the fleet file.

    Raises:
        RegfleetError: the fleet file, the options or the state directory cannot be used, or
            another regfleet works on this fleet.
    """
    loaded = fleet or load(opening.file, keys_needed=opening.secrets)
    state = StateDirectory.beside(loaded.path, loaded.name, opening.state_dir)
    left = gone.left(loaded, state, opening.forget) if opening.secrets else {}
    whole = gone.with_gone(loaded, left) if opening.prune else loaded
    names = select(whole, opening.limit, opening.exclude)
    staged = StagedState(state.path)
    with ExitStack() as stack:
        if opening.locked:
            stack.enter_context(state.lock(opening.locked))
        gone.forget(state, opening.forget)
        if desired:
            wanted = desired(whole)
        elif opening.secrets:
            wanted = declared(whole, staged, names)
        else:
            known = import_module("regfleet.run.known")
            wanted = known.without_secrets(whole, datetime.now(timezone.utc)).wanted()
        return Opened(whole, names, state, staged, left, wanted, stack.pop_all().close)
