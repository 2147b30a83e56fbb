"""sudo's or doas's password: asked for once, kept in memory, sent on standard input.

Wrong passwords lock accounts, often for a whole organisation at once. So a password is offered to
one host after the other until sudo takes it on one of them, and is given up after `MOST_WRONG`; no
host is offered a password again that it refused.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable
from itertools import chain
from shlex import quote
from typing import TypeAlias

from gevent.lock import BoundedSemaphore

from regfleet.errors import HostError, UsageError, cut
from regfleet.secret import Secret
from regfleet.shell.command import (
    ANSWER,
    command_with_password,
    offer_password,
    shell_command,
)
from regfleet.terminal import streams

Execute: TypeAlias = Callable[[str, Iterable[str]], list[str]]

VARIABLE = "REGFLEET_SUDO_PASSWORD"
OPTION = "--ask-sudo-password"
MOST_WRONG = 2  # hosts, as long as none has taken the password
# What sudo, sudo-rs, doas and PAM say in English of a wrong password.
_WRONG = re.compile(
    "incorrect|try again|authentication fail|no password was provided", re.IGNORECASE
)


class SudoPassword:
    """A password, and what hosts said of it.

    Args:
        password: as typed; one line.
    """

    def __init__(self, password: Secret) -> None:
        self._password = password
        self._not_needed: set[str] = set()
        self._taken: set[str] = set()
        self._refused: dict[str, HostError] = {}
        self._one_by_one = BoundedSemaphore()

    def run(self, name: str, command: str, stdin: Iterable[str], execute: Execute) -> list[str]:
        """Run a command as root; see `run` of this module."""
        if name not in self._taken and name not in self._not_needed:
            self._find_out(name, execute)
        if name in self._not_needed:
            return execute(shell_command(command, sudo=True), stdin)
        mark = secrets.token_hex(8)
        begin = f"{self._password.reveal()}\n{mark}\n"
        return execute(command_with_password(command, mark), chain([begin], stdin))

    def _find_out(self, name: str, execute: Execute) -> None:
        """Whether a host needs a password, and takes this one."""
        if name in self._refused:
            raise self._refused[name]
        mark = f"@free {secrets.token_hex(8)}"
        probe = f"sh -c {quote(f'echo; echo {mark}')}"  # behind a line end: shells greet
        if mark in execute(shell_command(probe, sudo=True), ()):
            self._not_needed.add(name)
            return
        if self._taken:
            self._offer(name, execute)
            return
        with self._one_by_one:
            if not self._taken and len(self._refused) >= MOST_WRONG:
                raise HostError(
                    name,
                    f"sudo's password was not tried: it is wrong on {' and '.join(self._refused)}",
                    "each try counts against the account; run it again with the right password",
                )
            self._offer(name, execute)

    def _offer(self, name: str, execute: Execute) -> None:
        mark = secrets.token_hex(8)
        lines = execute(offer_password(mark), [f"{self._password.reveal()}\n"])
        answers = [line.split(maxsplit=3) for line in lines if line.startswith(f"{ANSWER} {mark} ")]
        _, _, status, *words = answers[0] if answers else ("", "", "", "no answer")
        if status == "0":
            self._taken.add(name)
            return
        said = cut(" ".join(words))
        by_doas = "doas" in said and "no doas" not in said
        if by_doas and "terminal" in said:
            raise HostError(
                name,
                f"doas takes no password there ({said})",
                "install script(1) there (`apk add util-linux-misc`), install sudo, or write "
                "`permit nopass USER as root` into doas.conf",
            )
        program = "doas" if by_doas else "sudo"
        if not _WRONG.search(said):
            rules = "`permit USER as root` in doas.conf" if by_doas else "`sh` in sudoers"
            raise HostError(
                name,
                f"{program} does not work ({said})",
                f"allow the user {rules} there, or log in as root with `sudo = false`",
            )
        self._refused[name] = HostError(
            name,
            f"{program} refuses the password ({said})",
            f"it was tried once; run it again with the right one (for this host: --limit {name})",
        )
        raise self._refused[name]


class _Given:
    """The password of this process."""

    password: SudoPassword | None = None


def ask() -> None:
    """Ask for the password at the terminal, without echo.

    Raises:
        UsageError: there is no terminal, or no answer.
    """
    if _Given.password is not None:  # by the variable
        return
    if not streams.answers_can_be_had():
        raise UsageError(
            "there is nobody to ask for sudo's password: standard input is no terminal",
            f"put it into the variable {VARIABLE}",
        )
    answer = streams.ask_secret("sudo's password on the hosts")
    if not answer:
        raise UsageError("no password was given", "run it again, or leave out " + OPTION)
    give(answer)


def take_variable() -> None:
    """Take the password from `REGFLEET_SUDO_PASSWORD`, and remove it: programs inherit variables.

    Raises:
        UsageError: it has more than one line.
    """
    found = os.environ.pop(VARIABLE, "")
    if found:
        give(found)


def give(password: str) -> None:
    """Use a password from now on.

    Raises:
        UsageError: it has more than one line.
    """
    if "\n" in password:
        raise UsageError("sudo's password has more than one line", "sudo reads one line")
    _Given.password = SudoPassword(Secret(password))


def forget() -> None:
    """Use no password from now on."""
    _Given.password = None


def run(name: str, command: str, stdin: Iterable[str], execute: Execute) -> list[str]:
    """Run a command as root on a host, with the password if there is one and it is needed.

    Args:
        name: the host.
        command: POSIX shell.
        stdin: pieces of text for the command.
        execute: runs a command with input, and returns its lines.

    Raises:
        HostError: sudo refused the password, or it was not offered to this host.
    """
    if _Given.password is None:
        return execute(shell_command(command, sudo=True), stdin)
    return _Given.password.run(name, command, stdin, execute)
