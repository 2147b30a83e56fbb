"""Every error a user can see: what was tried or found, what to do next, and the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CHANGES = 3


class RegfleetError(Exception):
    """An error to be shown as `error: MESSAGE` and `  hint: HINT`, never as a traceback.

    Attributes:
        message: what was tried and what was found, one sentence or a few lines.
        hint: what to do next, or an empty string.
        exit_code: the process's exit code (Contract: 1 work failed, 2 input is wrong).
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(RegfleetError):
    """The command line, the fleet file or a file that it names is wrong."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a fleet file.

    Attributes:
        line: 1-based line in the file, 0 where it cannot be had.
        path: the place as the user would type it: `client.build.mirrors[0]`; empty for the file.
        message: what is wrong, without the path.
        hint: what to write instead, or an empty string.
    """

    line: int
    path: str
    message: str
    hint: str = ""


class FleetFileError(UsageError):
    """A fleet file with mistakes; all of them, in the file's order."""

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        self.file = file
        self.mistakes = tuple(sorted(mistakes))
        count = len(self.mistakes)
        lines = [f"{file}: {count} mistake{'' if count == 1 else 's'}"]
        for mistake in self.mistakes:
            where = f"line {mistake.line}: " if mistake.line else ""
            place = f"{mistake.path}: " if mistake.path else ""
            lines.append(f"  {where}{place}{mistake.message}")
            if mistake.hint:
                lines.append(f"      {mistake.hint}")
        super().__init__("\n".join(lines))


class CertificateError(UsageError):
    """A certificate, key or CA that a user gave cannot serve."""


class PasswordError(UsageError):
    """A password's source cannot be read, or what it gives cannot be used."""


class StateError(RegfleetError):
    """The state directory cannot be used."""


class HostError(RegfleetError):
    """Work on one host failed; the others go on."""

    def __init__(self, host: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.host = host


class UnreachableError(HostError):
    """A host could not be connected to at all."""


class InterruptedRunError(HostError):
    """The run was interrupted (Ctrl-C) before this host's turn."""

    def __init__(self, host: str) -> None:
        super().__init__(host, "interrupted before its turn", "run it again to go on")
