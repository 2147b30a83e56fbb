"""The one form in which anything is started on a host. Pure."""

from __future__ import annotations

from functools import cache
from shlex import quote

from regfleet.shell import text

# Searched for programs after what PATH has, as in `common.sh`.
PLACES = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/opt/bin"
ANSWER = "@sudo"  # begins the line that says whether sudo took the password
_NEITHER = "{ echo 'sudo: not found, and no doas'; (exit 127); }"
_SAY = "printf '%s\\n' \"$p\""  # printf is part of the shell: nobody sees its arguments
_SUDO = "sudo -S -p '' -H"


def shell_command(command: str, *, sudo: bool) -> str:
    """A command that takes its work from standard input and never fails itself.

    sudo is called here and not by pyinfra, which answers sudo's refusal by asking for a password
    at the terminal; so its exit status is said in a line, and what is left of the input is read,
    so that writing it does not fail. Mostly nothing is left, and `cat` need not be started.

    Args:
        command: POSIX shell.
        sudo: whether it runs as root: by sudo, or by doas where there is no sudo.
    """
    if sudo:
        command = _by_either(f"sudo -n -H {command}", f"doas -n {command}")
    return _by_sh(_ended(command))


def offer_password(mark: str) -> str:
    """A command that offers sudo a password, which is the first line of its input.

    It prints `@sudo MARK STATUS TEXT`. The password is offered once, with no input behind it: sudo
    would take further lines for further tries (sudo(8), `-S`; sudoers(5), passwd_tries), and tries
    lock accounts. doas takes it at a terminal that `doas.sh` makes.

    Args:
        mark: unguessable, without special characters.
    """
    tried = _by_either(f"{_SAY} | LC_ALL=C {_SUDO} sh -c :", "by_doas :")
    program = (
        f"{_doas()}; "
        f"IFS= read -r p; said=$({tried} 2>&1); s=$?; set -f; echo; echo {ANSWER} {mark} $s $said"
    )
    return _by_sh(program)


def command_with_password(command: str, mark: str) -> str:
    """As `shell_command` with sudo, for a password that sudo or doas has taken before.

    Two lines come before the command's own input: the password, which sudo alone sees, and the
    mark. sudo may ask for none, because it was asked lately; so all before the mark is left out.
    doas gets the password at its terminal.

    Args:
        command: POSIX shell.
        mark: unguessable, without special characters.
    """
    work = quote(f'while IFS= read -r l && [ "$l" != {mark} ]; do :; done; exec {command}')
    either = _by_either(f"{{ {_SAY}; exec cat; }} | {_SUDO} sh -c {work}", f"by_doas {work}")
    program = f"{_doas()}; IFS= read -r p; {_ended(either)}"
    return _by_sh(program)


def _by_sh(program: str) -> str:
    """A program as one line for whatever shell an account has: the C shell and fish know `exec`."""
    return f"exec sh -c {quote(program)}"


@cache
def _doas() -> str:
    """`doas.sh` as one line: the C shell takes no quoted line ends, fish halves backslashes."""
    lines = text("regfleet.shell", "doas.sh").splitlines()
    code = "".join(f"{line}~" for line in lines if not line.lstrip().startswith("#"))
    return f"eval \"$(printf %s {quote(code)} | tr '~' '\\n')\""


def _by_either(sudo: str, doas: str) -> str:
    there = "command -v {} >/dev/null 2>&1"
    return (
        f"if {there.format('sudo')}; then {sudo}; "
        f"elif {there.format('doas')}; then {doas}; else {_NEITHER}; fi"
    )


def _ended(command: str) -> str:
    whole = f"{{ {command}; }}" if ";" in command else command
    return f"{whole} 2>&1; s=$?; read -r _ && cat >/dev/null; echo @exit $s"
