"""The interface of a job: one-shot work on a host, with the lock and the protocol of a touch.

A new job is one Python file here, with a class for its arguments and its answer, and one shell file
beside it, with the functions that `steps` names. Its shell can call every function of the touch
(`touch/program/*.sh`), above all:

* `fail MESSAGE [HINT]` ends the job and calls the functions registered with `undo_with`;
* `boundary NAME` marks each change inside a step: fault injection kills the job there;
* `changed=1` records that something on the host was changed;
* `result KEY FIELD...` sends an answer to `read`;
* `progress WORK [DONE OF [BYTES OF]]` says how far long work is (`shell/how_far.py`);
* `generation`, `save FILE` and `commit_to "$saved"` before files are replaced: any failure, a
  kill included, then restores them.

A killed job may be run again: it has to begin by finding what an earlier run left.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from regfleet import shell

T = TypeVar("T")

MOST_ANSWERS = 10_000
MOST_CHARACTERS = 4096  # of one answer


@dataclass(frozen=True, slots=True)
class Answer:
    """One `result KEY FIELD...` line of a host; its text is not trusted.

    Attributes:
        fields: one line each; without control characters unless the host is hostile.
    """

    key: str
    fields: tuple[str, ...] = ()

    def number(self, index: int = 0, most: int = 1 << 63) -> int:
        """A field as a whole number.

        Raises:
            ValueError: it is not one, negative, or above `most`; or there is no such field.
        """
        if index >= len(self.fields):
            raise ValueError(f"{self.key}: no field {index + 1}")
        text = self.fields[index]
        # Too many digits are not even parsed: int() takes time quadratic in their number.
        if not (text.isascii() and text.isdecimal()) or len(text) > len(str(most)):
            raise ValueError(f"{self.key}: {text[:30]!r} is not a number")
        if int(text) > most:
            raise ValueError(f"{self.key}: {text} is above {most}")
        return int(text)


class Job(ABC, Generic[T]):
    """One-shot work on a host. Subclasses are frozen dataclasses of the job's arguments.

    Attributes:
        name: shown to people and written to the run's record.
        files: the job's shell files in this package.
        seconds: the time limit; 0 for that of a touch.
    """

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]] = ()
    seconds: ClassVar[float] = 0

    def functions(self) -> str:
        """The job's shell functions."""
        return "\n".join(shell.text("regfleet.jobs", name) for name in self.files)

    @abstractmethod
    def steps(self) -> Sequence[tuple[str, ...]]:
        """The calls in order: each a shell function and its arguments."""

    @abstractmethod
    def read(self, answers: Sequence[Answer]) -> T:
        """The job's value from its answers; called only if the job ended well.

        Raises:
            ValueError, LookupError: the job's shell file does not answer like this.
        """
