"""The one form in which anything is started on a host. Pure."""

from __future__ import annotations

from shlex import quote

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
    if not sudo:
        return _ended(command)
    return _ended(_by_either(f"sudo -n -H {command}", f"doas -n {command}"))


def offer_password(mark: str) -> str:
    """A command that offers sudo a password, which is the first line of its input.

    It prints `@sudo MARK STATUS TEXT`. The password is offered once, with no input behind it: sudo
    would take further lines for further tries (sudo(8), `-S`; sudoers(5), passwd_tries), and tries
    lock accounts. doas takes no password without a terminal (doas(1)).

    Args:
        mark: unguessable, without special characters.
    """
    tried = _by_either(f"{_SAY} | LC_ALL=C {_SUDO} sh -c :", "doas -n sh -c :")
    program = (
        f"IFS= read -r p; said=$({tried} 2>&1); s=$?; set -f; echo; echo {ANSWER} {mark} $s $said"
    )
    return f"exec sh -c {quote(program)}"


def command_with_password(command: str, mark: str) -> str:
    """As `shell_command` with sudo, for a password that sudo has taken before.

    Two lines come before the command's own input: the password, which sudo alone sees, and the
    mark. sudo may ask for none, because it was asked lately; so all before the mark is left out.

    Args:
        command: POSIX shell.
        mark: unguessable, without special characters.
    """
    work = quote(f'while IFS= read -r l && [ "$l" != {mark} ]; do :; done; exec {command}')
    program = _ended(f"IFS= read -r p; {{ {_SAY}; exec cat; }} | {_SUDO} sh -c {work}")
    return f"exec sh -c {quote(program)}"


def _by_either(sudo: str, doas: str) -> str:
    there = "command -v {} >/dev/null 2>&1"
    return (
        f"if {there.format('sudo')}; then {sudo}; "
        f"elif {there.format('doas')}; then {doas}; else {_NEITHER}; fi"
    )


def _ended(command: str) -> str:
    whole = f"{{ {command}; }}" if ";" in command else command
    return f"{whole} 2>&1; s=$?; read -r _ && cat >/dev/null; echo @exit $s"
