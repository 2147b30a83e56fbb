"""What starts a program of regfleet's on a host at its time. Pure.

Where systemd runs, a service and a timer (systemd.timer(5), systemd.time(7), systemd.exec(5));
elsewhere a file of cron's (crontab(5), and cron(8) of Debian: names without a dot, lines with a
user). Both count the time of day in the host's own time zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from regfleet.errors import HostError
from regfleet.fleet.schedules import DAYS
from regfleet.model.desired import Timer
from regfleet.model.files import File
from regfleet.model.observed import ObservedHost

BASE = "/etc/regfleet"
UNITS = "/etc/systemd/system"
NO_PYTHON = "it has no Python 3.6 or later, which a replication on this host needs"
PYTHON_HINT = (
    "install python3 there, or write run_on: regfleet's machine (controller) needs none on hosts"
)
_PYTHON = re.compile(r"/[A-Za-z0-9._/-]{1,200}")
_TIMER = re.compile(rf"{UNITS}/(regfleet-[a-z0-9._-]+)\.timer")
_HOUR, _DAY = 3600, 24 * 3600
_MOST_SPREAD = 300  # seconds by which the runs of many hosts are spread


def paths(found: Timer) -> tuple[str, ...]:
    """The files that start it, by whatever the host has."""
    if not found.schedule.every:
        return ()
    return (service_path(found), f"{UNITS}/{found.name}.timer", cron_path(found))


def service_path(found: Timer) -> str:
    """The file of its service of systemd's."""
    return f"{UNITS}/{found.name}.service"


def cron_path(found: Timer) -> str:
    """Its file of cron's. Names of fleets, policies and registries have no upper-case letters."""
    return f"/etc/cron.d/{found.name.replace('.', '-X-')}"


def name_of(path: str) -> str:
    """The name of the timer that a file of systemd's is; empty for other files."""
    match = _TIMER.fullmatch(path)
    return match[1] if match else ""


def fitted(found: Timer, host: str, seen: ObservedHost) -> tuple[File, ...]:
    """The files that start it on this host.

    Raises:
        HostError: it has no Python for a program of Python's, or nothing that starts programs at
            a time.
    """
    if not found.schedule.every:
        return ()
    if found.python and not _PYTHON.fullmatch(seen.python):
        raise HostError(host, f"{found.reason}: {NO_PYTHON}", PYTHON_HINT)
    command = (seen.python, "-I") if found.python else ("/bin/sh",)
    words = " ".join((*command, *found.command))
    if seen.init == "systemd":
        service, unit = (
            "\n".join(lines) + "\n" for lines in (_service(found, words), _timer(found))
        )
        return (
            File(service_path(found), service.encode(), 0o644, found.reason),
            File(f"{UNITS}/{found.name}.timer", unit.encode(), 0o644, found.reason),
        )
    if not seen.cron:
        raise HostError(
            host,
            f"{found.reason}.every: it has neither systemd nor a cron that reads /etc/cron.d",
            "install cron there, or leave every out and call regfleet yourself",
        )
    line = " ".join((_cron_time(found), "root", words, *found.cron, ">/dev/null 2>&1"))
    return (File(cron_path(found), f"{head(found)}\n{line}\n".encode(), 0o644, found.reason),)


def head(found: Timer) -> str:
    """The first line of its files."""
    return (
        f"# Written by regfleet for {found.reason} ({found.about}): changes here are overwritten."
    )


def _service(found: Timer, words: str) -> Iterator[str]:
    yield from (head(found), "", "[Unit]", f"Description={found.about} of regfleet")
    yield from ("Wants=network-online.target", "After=network-online.target")
    yield from ("StartLimitIntervalSec=0", "", "[Service]")  # also by hand, as often as is wanted
    yield from ("Type=oneshot", f"ExecStart={words}")
    # What is away, or a run that is at work already: the next run's (sysexits.h).
    yield from ("SuccessExitStatus=75", f"TimeoutStartSec={found.seconds}", "TimeoutStopSec=60")
    yield from ("Nice=10", *found.confined)


def _timer(found: Timer) -> Iterator[str]:
    when = found.schedule
    yield from (head(found), "", "[Unit]", f"Description={found.about} of regfleet", "")
    yield "[Timer]"
    if when.at:
        yield from (f"OnCalendar={when.weekday} *-*-* {when.time}:00".replace("= ", "="),)
        yield "Persistent=true"
    else:
        # A program that is not its own clock would wait for `every` anew after each start of the
        # host; it is asked often enough, and knows itself when its last run was.
        wake = when.every if found.python else wakes(when.every)
        yield from ("OnActiveSec=5s", f"OnUnitInactiveSec={wake}s")
        yield f"RandomizedDelaySec={min(_MOST_SPREAD, wake // 10)}s"
    yield from ("AccuracySec=1s", "", "[Install]", "WantedBy=timers.target")


def wakes(every: int) -> int:
    """The seconds between two looks whether the time has come."""
    return min(every, max(60, every // 24))


def pause(found: Timer) -> int:
    """The seconds that have to be over since the last run began; less by what timers are late."""
    when = found.schedule
    if not when.at:
        return when.every - wakes(when.every) // 2
    return when.every - when.step // 2 if when.every > when.step else 0


def _cron_time(found: Timer) -> str:
    when = found.schedule
    if not when.at:
        return _schedule(when.every)
    hour, _, minute = when.time.partition(":")
    day = str(DAYS.index(when.weekday)) if when.weekday else "*"
    return f"{int(minute)} {int(hour)} * * {day}"


def _schedule(every: int) -> str:
    """When cron looks; the program itself then waits for its time."""
    if _HOUR % every == 0:
        return f"*/{every // 60} * * * *" if every < _HOUR else "0 * * * *"
    if _DAY % every == 0 and every % _HOUR == 0:
        return f"0 */{every // _HOUR} * * *" if every < _DAY else "0 0 * * *"
    return "0 0 * * *" if every % _DAY == 0 else "* * * * *"
