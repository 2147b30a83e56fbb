"""When a host does something by itself: `every` and `at`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from regfleet.fleet.findings import Finding, Place, RefusedError
from regfleet.fleet.toml_text import shown

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")  # as cron counts them (crontab(5))
DAY, WEEK = 24 * 3600, 7 * 24 * 3600
_AT = re.compile(rf"(?:({'|'.join(DAYS)}) )?([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_INTERVAL = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60}
_LONGEST_INTERVAL = 30 * 24 * 60  # minutes


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a host does something by itself.

    Attributes:
        every: seconds between two runs; 0 for never.
        at: `03:00` or `Sun 03:00`, by the clock and the time zone of the host; empty for whenever
            the time has come.
    """

    every: int = 0
    at: str = ""

    @property
    def weekday(self) -> str:
        """One of `DAYS`; empty for any."""
        return self.at.rpartition(" ")[0]

    @property
    def time(self) -> str:
        """`03:00`; empty for any."""
        return self.at.rpartition(" ")[2]

    @property
    def step(self) -> int:
        """Seconds between two moments that `at` names; 0 without it."""
        return (WEEK if self.weekday else DAY) if self.at else 0


NEVER = Schedule()


def interval_seconds(text: str) -> int:
    """The seconds of an interval, as in `5m`.

    Raises:
        RefusedError: it is none.
    """
    found = _INTERVAL.fullmatch(text)
    minutes = int(found[1]) * _MINUTES[found[2]] if found else 0
    if not 0 < minutes <= _LONGEST_INTERVAL:
        raise RefusedError(f"{shown(text)} is not an interval", "as in 5m, 12h or 1d; up to 30d")
    return minutes * 60


def check_interval(text: str) -> None:
    """How often something is done, in minutes, hours or days."""
    interval_seconds(text)


def check_at(text: str) -> None:
    """A time of the day, perhaps of one day of the week."""
    if not _AT.fullmatch(text):
        raise RefusedError(
            f"{shown(text)} is not a time", f"as in 03:00 or Sun 03:00; days are {', '.join(DAYS)}"
        )


def schedule(table: Mapping[str, object]) -> Schedule:
    """The schedule of a table with `every` and `at`; either may be missing."""
    every, at = table.get("every"), str(table.get("at") or "")
    found = Schedule(interval_seconds(str(every)) if every else 0, at)
    return found if every else Schedule(found.step, at)


def check_schedule(place: Place, table: Mapping[str, object], least: int) -> Iterator[Finding]:
    """The mistakes in `every` and `at` that the schema cannot find.

    Args:
        least: the fewest seconds between two runs.
    """
    if any(key in table and table[key] is None for key in ("every", "at")):
        return  # the schema refused it
    found = schedule(table)
    if not found.every:
        return
    if found.every < least:
        message = f"is too often: {shown(str(table['every']))}"
        yield Finding((*place, "every"), message, f"at least {least // 60}m")
    elif found.step and found.every % found.step:
        span, unit = ("week", "7d or 14d") if found.weekday else ("day", "1d or 2d")
        message = f"does not go with at = {shown(found.at)}, which comes once a {span}"
        yield Finding((*place, "every"), message, f"write {unit}, or leave one of the two out")
