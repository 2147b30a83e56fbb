"""Open TCP connections to hosts while Python still imports the SSH modules.

A host's sshd starts a process for each connection, which reads keys and configuration before it
answers. This way that happens during the imports, not after them.

Only addresses are dialled: resolving names takes time. Hosts that go through another one, or that
OpenSSH has to be asked about first, are left out. `session` repeats whatever fails here, and
reports its error.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from regfleet.errors import RegfleetError
from regfleet.fleet.load import load
from regfleet.fleet.machines import Host
from regfleet.fleet.model import Fleet
from regfleet.fleet.selection import select
from regfleet.ssh import way
from regfleet.ssh.control_socket import socket_to_use
from regfleet.ssh.limits import CONNECT_SECONDS, PER_CORE

_begun: dict[tuple[str, int], socket.socket] = {}


def begin(
    file: Path,
    limit: Sequence[str] = (),
    exclude: Sequence[str] = (),
    parallel: int | None = None,
) -> tuple[Fleet | None, list[str]]:
    """Begin to connect to the first hosts of a fleet. Does not block and does not raise.

    Args:
        file: the fleet file; if it has mistakes, nothing is dialled.
        limit, exclude: the hosts, as on the command line.
        parallel: how many hosts; by default as many as pyinfra works on in parallel.

    Returns:
        The fleet, and the names of the dialled hosts.
    """
    try:
        fleet = load(file)
        names = select(fleet, limit, exclude)
    except (RegfleetError, OSError):
        return None, []
    hosts = fleet.hosts()
    dialled = []
    for name in names[: parallel or PER_CORE * (os.cpu_count() or 1)]:  # further ones wait anyway
        with suppress(RegfleetError, ValueError, OSError):
            if not hosts[name].is_local and _begin(hosts[name]):
                dialled.append(name)
    return fleet, dialled


def take(address: str, port: int) -> socket.socket | None:
    """The connection that was begun to an address, once made; None if there is none.

    Waits as a gevent socket does.
    """
    begun = _begun.pop((address, port), None)
    if begun is None:
        return None
    # A new object: gevent has patched the socket class of the standard library meanwhile.
    made = socket.socket(begun.family, begun.type, begun.proto, fileno=begun.detach())
    made.settimeout(CONNECT_SECONDS)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        return None
    return made


def hang_up() -> None:
    """Close the connections that were begun and not taken."""
    while _begun:
        _begun.popitem()[1].close()


def _begin(host: Host) -> bool:
    """Dial a host; whether that was done.

    Raises:
        UnreachableError: OpenSSH's configuration asks for what regfleet cannot do.
        ValueError: it has no address but a name.
        OSError: there is no socket.
    """
    found = way.kept(host)
    if found is None or found.jumps or found.command or found.family or found.source:
        return False
    if socket_to_use(found):
        return False
    place = (found.hostname, found.port)
    if place in _begun:
        return False
    _begun[place] = _dial(*place)
    return True


def _dial(address: str, port: int) -> socket.socket:
    family = socket.AF_INET if ipaddress.ip_address(address).version == 4 else socket.AF_INET6  # noqa: PLR2004
    begun = socket.socket(family, socket.SOCK_STREAM)
    begun.setblocking(False)
    begun.connect_ex((address, port))
    return begun
