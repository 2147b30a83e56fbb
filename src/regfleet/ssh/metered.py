"""A socket that fails when a host sends much unrequested data, and yields to other greenlets.

SSH's own window binds only who keeps to it, paramiko takes a packet of any length, and messages
that are ignored have no window at all (RFC 4253, 11.2; RFC 4254, 5.2). All of it comes through the
socket, so it is counted there.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import gevent

from regfleet.ssh.limits import LOGIN_BYTES, UNTAKEN_BYTES

if TYPE_CHECKING:
    from socket import socket

_TURN = 128 << 10  # bytes, then others have their turn
_CALL = 512  # what a call counts beside its bytes: single bytes take time, too
_OVERHEAD = 256  # bytes of SSH's own for each piece that is taken, at most


class FloodError(OSError):
    """The host sent far more than was requested. It has an errno, which paramiko logs."""

    def __init__(self) -> None:
        super().__init__(errno.EFBIG, "it sent far more than anybody asked for")


class Metered:
    """A socket that counts received bytes; otherwise as the given socket.

    Args:
        sock: a connected socket.
    """

    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self._left = LOGIN_BYTES
        self._turn = 0
        self.flooded = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)

    def begin(self) -> None:
        """Begin a new request: the count starts anew."""
        self._left = UNTAKEN_BYTES

    def take(self, count: int) -> None:
        """Record that a reader took this many bytes."""
        self._left = min(UNTAKEN_BYTES, self._left + count + _OVERHEAD)

    def recv(self, count: int) -> bytes:
        """As `socket.recv`.

        Raises:
            FloodError: too many bytes came that no reader took.
        """
        content = self._sock.recv(count)
        self._left -= len(content)
        if self._left < 0:
            self.flooded = True
            raise FloodError
        self._turn += len(content) + _CALL
        if self._turn > _TURN:
            # As long as there is something to receive gevent's sockets do not let others run:
            # nobody would take it, and no deadline would come.
            self._turn = 0
            gevent.sleep(0)
        return content
