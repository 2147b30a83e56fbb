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
from regfleet.run.limits import ARCHIVE_SECONDS
from regfleet.touch import archive

if TYPE_CHECKING:
    from pyinfra.api.host import Host



def shell_command(command: str, *, sudo: bool) -> str:
    """A command that takes its work from standard input and never fails itself.

    sudo is called here and not by pyinfra, which answers sudo's refusal by asking for a password
    at the terminal; so its exit status is said in a line, and what is left of the input is read,
    so that writing it does not fail.
    """
    prefix = "sudo -n -H " if sudo else ""
    return f"{prefix}{command} 2>&1; s=$?; cat >/dev/null; echo @exit $s"


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


def send_archive(host: Host, image: Image, *, sudo: bool, load: bool) -> None:
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
