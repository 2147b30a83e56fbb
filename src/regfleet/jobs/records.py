"""The record that a job leaves on its host (`jobs/record.sh`). Pure; its text is not trusted."""

from __future__ import annotations

from typing import TypeVar

from regfleet.jobs import running
from regfleet.jobs.interface import Job
from regfleet.model.records import JobRecord
from regfleet.touch import outcome

T = TypeVar("T")

_MARK = "record"
_LATEST = 1 << 36  # seconds since 1970: the year 4147


def parse(text: str, job: Job[T]) -> tuple[JobRecord, T | None] | None:
    """The last run of a job, and what it answered; None if the text is no record.

    Args:
        job: one that answers in the same way; what it would do does not matter.
    """
    lines = text.splitlines()
    said = dict(line[1:].split(" ", 1) for line in lines if line.startswith("@") and " " in line)
    began, over = (_seconds(said.get(key, "")) for key in ("began", "ended"))
    ended = outcome.parse([f"@begin {_MARK}", *lines, f"@end {_MARK}"], _MARK)
    if ended.cut or began is None or over is None:
        return None
    value = running.read(job, ended)
    found = JobRecord(
        run=said.get("run", "")[:100],
        who=said.get("who", "")[:200],
        began=began,
        seconds=max(0, over - began),
        result=value.outcome.result,
        error=value.outcome.error[:600],
        hint=value.outcome.hint[:600],
    )
    return found, value.value


def _seconds(text: str) -> int | None:
    good = text.isascii() and text.isdecimal() and len(text) <= len(str(_LATEST))
    return int(text) if good else None
