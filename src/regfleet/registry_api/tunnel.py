"""Byte streams to a registry: a TCP connection, or a channel in the SSH connection to a host.

paramiko's `Channel` (see `channel`) is nearly a socket, but http.client and urllib3 also need
`recv_into`, `makefile`, and sockets that stay open while a file of theirs is read. `Stream` adds
these over anything that can `recv` and `send`. Every byte passes through it, so it also enforces an
operation's `Allowance`. It waits only in `recv` and `send`, so it works with threads and gevent.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from typing import Protocol, TypeAlias

from regfleet.registry_api.bounds import Allowance

MOST_ADDRESSES = 8  # tried for one name


class SocketLike(Protocol):
    """The methods that a connection must have; sockets and paramiko's channels have them."""

    def recv(self, nbytes: int, /) -> bytes:
        """Receive at most that many bytes; none at the end. TimeoutError when it takes too long."""

    def send(self, data: bytes, /) -> int:
        """Send some of the data, return how many bytes. TimeoutError when it takes too long."""

    def settimeout(self, seconds: float | None, /) -> None:
        """Set how long `recv` and `send` may wait."""

    def close(self) -> None:
        """Close the connection; a second call does nothing."""


Dial: TypeAlias = "Callable[[float], SocketLike]"
"""Opens a new connection to the registry's port, within the given seconds."""


class Stream:
    """The socket methods that http.client and urllib3's SSLTransport use, over a `SocketLike`.

    Args:
        inner: the connection.
        timeout: the most seconds for each wait.
        allowance: the remaining seconds and bytes; `allow` replaces it.
    """

    def __init__(
        self, inner: SocketLike, timeout: float | None = None, allowance: Allowance | None = None
    ) -> None:
        self._inner = inner
        self._closed = False
        self._files = 0  # open files that read from it
        self._timeout = timeout
        self._allowance = allowance
        inner.settimeout(timeout)

    def allow(self, allowance: Allowance) -> None:
        """Use this allowance from now on."""
        self._allowance = allowance

    def recv(self, size: int) -> bytes:
        """As `SocketLike.recv`.

        Raises:
            RegistryError: the allowance is used up.
        """
        self._bound_wait()
        content = self._inner.recv(size)
        if self._allowance:
            self._allowance.take(len(content))
        time.sleep(0)  # lets gevent run others while a peer sends without a pause
        return content

    def recv_into(self, buffer: bytearray | memoryview, size: int = 0) -> int:
        """As `socket.recv_into`."""
        view = memoryview(buffer).cast("B")
        content = self.recv(size or len(view))
        view[: len(content)] = content
        return len(content)

    def sendall(self, data: bytes) -> None:
        """Send all of the data within the allowance, however slowly the peer takes it.

        Raises:
            RegistryError: no time is left.
        """
        left = memoryview(bytes(data))
        while left:
            self._bound_wait()
            left = left[self._inner.send(left.tobytes()) :]

    def settimeout(self, seconds: float | None) -> None:
        """As `SocketLike.settimeout`."""
        self._timeout = seconds
        self._inner.settimeout(seconds)

    def gettimeout(self) -> float | None:
        """As `socket.gettimeout`."""
        return self._timeout

    def makefile(self, mode: str, buffering: int | None = None) -> io.BufferedReader:
        """A buffered reader; http.client reads answers from it and writes with `sendall`."""
        return self.file(self.recv_into, mode, buffering)

    def file(
        self, read_into: Callable[[memoryview], int], mode: str, buffering: int | None = None
    ) -> io.BufferedReader:
        """As `makefile`, but reads by `read_into`, such as TLS's decrypted bytes.

        Args:
            read_into: as `recv_into`.
            mode: `rb`.
            buffering: bytes; by default 8192.
        """
        if mode != "rb":
            raise ValueError(f"a stream opens files in mode 'rb', not {mode!r}")
        self._files += 1
        raw = _RawReader(read_into, self._end_file)
        return io.BufferedReader(raw, buffering if buffering and buffering > 0 else 8192)

    def close(self) -> None:
        """Close the connection, once no file reads from it."""
        self._closed = True
        if self._files == 0:
            self._inner.close()

    def _end_file(self) -> None:
        self._files -= 1
        if self._closed:
            self.close()

    def _bound_wait(self) -> None:
        """Bound the next wait by the allowance."""
        if self._allowance:
            left = self._allowance.seconds()
            self._inner.settimeout(left if self._timeout is None else min(left, self._timeout))


class _RawReader(io.RawIOBase):
    """The raw file that a stream's buffered reader reads from.

    Args:
        read_into: as `socket.recv_into`.
        end: called once, when the file is closed.
    """

    def __init__(self, read_into: Callable[[memoryview], int], end: Callable[[], None]) -> None:
        self._read_into = read_into
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._read_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._end()


def direct(address: str, port: int) -> Dial:
    """A `Dial` that opens a TCP connection from this machine."""

    def dial(seconds: float) -> SocketLike:
        end = time.monotonic() + seconds
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[:MOST_ADDRESSES]
        for rest, (family, kind, protocol, _, where) in zip(
            range(len(found), 0, -1), found, strict=True
        ):
            # An address that drops packets uses up only its own share of the time.
            share = max((end - time.monotonic()) / rest, 0.001)
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(share)
                made.connect(where)
            except OSError:
                made.close()
                if rest == 1:
                    raise
            else:
                return made
        raise OSError(f"{address} has no address")

    return dial
