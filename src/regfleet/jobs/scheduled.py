"""Jobs that a host does by itself at times: their program, and what starts it. Pure.

The program is the job's own, whole, in a file that root alone reads. It takes the same lock as
every run, waits for it where another one is at work, and leaves a record (`jobs/records.py`). It
has no password: a host does not get one for work that it does alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any

from regfleet import shell, timers
from regfleet.fleet.schedules import Schedule
from regfleet.jobs.interface import Job
from regfleet.jobs.render import functions
from regfleet.model.desired import Timer
from regfleet.model.files import Directory, File
from regfleet.timers import BASE
from regfleet.touch.protocol import body, call, program

PLACE = f"{BASE}/jobs.d"  # no registry can be called so: its directory lies beside it
RECORDS = "/var/lib/regfleet/records"
_WAITS = 7200  # seconds for other work on the host to end, as scheduled.sh says


def timer(
    job: type[Job[Any]],
    fleet: str,
    registry: str,
    service: str,
    *,
    schedule: Schedule,
    reason: str,
) -> Timer:
    """What a host runs for a job about a registry.

    Args:
        service: the registry's service on the host, of which the record is.
        schedule: when; without `every` the timer only names the record.
        reason: the table in the fleet file that has the schedule.
    """
    return Timer(
        name=f"regfleet-{job.name}-{fleet}.{registry}",
        about=f"{job.name} of {registry}",
        command=(f"{PLACE}/{fleet}/{job.name}.{registry}.sh",),
        schedule=schedule,
        record=f"{RECORDS}/{job.name}.{service}",
        seconds=int(job.seconds) + _WAITS,
        reason=reason,
    )


def file(found: Timer, job: Job[Any], fleet: str, engines: Sequence[str]) -> File:
    """The program of a timer.

    Args:
        engines: shell words of the engines that the host may have.
    """
    who = f"a timer of this host: regfleet, fleet {fleet}"
    steps = ["settled_before", *(call(*each) for each in job.steps())]
    lines = [f'begin "$mark" {quote(who)}', *steps]
    end = call("scheduled", found.record.rpartition("/")[2], str(timers.pause(found)))
    calls, top = body(lines), f"#!/bin/sh\n{timers.head(found)}\n"
    parts = (
        top,
        program(*engines),
        functions(job),
        shell.text("regfleet.jobs", "scheduled.sh"),
        calls,
        f'{end} "$@"\n',
    )
    # Thousands of lines that are the same for everybody are not for a plan with --diff.
    content = "\n".join(parts).encode()
    shown = f"{top}{calls}"
    return File(found.command[0], content, 0o700, found.reason, secret=True, shown=shown)


def directories(found: Timer, fleet: str) -> tuple[Directory, ...]:
    """The directories of its program."""
    return (
        Directory(BASE, 0o755, found.reason, own=True),
        Directory(PLACE, 0o700, found.reason, own=True),
        Directory(f"{PLACE}/{fleet}", 0o700, found.reason, own=True),
    )
