"""Run programs on one host through pyinfra, with plain errors.

Both `regfleet apply` and plain `pyinfra INVENTORY deploys/site.py` use it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from shlex import quote
from typing import TYPE_CHECKING

from paramiko import SSHException
from pyinfra.api.command import StringCommand
from pyinfra.connectors.local import LocalConnector

from regfleet.errors import HostError
from regfleet.look.fact import HostLook
from regfleet.look.parse import parse
from regfleet.model.observed import ObservedHost
from regfleet.model.service import Image
from regfleet.registry_api.channel import through
from regfleet.registry_api.tunnel import Dial, SocketLike
from regfleet.shell import frame
from regfleet.shell.command import shell_command
from regfleet.shell.how_far import Heard
from regfleet.ssh import sudo_password
from regfleet.ssh.exchange import BROKEN, TooMuchError, here, meter_of, over_ssh, within
from regfleet.ssh.limits import ANSWER_BYTES, ARCHIVE_SECONDS, LOOK_SECONDS
from regfleet.ssh.metered import Metered
from regfleet.touch import archive

if TYPE_CHECKING:
    from paramiko import Transport
    from pyinfra.api.host import Host

_BROKEN: tuple[type[Exception], ...] = (*BROKEN, SSHException)


def run_program(
    host: Host, program: str, *, sudo: bool, seconds: float, heard: Heard | None = None
) -> list[str]:
    """Run a shell program on a host, from standard input.

    Args:
        host: a connected pyinfra host.
        program: POSIX sh.
        sudo: whether it runs as root through sudo.
        seconds: the time limit.
        heard: called with each piece of its standard output as it comes.

    Returns:
        The lines of its standard output, then those of its standard error.

    Raises:
        HostError: the connection broke, or it took too long.
    """
    return _run(host, "sh -s", [program], seconds, sudo=sudo, heard=heard)


def look(host: Host, program: str, mark: str, *, sudo: bool) -> ObservedHost:
    """Look at a connected host: a pyinfra fact, run directly.

    pyinfra's own handling of a fact (its arguments and their types, each time anew) would take as
    much processor time as parsing the answer.

    Raises:
        HostError: the connection broke, or the answer is no look.
    """
    fact = HostLook()
    lines = _run(host, fact.command(), [program], LOOK_SECONDS, sudo=sudo)
    return parse(host.name, fact.process(lines), mark)


def tunnel(host: Host, port: int, address: str = "127.0.0.1") -> Dial:
    """A tunnel to a TCP port of a connected host, through its SSH connection.

    Raises:
        HostError: the host has no SSH connection.
    """
    found = transport(host)
    if found is None:
        raise HostError(host.name, "there is no SSH connection to tunnel through")
    dial, meter = through(found, port, address), meter_of(found)

    def dial_metered(seconds: float) -> SocketLike:
        if meter is None:
            return dial(seconds)
        meter.begin()
        return _MeteredChannel(dial(seconds), meter)

    return dial_metered


class _MeteredChannel:
    """A channel that reports received bytes to the connection's meter.

    Args:
        inner: the channel.
        meter: counts the bytes of its connection.
    """

    def __init__(self, inner: SocketLike, meter: Metered) -> None:
        self._inner = inner
        self._meter = meter
        self.send = inner.send
        self.settimeout = inner.settimeout
        self.close = inner.close

    def recv(self, nbytes: int, /) -> bytes:
        """As the channel's."""
        content = self._inner.recv(nbytes)
        self._meter.take(len(content))
        return content


def transport(host: Host) -> Transport | None:
    """A connected host's SSH connection; None if the host is this machine."""
    client = getattr(host.connector, "client", None)
    return client.get_transport() if client else None


def send_archive(host: Host, image: Image, *, sudo: bool, load: str, fleet: str = "") -> None:
    """Stream an image archive to a host; see `touch.archive.receive`.

    Raises:
        HostError: it did not arrive completely, or the engine refused it.
    """
    if image.archive is None:
        return
    mark = secrets.token_hex(6)
    command = f"sh -c {quote(archive.receive(image, load=load, mark=mark, fleet=fleet))}"
    lines = _run(host, command, archive.Chunks(image.archive), ARCHIVE_SECONDS, sudo=sudo)
    answer = frame.framed(lines, mark)
    if not answer.ended:
        said = frame.stray(answer)
        raise HostError(
            host.name,
            f"the image archive {image.archive} did not arrive: {said or 'no error text'}",
            "see the free space in /var/lib on the host, and that the file is a `docker save` "
            "archive",
        )


def _run(
    host: Host,
    command: str,
    stdin: Iterable[str],
    seconds: float,
    *,
    sudo: bool,
    heard: Heard | None = None,
) -> list[str]:
    def execute(whole: str, given: Iterable[str]) -> list[str]:
        return _run_bounded(host, whole, given, seconds, heard)

    if not sudo:
        return execute(shell_command(command, sudo=False), stdin)
    return sudo_password.run(host.name, command, stdin, execute)


def _run_bounded(
    host: Host, command: str, stdin: Iterable[str], seconds: float, heard: Heard | None
) -> list[str]:
    late = HostError(
        host.name,
        f"no end of its answer within {seconds:g} seconds",
        "see what the host is busy with; the work there ends by itself",
    )
    try:
        with within(seconds, late):
            return _run_unbounded(host, command, stdin, heard)
    except HostError:
        drop(host)  # late output must not be read as a later answer
        raise
    except TooMuchError as error:
        drop(host)
        raise HostError(
            host.name,
            f"it sent more than {ANSWER_BYTES >> 20} MB as its answer to one command",
            "check what `sh` prints there when it starts, and that it is the right host",
        ) from error
    except _BROKEN as error:
        raise HostError(
            host.name,
            f"the connection broke: {error or type(error).__name__}",
            "run it again: it looks first and does only what is left to do",
        ) from error


def _run_unbounded(
    host: Host, command: str, stdin: Iterable[str], heard: Heard | None
) -> list[str]:
    """The output of a command as lines. Other connectors than SSH and local use pyinfra's way."""
    connection = transport(host)
    if connection is not None:
        return over_ssh(connection, command, stdin, _BROKEN, heard)
    if isinstance(host.connector, LocalConnector):
        return here(command, stdin, heard)
    _, output = host.run_shell_command(StringCommand(command), _stdin=stdin)
    return [*output.stdout_lines, *output.stderr_lines]


def drop(host: Host) -> None:
    """End a host's connection, if it has one."""
    client = getattr(host.connector, "client", None)
    host.connected = False  # first, because closing may switch to other greenlets
    if client is not None:
        with suppress(Exception):
            client.close()
