"""TCP connections from a chosen address or interface, or of one address family.

ssh_config(5): AddressFamily, BindAddress, BindInterface.
"""

from __future__ import annotations

import socket
from contextlib import suppress

from regfleet.ssh.way import Way


def wanted(way: Way) -> bool:
    """Whether the way asks for one of them."""
    return bool(way.family or way.source)


def connect(way: Way) -> socket.socket:
    """Connect to the first address of a host that answers.

    Raises:
        OSError: none does, or the host has none of that family.
    """
    failed: OSError | None = None
    kind = socket.SOCK_STREAM
    for family, *_, place in socket.getaddrinfo(way.hostname, way.port, way.family, kind):
        made = socket.socket(family, kind)
        try:
            _bind(made, way.source)
            made.settimeout(way.seconds)
            made.connect(place)
        except OSError as error:
            made.close()
            failed = error
        else:
            return made
    raise failed or OSError(f"{way.hostname} has no address")


def _bind(made: socket.socket, source: str) -> None:
    """Bind a socket to an address, or to the interface `%NAME` (socket(7), SO_BINDTODEVICE).

    Raises:
        OSError: there is no such address or interface here.
    """
    if source.startswith("%"):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, source[1:].encode() + b"\0")
    elif source:
        found = None
        with suppress(socket.gaierror):
            found = socket.getaddrinfo(source, 0, made.family, socket.SOCK_STREAM)
        if not found:
            raise OSError(f"there is no address {source} here for that (BindAddress)")
        made.bind(found[0][4])
