"""Run one command on a host, with a bound on its output.

It ends when the command's output ends, without waiting for an exit status: regfleet's programs
print their outcome in their last lines, and a hostile host might never send a status.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import gevent
from gevent.os import make_nonblocking, nb_read, nb_write
from gevent.subprocess import PIPE, STDOUT, Popen

from regfleet.errors import HostError
from regfleet.shell.how_far import Heard
from regfleet.ssh.limits import ANSWER_BYTES
from regfleet.ssh.metered import FloodError, Metered

if TYPE_CHECKING:
    from paramiko import Channel, Transport

    from regfleet.ssh import multiplex
    from regfleet.ssh.multiplex import Multiplexed

PIECE = 32 << 10  # bytes; what SSH sends in one packet
# What a broken connection raises; paramiko adds an exception of its own.
BROKEN: tuple[type[Exception], ...] = (OSError, EOFError)


class TooMuchError(Exception):
    """The command printed more than it may."""


@contextmanager
def within(seconds: float, error: HostError) -> Iterator[None]:
    """A deadline for everything inside the block.

    Args:
        seconds: from now on.
        error: raised at the deadline.
    """
    limit = gevent.Timeout(seconds)
    limit.start()
    try:
        yield
    except gevent.Timeout as over:
        if over is not limit:
            raise
        raise error from None
    finally:
        limit.close()


def over_ssh(
    transport: Transport | Multiplexed,
    command: str,
    stdin: Iterable[str],
    broken: tuple[type[Exception], ...] = BROKEN,
    heard: Heard | None = None,
) -> list[str]:
    """Run a command in a channel of an SSH connection; bounded in size, not in time.

    Args:
        stdin: pieces of text, sent as they are asked for.
        broken: what the transport raises when the connection breaks.
        heard: called with each piece of its standard output as it comes.

    Returns:
        The lines of its standard output, then those of its standard error.

    Raises:
        TooMuchError: it printed more than `ANSWER_BYTES`, or the host sent unrequested data.
        Exception: one of `broken`: the connection broke, or `stdin` could not be read.
    """
    meter = meter_of(transport)
    if meter:
        meter.begin()
    channel = transport.open_session()
    try:
        channel.exec_command(command)
        said = _write_and_read(channel, stdin, meter.take if meter else None, broken, heard)
    except FloodError as error:
        raise TooMuchError from error
    finally:
        channel.close()
    if meter and meter.flooded:
        raise TooMuchError
    return said


def meter_of(transport: Transport | Multiplexed) -> Metered | None:
    """The byte counter of a connection; None if pyinfra's own command line made it."""
    return transport.sock if isinstance(transport.sock, Metered) else None


def here(command: str, stdin: Iterable[str], heard: Heard | None = None) -> list[str]:
    """Run a command on this machine; as `over_ssh`, both outputs as they come.

    Raises:
        TooMuchError: it printed more than `ANSWER_BYTES`.
        OSError: it could not be started, or `stdin` could not be read.
    """
    process = Popen(["sh", "-c", command], stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    to, back = process.stdin, process.stdout
    for pipe in (to, back):
        make_nonblocking(pipe.fileno())

    def send(content: bytes) -> None:
        while content:
            content = content[nb_write(to.fileno(), content) :]

    feeder = gevent.spawn(_feed, send, to.close, stdin, BROKEN)
    try:
        said = _lines(_read(lambda count: nb_read(back.fileno(), count), None, heard))
        process.wait()
    finally:
        feeder.kill()
        with suppress(OSError):  # what was not read of its input any more
            to.close()
        back.close()
    if isinstance(feeder.value, Exception):
        raise feeder.value
    return said


def _write_and_read(
    channel: Channel | multiplex.Channel,
    stdin: Iterable[str],
    taken: Callable[[int], None] | None,
    broken: tuple[type[Exception], ...],
    heard: Heard | None,
) -> list[str]:
    """Write and read at the same time: one after the other may deadlock."""

    def complaints() -> bytes | TooMuchError:
        try:
            return _read(channel.recv_stderr, taken)
        except TooMuchError as error:
            channel.close()  # nothing more of the other output either
            return error

    feeder = gevent.spawn(_feed, channel.sendall, channel.shutdown_write, stdin, broken)
    reader = gevent.spawn(complaints)
    try:
        said = _read(channel.recv, taken, heard)
        complained = reader.get()
    finally:
        gevent.killall([feeder, reader])
    for failed in (complained, feeder.value):
        if isinstance(failed, Exception):
            raise failed
    return [*_lines(said), *_lines(complained)]


class _InputError(Exception):
    """The input to send cannot be read."""

    def __init__(self, why: OSError) -> None:
        super().__init__(why)
        self.why = why


def _feed(
    send: Callable[[bytes], object],
    end: Callable[[], object],
    stdin: Iterable[str],
    broken: tuple[type[Exception], ...],
) -> Exception | None:
    """Write all of the input; returns, not raises, an error of reading it.

    A command that ends before it has read everything is no error: its output says how it went.
    """
    failed = None
    try:
        for piece in _pieces(stdin):
            send(piece)
    except broken:
        return None
    except _InputError as error:
        failed = error.why
    with suppress(*broken):
        end()  # also after a failed read: otherwise the command waits for the rest
    return failed


def _pieces(stdin: Iterable[str]) -> Iterator[bytes]:
    try:
        for text in stdin:
            content = text.encode()
            for start in range(0, len(content), PIECE):
                yield content[start : start + PIECE]
    except OSError as error:
        raise _InputError(error) from error


def _read(
    read: Callable[[int], bytes],
    taken: Callable[[int], None] | None,
    heard: Heard | None = None,
) -> bytes:
    """Everything up to the end of the stream.

    Raises:
        TooMuchError: there is no end within `ANSWER_BYTES`.
    """
    pieces, size = [], 0
    while piece := read(PIECE):
        size += len(piece)
        if taken:
            taken(len(piece))
        if size > ANSWER_BYTES:
            raise TooMuchError
        if heard:
            heard(piece)
        pieces.append(piece)
    return b"".join(pieces)


def _lines(content: bytes) -> list[str]:
    """Lines of text, with invalid characters replaced.

    Programs on hosts cut long lines by bytes (cut(1) of coreutils): half a character at the end of
    a line is removed.
    """
    lines = content.split(b"\n")
    return [_text(line) for line in (lines if lines[-1] else lines[:-1])]


def _text(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    if text.endswith("\ufffd"):
        return getincrementaldecoder("utf-8")("replace").decode(line)
    return text
