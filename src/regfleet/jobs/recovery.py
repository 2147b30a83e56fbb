"""The job that only undoes an interrupted change, as every job does first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from regfleet.jobs.interface import Answer, Job


@dataclass(frozen=True, slots=True)
class Recovery(Job[None]):
    """Restore the state before an interrupted change, if there was one."""

    name: ClassVar[str] = "recovery"

    def steps(self) -> Sequence[tuple[str, ...]]:
        """No steps of its own."""
        return ()

    def read(self, answers: Sequence[Answer]) -> None:
        """No value."""
