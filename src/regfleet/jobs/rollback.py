"""The job that restores the state of one host before a generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from regfleet.jobs.interface import Answer, Job


@dataclass(frozen=True, slots=True)
class Rollback(Job[None]):
    """Restore the state before a generation.

    Attributes:
        generation: its number on the host, 0 for the newest.
        newest: the newest generation that the run saw; any other is an error. 0: not checked.
    """

    generation: int = 0
    newest: int = 0

    name: ClassVar[str] = "rollback"
    files: ClassVar[tuple[str, ...]] = ("rollback.sh",)

    def steps(self) -> Sequence[tuple[str, ...]]:
        """One call, which undoes generations from the newest down to `generation`."""
        return (("go_back", str(self.generation), str(self.newest)),)

    def read(self, answers: Sequence[Answer]) -> None:
        """No value; the outcome's notes name the undone generations."""
