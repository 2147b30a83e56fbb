"""Channels over a connection that an OpenSSH client keeps open: the protocol of its control socket.

`PROTOCOL.mux` of openssh-portable, version 4. The client (the "master") gets one end of a command's
input and outputs with each request. Tunnels do not go this way: the client does not tell why a port
cannot be reached.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar

# gevent's own, for this is used before it has replaced those of the standard library.
from gevent.socket import socket as make_socket
from gevent.socket import socketpair

_VERSION = 4
_HELLO = 0x00000001
_NEW_SESSION = 0x10000002
_ALIVE_CHECK = 0x10000004
_DENIED, _FAILED, _ALIVE, _OPENED = 0x80000002, 0x80000003, 0x80000005, 0x80000006
_NO_ESCAPE = 0xFFFFFFFF
_MOST_BYTES = 256 << 10  # of a message; the client itself takes no longer one
_ANSWER_SECONDS = 5  # for the client; what a command prints is waited for elsewhere


class MultiplexError(OSError):
    """The client gave no channel."""


class Multiplexed:
    """A kept connection; it has what regfleet uses of paramiko's transport.

    Args:
        path: the control socket.

    Attributes:
        sock: None: there is no socket of its own to a host.
    """

    sock: None = None
    _given_up: ClassVar[set[Path]] = set()

    def __init__(self, path: Path) -> None:
        self._path = path

    def give_up(self) -> None:
        """Use it no more in this process: it brought no answer."""
        self._given_up.add(self._path)

    def is_active(self) -> bool:
        """Whether a client of this account keeps the connection open."""
        if self._path in self._given_up:
            return False
        try:
            with closing(_Control(self._path)) as control:
                control.request(_ALIVE_CHECK, _ALIVE)
        except OSError:
            return False
        return True

    def set_keepalive(self, seconds: int) -> None:
        """Nothing: the client sends its own keep-alive messages."""

    def open_session(self) -> Channel:
        """A channel for one command."""
        return Channel(self._path)


class Channel:
    """A channel; it has what regfleet uses of paramiko's.

    Args:
        path: the control socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._control: _Control | None = None
        self._ends: list[socket.socket] = []  # ours of: input, output, error output

    def exec_command(self, command: str) -> None:
        """Run a command on the host.

        Raises:
            OSError: the client is gone, or refuses.
        """
        # Reserved, no terminal, no X11, no agent, no subsystem, no escape character, no TERM.
        options = _text("") + struct.pack(">5I", 0, 0, 0, 0, _NO_ESCAPE) + _text("")
        theirs: list[socket.socket] = []
        try:
            for _ in range(3):
                ours, other = socketpair()
                self._ends.append(ours)
                theirs.append(other)
            self._control = _Control(self._path)
            self._control.request(_NEW_SESSION, _OPENED, options + _text(command), theirs)
        except BaseException:
            self.close()
            raise
        finally:
            for other in theirs:
                other.close()

    def sendall(self, content: bytes) -> None:
        """Send all of it."""
        self._ends[0].sendall(content)

    def shutdown_write(self) -> None:
        """No more input."""
        self._ends[0].shutdown(socket.SHUT_WR)

    def recv(self, size: int) -> bytes:
        """Some of the output; empty at its end."""
        return self._ends[1].recv(size)

    def recv_stderr(self, size: int) -> bytes:
        """Some of the error output; empty at its end."""
        return self._ends[2].recv(size)

    def close(self) -> None:
        """Close the channel: the host ends what runs in it by a hang-up, as at a cut connection."""
        for end in self._ends:
            end.close()
        if self._control:
            self._control.close()


class _Control:
    """A connection to the control socket.

    Raises:
        OSError: nobody listens, or another account does.
    """

    def __init__(self, path: Path) -> None:
        self._sock = make_socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(_ANSWER_SECONDS)
        try:
            self._sock.connect(str(path))
            self._greet()
        except BaseException:
            self.close()
            raise

    def request(
        self, kind: int, wanted: int, options: bytes = b"", files: Sequence[socket.socket] = ()
    ) -> None:
        """Send a request, and files with it.

        Raises:
            OSError: the answer is not the wanted one.
        """
        self._send(struct.pack(">II", kind, 0) + options)
        for file in files:  # one byte goes with each (openssh-portable, monitor_fdpass.c)
            socket.send_fds(self._sock, [b"\0"], [file.fileno()])
        answer = self._receive()
        (said,) = struct.unpack_from(">I", answer.ljust(4, b"\0"))
        if said != wanted:
            why = answer[12:].decode("utf-8", "replace") if said in (_DENIED, _FAILED) else ""
            raise MultiplexError(f"the kept connection gave no channel: {why or hex(said)}")

    def close(self) -> None:
        """Close it, and with it the channel that it asked for."""
        with suppress(OSError):
            self._sock.close()

    def _greet(self) -> None:
        if _owner(self._sock) != os.geteuid():
            raise MultiplexError("another account listens on the control socket")
        hello = struct.pack(">II", _HELLO, _VERSION)
        self._send(hello)
        if self._receive()[: len(hello)] != hello:
            raise MultiplexError("it is no control socket of OpenSSH's protocol 4")

    def _send(self, content: bytes) -> None:
        self._sock.sendall(struct.pack(">I", len(content)) + content)

    def _receive(self) -> bytes:
        (size,) = struct.unpack(">I", self._exactly(4))
        if size > _MOST_BYTES:
            raise MultiplexError(f"a message of {size} bytes on a control socket")
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            piece = self._sock.recv(size - len(content))
            if not piece:
                raise MultiplexError("the kept connection ended")
            content += piece
        return content


def _owner(sock: socket.socket) -> int:
    """The account at the other end (unix(7), SO_PEERCRED)."""
    given = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", given)[1])


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack(">I", len(content)) + content
