"""One run of a copy on its host: the program for standard input, and its answer. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from shlex import quote

from regfleet import shell
from regfleet.errors import HostError
from regfleet.fleet.values import Json
from regfleet.model.copies import CopyOutcome
from regfleet.replication import bundle, outcome
from regfleet.replication.settings import text
from regfleet.shell import frame
from regfleet.timers import NO_PYTHON, PYTHON_HINT

MOST_RESULT = 1 << 20  # characters


@cache
def program() -> str:
    """The functions of a run."""
    return shell.program("regfleet.replication", "python.sh", "now.sh")


def render(settings: Mapping[str, Json], mark: str, *, dry: bool) -> str:
    """The program that runs a copy once; `mark` frames its answer."""
    words = [_encoded(bundle.text()), _encoded(text(settings)), *(["--dry-run"] if dry else [])]
    call = " ".join(["replicate_now", *map(quote, words)])
    return f"{program()}\n{frame.around(mark, call)}"


def parse(host: str, lines: Sequence[str], mark: str) -> CopyOutcome:
    """How the run ended.

    Raises:
        HostError: there is none.
    """
    answer = frame.framed(lines, mark)
    for line in answer.lines:
        word, _, rest = line.partition(" ")
        if line == "@python none":
            raise HostError(host, NO_PYTHON, PYTHON_HINT)
        if word == "@error":
            raise HostError(host, f"the copy did not run: {rest}", "see `df -h` on the host")
        if word == "@result" and len(rest) <= MOST_RESULT:
            return _outcome(host, rest)
    raise HostError(
        host,
        f"the copy gave no result: {frame.stray(answer) or 'no output'}",
        "run it again: it goes on where it was",
    )


def _outcome(host: str, line: str) -> CopyOutcome:
    found = outcome.parse_text(line)
    if found is not None:
        return found
    raise HostError(host, "the copy's result cannot be parsed", "run it again")


def _encoded(content: str) -> str:
    return base64.b64encode(content.encode()).decode()
