"""How registries are cared for, in words: room, jobs, and how far copies are behind."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from rich.filesize import decimal

from regfleet.model.copies import CopyStatus
from regfleet.model.records import JobStatus
from regfleet.model.status import Room

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def job_text(found: JobStatus, now: datetime) -> str:
    """The last run of a job, and when the next ones are; empty where there is nothing to say."""
    when = found.schedule
    every = f"every {interval(when.every)}" if when.every else ""
    every += f" at {when.at}" if when.every and when.at else ""
    last = found.last
    if found.error:
        return f"{found.job}: {found.error}"
    if last is None:
        return f"{found.job}: not yet; {every}" if every else ""
    words = f"{found.job}: {age(now - moment(last.began))}"
    if last.by_itself:
        words += " by itself"
    if not last.ok:
        words += f", {last.result}: {last.error}"
    elif "bytes_freed" in found.figures:
        words += f", freed {decimal(found.figures['bytes_freed'])}"
    elif found.figures.get("kept"):
        oldest = age(now - moment(found.figures.get("oldest", 0)))
        words += f", {found.figures['kept']} kept, the oldest from {oldest}"
    return f"{words}; {every}" if every else words


def room_text(found: Room) -> str:
    """The free space of a registry's storage, and how fast it is used up."""
    words = f"room: {decimal(found.free)} of {decimal(found.size)} free"
    if found.inodes and found.free_inodes * 2 < found.inodes:
        words += f", {found.free_inodes} of {found.inodes} inodes"
    if found.per_day is not None and found.per_day > 0:
        words += f", {decimal(found.per_day)} less a day"
    return "; ".join([words, *found.warnings])


def lag_text(copy: CopyStatus, now: datetime) -> str:
    """How far a copy is behind, in a few letters: `2 hours behind`."""
    if copy.error:
        return "not known"
    if copy.last is None:
        return "has not run"
    if copy.last.state != "ok":
        return copy.last.state
    lag = copy.lag(now)
    return "not complete" if lag is None else f"{_passed(lag) or 'a minute'} behind"


def age(passed: timedelta) -> str:
    """Elapsed time in one unit: `3 hours ago`."""
    words = _passed(int(passed.total_seconds()))
    return f"{words} ago" if words else "just now"


def _passed(seconds: int) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}{'' if seconds // size == 1 else 's'}"
    return ""


def moment(seconds: int) -> datetime:
    """A time of a host's, which may be anything."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, timezone.utc)


def interval(seconds: int) -> str:
    """How often: `7d`."""
    for size, unit in ((86400, "d"), (3600, "h")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds // 60}m"
