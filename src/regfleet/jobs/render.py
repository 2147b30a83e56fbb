"""Render a job as the program for one host. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regfleet import shell
from regfleet.jobs.interface import Job
from regfleet.touch.protocol import call, noted, whole

RECOVERY = "recovery.sh"


def render(
    job: Job[Any],
    run: str,
    who: str,
    engines: Sequence[str],
    hook: str = "",
    *,
    number: int = 0,
) -> str:
    """The program for standard input: take the lock, undo an interrupted change, run the steps.

    Args:
        run, who, hook, number: as in `touch.render.render`.
        engines: shell words of the engines that the host may have.
    """
    lines = [call("begin", run, who), noted(number, run, who, ""), "recover"]
    lines += [call(*step) for step in job.steps()]
    return whole(run, lines, engines, hook, functions(job))


def functions(job: Job[Any]) -> str:
    """The shell functions of every job, and its own."""
    return f"{shell.text('regfleet.jobs', RECOVERY)}\n{job.functions()}"
