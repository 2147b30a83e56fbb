"""The errors that users see: what was tried, what was found, what to do next, the exit code."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from regfleet.terminal.cleaning import clean

SAID = 300  # characters of another program's text in a message
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CHANGES = 3


class RegfleetError(Exception):
    """An error that is shown as `error: MESSAGE` and `  hint: HINT`, never as a traceback.

    Attributes:
        message: what was tried and what was found, one sentence or a few lines.
        hint: what to do next, or an empty string.
        exit_code: the process's exit code (Contract: 1 work failed, 2 input is wrong).
        sort: a word for programs: the `kind` of docs/json.md.
        label: the text before the message.
    """

    exit_code = EXIT_FAILED
    sort = "failed"
    label = "error: "

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(RegfleetError):
    """The command line, the fleet file or a file that it names is wrong."""

    exit_code = EXIT_USAGE
    sort = "usage"


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a fleet file.

    Attributes:
        line: 1-based line in the file, 0 when it is not known.
        path: the key in the file: `client.build.mirrors[0]`; empty for the whole file.
        message: what is wrong, without the path.
        hint: what to write instead, or an empty string.
        file: the included file that it is in; empty for the fleet file itself.
    """

    line: int
    path: str
    message: str
    hint: str = ""
    file: str = ""


class FleetFileError(UsageError):
    """A fleet file with mistakes; all of them, in the file's order."""

    sort = "fleet-file"

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        self.file = file
        self.mistakes = tuple(sorted(mistakes, key=lambda each: (each.file, each)))
        count = len(self.mistakes)
        lines = [f"{file}: {count} mistake{'' if count == 1 else 's'}"]
        for mistake in self.mistakes:
            where = mistake_place(mistake)
            place = f"{mistake.path}: " if mistake.path else ""
            lines.append(clean(f"  {where}{place}{mistake.message}"))
            if mistake.hint:
                lines.append(clean(f"      {mistake.hint}"))
        super().__init__("\n".join(lines))


def mistake_place(mistake: Mistake) -> str:
    """Where a mistake is: `clients/a.toml, line 3: `; empty where that is not known."""
    line = f"line {mistake.line}" if mistake.line else ""
    where = ", ".join(filter(None, (mistake.file, line)))
    return f"{where}: " if where else ""


class CertificateError(UsageError):
    """A certificate, key or CA that a user gave cannot be used."""

    sort = "certificate"


class PasswordError(UsageError):
    """A password's source cannot be read, or the password in it cannot be used."""

    sort = "password"


class StateError(RegfleetError):
    """The state directory cannot be used."""

    sort = "state"


class NotApprovedError(RegfleetError):
    """The hosts need changes that an approved plan does not have."""

    sort = "not-approved"


class DeclinedError(RegfleetError):
    """The user answered a question with no, or did not answer."""

    sort = "declined"
    label = ""

    def __init__(self) -> None:
        super().__init__("Nothing was changed on any host: the answer was not yes.")


class InterruptedCommandError(RegfleetError):
    """The user interrupted the command (Ctrl-C)."""

    sort = "interrupted"


class HostError(RegfleetError):
    """Work on one host failed; work on the others continues."""

    sort = "host"

    def __init__(self, host: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.host = host


class UnreadLoginError(HostError):
    """What an account of a host keeps of its logins cannot be read."""


class UnreachableError(HostError):
    """regfleet could not connect to a host."""

    sort = "unreachable"


class InterruptedRunError(HostError):
    """The run was interrupted (Ctrl-C) before this host's turn."""

    sort = "interrupted"

    def __init__(self, host: str) -> None:
        super().__init__(host, "interrupted before its turn", "run the command again")


def cut(text: str, most: int = SAID) -> str:
    """Another program's text, cut to at most that many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def defect(host: str, error: Exception) -> HostError:
    """The error for an unforeseen exception of one host: a bad answer, or a defect of regfleet.

    The log has the traceback at the level `debug` (`-vv`).
    """
    logging.getLogger(__name__).debug("%s", host, exc_info=error)
    said = cut(" ".join(str(error).split()))
    return HostError(
        host,
        f"its answer could not be processed: {type(error).__name__}: {said}",
        "regfleet has a defect, or a program on the host writes into its answers; please report "
        "it with the output of `-vv`",
    )
