"""Run a program that survives a lost connection: the host finishes, then is asked the outcome.

Touches run in this way, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from regfleet.errors import HostError, UnreachableError
from regfleet.jobs.interface import MOST_ANSWERS, MOST_CHARACTERS, Answer, Job
from regfleet.touch import outcome
from regfleet.touch.outcome import Outcome
from regfleet.touch.protocol import WAIT_SECONDS, question

if TYPE_CHECKING:
    from regfleet.shell.how_far import Heard

T = TypeVar("T")


class Connection(Protocol):
    """Connections to hosts, by host name."""

    def run(self, name: str, program: str, seconds: float, heard: Heard | None = None) -> list[str]:
        """Run a program; the lines of its output, and its pieces to `heard` as they come."""

    def ask_again(self, name: str, program: str, seconds: float) -> list[str]:
        """Reconnect to a host and run a program there."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """How a job ended.

    Attributes:
        value: what the job answered; None if it failed.
    """

    outcome: Outcome
    value: T | None = None


def run(
    way: Connection,
    name: str,
    mark: str,
    program: str,
    *,
    seconds: float,
    how_to_look: str,
    heard: Heard | None = None,
) -> Outcome:
    """Run a program of `touch.protocol.whole`; ask for its outcome if the connection breaks.

    Args:
        name: the host.
        mark: the word that marks this program's output.
        seconds: the time limit.
        how_to_look: the command that shows the host's state, for an outcome that stays unknown.
        heard: called with each piece of its output as it comes.

    Raises:
        UnreachableError: there was no connection; nothing was sent.
    """
    try:
        ended = outcome.parse(way.run(name, program, seconds, heard), mark)
    except UnreachableError:
        raise
    except HostError as error:
        ended = Outcome("failed", error.message, error.hint, cut=True)
    if not ended.cut:
        return ended
    wait = max(WAIT_SECONDS, seconds / 2)
    try:
        told = outcome.parse(way.ask_again(name, question(mark, wait), seconds), mark)
    except HostError as error:
        return _unknown(ended, error.message, how_to_look)
    if told.cut:
        return _unknown(ended, told.error, how_to_look)
    note = "the connection broke while the host worked; it was asked again for the outcome"
    return replace(told, notes=(*told.notes, note))


def _unknown(ended: Outcome, why: str, how_to_look: str) -> Outcome:
    return replace(
        ended,
        error=f"it is unknown whether the host was changed: {why}",
        hint=f"`{how_to_look}` shows its state now; apply completes the change",
    )


def read(job: Job[T], ended: Outcome) -> Ended[T]:
    """The outcome of a job, with the value that its answers give."""
    if ended.cut or ended.result not in ("changed", "unchanged"):
        return Ended(ended)
    try:
        return Ended(ended, job.read(_answers(ended)))
    except (ValueError, LookupError, TypeError) as error:  # TypeError: of too few fields
        message = f"the host's answer to the {job.name} cannot be parsed: {error}"
        hint = "the job ended on the host; run it again, and check the host if this repeats"
        return Ended(replace(ended, result="failed", error=message, hint=hint, results=()))


def _answers(ended: Outcome) -> list[Answer]:
    """The `result` lines of a job.

    Raises:
        ValueError: there are too many, or one is too long.
    """
    if len(ended.results) > MOST_ANSWERS:
        raise ValueError(f"more than {MOST_ANSWERS} answers")
    for key, *fields in ended.results:
        if len(key) + sum(map(len, fields)) > MOST_CHARACTERS:
            raise ValueError(f"an answer of more than {MOST_CHARACTERS} characters")
    return [Answer(key, tuple(fields)) for key, *fields in ended.results]
