"""Byte streams to a registry: a TCP connection of our own, or a channel in a host's SSH one.

paramiko's `Channel` is nearly a socket, but http.client and urllib3 also want `recv_into`,
`makefile` over raw reads, and sockets that stay open for as long as a file of theirs is read.
`Stream` adds just that, over anything that can `recv` and `sendall`. It waits in `recv` alone, so
it works with threads as well as under gevent.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Protocol, TypeAlias

import paramiko

from regfleet.registry_api.errors import RegistryError

CONNECT_TIMEOUT = 10.0


class SocketLike(Protocol):
    """What a connection must offer; sockets and paramiko's channels do."""

    def recv(self, nbytes: int, /) -> bytes:
        """Some bytes, at most that many; none at the end. TimeoutError when it takes too long."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""

    def settimeout(self, seconds: float | None, /) -> None:
        """How long `recv` and `sendall` may wait."""

    def close(self) -> None:
        """Close it; again does no harm."""


Dial: TypeAlias = "Callable[[], SocketLike]"
"""Opens a new connection to the registry's port."""


class Stream:
    """What http.client and urllib3's SSLTransport ask of a socket, over any `SocketLike`."""

    def __init__(self, inner: SocketLike, timeout: float | None = None) -> None:
        self._inner = inner
        self._closed = False
        self._io_refs = 0  # by this name socket.SocketIO and SSLTransport count open files
        self._timeout = timeout
        inner.settimeout(timeout)

    def recv(self, size: int) -> bytes:
        """As `SocketLike.recv`."""
        return self._inner.recv(size)

    def recv_into(self, buffer: bytearray | memoryview, size: int = 0) -> int:
        """As `socket.recv_into`."""
        view = memoryview(buffer).cast("B")
        content = self._inner.recv(size or len(view))
        view[: len(content)] = content
        return len(content)

    def sendall(self, data: bytes) -> None:
        """As `SocketLike.sendall`."""
        if data:
            self._inner.sendall(bytes(data))

    def settimeout(self, seconds: float | None) -> None:
        """As `SocketLike.settimeout`."""
        self._timeout = seconds
        self._inner.settimeout(seconds)

    def gettimeout(self) -> float | None:
        """As `socket.gettimeout`."""
        return self._timeout

    def makefile(self, mode: str, buffering: int | None = None) -> io.BufferedReader:
        """A buffered reader; http.client reads answers from it and writes with `sendall`."""
        if mode != "rb":
            raise ValueError(f"only 'rb' is read from a stream, not {mode!r}")
        self._io_refs += 1
        raw = socket.SocketIO(self, "r")  # type: ignore[arg-type]
        return io.BufferedReader(raw, buffering if buffering and buffering > 0 else 8192)

    def close(self) -> None:
        """Close, as soon as no file reads from it."""
        self._closed = True
        if self._io_refs <= 0:
            self._inner.close()

    def _decref_socketios(self) -> None:
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed:
            self.close()


def direct(address: str, port: int, timeout: float = CONNECT_TIMEOUT) -> Dial:
    """A TCP connection of this machine's own."""
    return lambda: socket.create_connection((address, port), timeout)


def through(
    transport: paramiko.Transport,
    port: int,
    address: str = "127.0.0.1",
    timeout: float = CONNECT_TIMEOUT,
) -> Dial:
    """A channel in an SSH connection, opened to the port from the host at its other end.

    Args:
        transport: the SSH connection, established.
        port: the registry's TCP port.
        address: where the registry is, seen from that host.
        timeout: seconds for the channel to open.
    """

    def dial() -> SocketLike:
        try:
            return transport.open_channel(
                "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout
            )
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise explain_channel(error, f"{address}:{port}") from error

    return dial


def explain_channel(error: Exception, target: str) -> RegistryError:
    """Why an SSH channel did not open (RFC 4254, 5.1). Pure.

    Args:
        error: as raised by `paramiko.Transport.open_channel`.
        target: address and port as the host was asked for them.
    """
    code = error.code if isinstance(error, paramiko.ChannelException) else 0
    if code == 1:  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED
        return RegistryError(
            "unreachable",
            f"the host's sshd refuses to forward to {target}",
            "allow it in sshd_config: AllowTcpForwarding local",
        )
    if code == 2:  # noqa: PLR2004 - SSH_OPEN_CONNECT_FAILED
        return RegistryError(
            "refused",
            f"nobody listens on {target} of the host",
            "is the registry running, and is the port right?",
        )
    said = str(error) or type(error).__name__
    return RegistryError("unreachable", f"no SSH channel to {target} of the host: {said}")
