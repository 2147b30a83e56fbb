"""One command, measured: wall clock, processor time and peak memory of it and its children."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Timing:
    """What one run of a command took.

    Attributes:
        seconds: wall clock.
        cpu: processor seconds, of the command and of all children that it waited for.
        peak_mib: the largest resident set of one of these processes (getrusage(2), ru_maxrss).
        output: standard output and error.
    """

    seconds: float
    cpu: float
    peak_mib: float
    output: str


class CommandFailedError(Exception):
    """A measured command ended with another exit code than 0."""


def timed(
    command: Sequence[str | Path],
    *,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Timing:
    """Run a command and measure it.

    Raises:
        CommandFailedError: it failed; with the end of what it said.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(stdin.encode())
        given.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=given,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**_environment(), **(environment or {})},
            cwd=cwd,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read().decode(errors="replace")
    if process.returncode != 0:
        words = " ".join(str(word) for word in command[:6])
        raise CommandFailedError(
            f"`{words} ...` ended with exit code {process.returncode}:\n{output[-3000:]}"
        )
    return Timing(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


def _environment() -> dict[str, str]:
    """Ours, but Python keeps compiled modules, as it does for a program that is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
