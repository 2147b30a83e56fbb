"""The one form in which anything is started on a host. Pure."""

from __future__ import annotations


def shell_command(command: str, *, sudo: bool) -> str:
    """A command that takes its work from standard input and never fails itself.

    sudo is called here and not by pyinfra, which answers sudo's refusal by asking for a password
    at the terminal; so its exit status is said in a line, and what is left of the input is read,
    so that writing it does not fail. Mostly nothing is left, and `cat` need not be started.
    """
    prefix = "sudo -n -H " if sudo else ""
    return f"{prefix}{command} 2>&1; s=$?; read -r _ && cat >/dev/null; echo @exit $s"
