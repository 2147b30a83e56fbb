"""One host through pyinfra: run a program there, and say plainly what went wrong.

Both ways in use it: `regfleet apply` and plain `pyinfra INVENTORY deploys/site.py`.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from paramiko import SSHException
from pyinfra.api.command import StringCommand

from regfleet.desired.model import Image
from regfleet.errors import HostError
from regfleet.look.fact import HostLook
from regfleet.look.observed import ObservedHost
from regfleet.look.parse import parse
from regfleet.registry_api.tunnel import Dial, through
from regfleet.run.command import shell_command
from regfleet.run.limits import ARCHIVE_SECONDS, LOOK_SECONDS
from regfleet.touch import archive

if TYPE_CHECKING:
    from paramiko import Transport
    from pyinfra.api.host import Host


def run_program(host: Host, program: str, *, sudo: bool, seconds: int) -> list[str]:
    """Run a shell program on a host, from standard input.

    Args:
        host: a connected pyinfra host.
        program: POSIX sh.
        sudo: whether it runs as root through sudo.
        seconds: how long it may take.

    Returns:
        The lines of its standard output, then those of its standard error.

    Raises:
        HostError: the connection broke, or it took too long.
    """
    return _run(host, shell_command("sh -s", sudo=sudo), [program], seconds)


def look(host: Host, program: str, *, sudo: bool) -> ObservedHost:
    """One look at a connected host: a pyinfra fact, asked for by itself.

    What pyinfra does around a fact (arguments and their types, worked out anew for each) takes
    as much of the processor here as its answer.

    Raises:
        HostError: the connection broke, or what came back is no look.
    """
    fact = HostLook()
    lines = _run(host, fact.command(sudo=sudo), [program], LOOK_SECONDS)
    return parse(host.name, fact.process(lines))


def tunnel(host: Host, port: int) -> Dial:
    """The way to a TCP port of a connected host itself, through its SSH connection.

    Raises:
        HostError: it has none.
    """
    found = transport(host)
    if found is None:
        raise HostError(host.name, "there is no SSH connection to tunnel through")
    return through(found, port)


def transport(host: Host) -> Transport | None:
    """A connected host's SSH connection; None where the host is this machine."""
    client = getattr(host.connector, "client", None)
    return client.get_transport() if client else None


def send_archive(host: Host, image: Image, *, sudo: bool, load: str) -> None:
    """Stream an image archive to a host; see `touch.archive.receive`.

    Raises:
        HostError: it did not arrive whole, or the engine does not take it.
    """
    if image.archive is None:
        return
    command = f"sh -c {quote(archive.receive(image, load=load))}"
    lines = _run(
        host, shell_command(command, sudo=sudo), archive.Chunks(image.archive), ARCHIVE_SECONDS
    )
    if "@exit 0" not in lines:
        said = "; ".join(line for line in lines if line and not line.startswith("@"))[-300:]
        raise HostError(
            host.name,
            f"the image archive {image.archive} did not arrive: {said or 'no error text'}",
            "see the free space in /var/lib on the host, and that the file is a `docker save` "
            "archive",
        )


def _run(host: Host, command: str, stdin: list[str], seconds: int) -> list[str]:
    try:
        _, output = host.run_shell_command(StringCommand(command), _stdin=stdin, _timeout=seconds)
    except TimeoutError as error:
        raise HostError(
            host.name,
            f"no answer within {seconds} seconds",
            "see what the host is busy with; the work there ends by itself",
        ) from error
    except (OSError, EOFError, SSHException) as error:
        raise HostError(
            host.name,
            f"the connection broke: {error or type(error).__name__}",
            "run it again: it looks first and does only what is left to do",
        ) from error
    return [*output.stdout_lines, *output.stderr_lines]
