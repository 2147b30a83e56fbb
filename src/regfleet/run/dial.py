"""Connections that are begun while Python still imports what will speak on them.

A host's sshd starts a process for each connection and has it read keys and configuration before a
word is said. That goes on while this machine is busy with itself, instead of after it.

Only addresses are dialled: to ask for names takes time of its own. Hosts that an SSH configuration
may send elsewhere are left alone, and whatever fails here is done again, and told, by `session`.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from regfleet.errors import RegfleetError
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.run.limits import CONNECT_SECONDS
from regfleet.run.selection import select

PER_CORE = 20  # hosts at the same time, as pyinfra has it (api/state.py); further ones wait anyway
_ELSEWHERE = re.compile(r"^\s*(proxy|hostname|match|include|port)", re.IGNORECASE | re.MULTILINE)
_begun: dict[tuple[str, int], socket.socket] = {}


def begin(
    file: Path,
    limit: Sequence[str] = (),
    exclude: Sequence[str] = (),
    parallel: int | None = None,
) -> tuple[Fleet | None, list[str]]:
    """Begin to connect to the first hosts of a fleet. Waits for nothing, and raises nothing.

    Args:
        file: the fleet file; with mistakes in it nothing is begun.
        limit, exclude: the hosts, as on the command line.
        parallel: how many; by default as many as are worked on at the same time.

    Returns:
        The fleet, and which of its hosts were dialled.
    """
    try:
        fleet = load(file)
        names = select(fleet, limit, exclude)
    except (RegfleetError, OSError):
        return None, []
    hosts = fleet.hosts()
    if _elsewhere():
        return fleet, []
    dialled = []
    for name in names[: parallel or PER_CORE * (os.cpu_count() or 1)]:
        place = (hosts[name].address, hosts[name].ssh.port)
        if not hosts[name].is_local and place not in _begun:
            with suppress(ValueError, OSError):
                _begun[place] = _dial(*place)
                dialled.append(name)
    return fleet, dialled


def take(address: str, port: int) -> socket.socket | None:
    """The connection to a place that was begun, once it is made; None where there is none.

    Waits as a gevent socket does.
    """
    begun = _begun.pop((address, port), None)
    if begun is None:
        return None
    # A socket of the class that stands in the standard library now, patched for gevent.
    made = socket.socket(begun.family, begun.type, begun.proto, fileno=begun.detach())
    made.settimeout(CONNECT_SECONDS)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        return None
    return made


def hang_up() -> None:
    """Close what was begun and not taken."""
    while _begun:
        _begun.popitem()[1].close()


def _dial(address: str, port: int) -> socket.socket:
    family = socket.AF_INET if ipaddress.ip_address(address).version == 4 else socket.AF_INET6  # noqa: PLR2004
    begun = socket.socket(family, socket.SOCK_STREAM)
    begun.setblocking(False)
    begun.connect_ex((address, port))
    return begun


def _elsewhere() -> bool:
    """Whether the SSH configuration, the one that pyinfra reads, may lead past an address."""
    try:
        text = Path("~/.ssh/config").expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(_ELSEWHERE.search(text))
