"""Copies that a host runs by itself: the program, its settings, and what starts it. Pure.

Where systemd runs, a service and a timer (systemd.timer(5), systemd.exec(5)); elsewhere a file of
cron's (crontab(5), and cron(8) of Debian: names without a dot, lines with a user).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from regfleet.errors import HostError
from regfleet.fleet.copies import Copy
from regfleet.fleet.model import Json
from regfleet.model.desired import Timer
from regfleet.model.files import Directory, File
from regfleet.model.observed import ObservedHost
from regfleet.replication.now import NO_PYTHON, PYTHON_HINT, engine_text
from regfleet.replication.settings import DEADLINE, STATE, text

BASE = "/etc/regfleet"
PLACE = f"{BASE}/replication.d"  # no registry can be called so: its directory lies beside it
UNITS = "/etc/systemd/system"
_PYTHON = re.compile(r"/[A-Za-z0-9._/-]{1,200}")
_UNIT = re.compile(rf"{UNITS}/(regfleet-replication-[a-z0-9._-]+)\.(?:timer|service)")
_HOUR, _DAY = 3600, 24 * 3600
_MOST_SPREAD = 300  # seconds by which the runs of many hosts are spread


def timer(copy: Copy) -> Timer:
    """What a host runs for a copy."""
    return Timer(
        name=f"regfleet-replication-{copy.file_name}",
        copy=copy.name,
        program=f"{PLACE}/{copy.fleet}/engine.py",
        settings=f"{PLACE}/{copy.fleet}/{copy.name}.json",
        record=f"{STATE}/{copy.file_name}.json",
        every=copy.policy.every,
        reason=f"replication.{copy.policy.name}",
    )


def files(copy: Copy, settings: Mapping[str, Json]) -> tuple[File, ...]:
    """The program and its settings, which hold passwords."""
    found = timer(copy)
    shown = json.dumps(_without_passwords(settings), indent=1) + "\n"
    return (
        File(found.program, engine_text().encode(), 0o644, found.reason),
        File(
            found.settings,
            text(settings).encode(),
            0o600,
            found.reason,
            secret=True,
            shown=shown,
        ),
    )


def directories(copy: Copy) -> tuple[Directory, ...]:
    """The directories of these files."""
    reason = f"replication.{copy.policy.name}"
    return (
        Directory(BASE, 0o755, reason, own=True),
        Directory(PLACE, 0o700, reason, own=True),
        Directory(f"{PLACE}/{copy.fleet}", 0o700, reason, own=True),
    )


def paths(found: Timer) -> tuple[str, ...]:
    """The files that start it, by whatever the host has."""
    if not found.every:
        return ()
    return (
        f"{UNITS}/{found.name}.service",
        f"{UNITS}/{found.name}.timer",
        cron_path(found),
    )


def cron_path(found: Timer) -> str:
    """Its file of cron's. Names of fleets, policies and registries have no upper-case letters."""
    return f"/etc/cron.d/{found.name.replace('.', '-X-')}"


def fitted(found: Timer, host: str, seen: ObservedHost) -> tuple[File, ...]:
    """The files that start it on this host.

    Raises:
        HostError: it has no Python, or nothing that starts programs at a time.
    """
    if not found.every:
        return ()
    if not _PYTHON.fullmatch(seen.python):
        raise HostError(host, f"{found.reason}: {NO_PYTHON}", PYTHON_HINT)
    if seen.init == "systemd":
        service, unit = (
            "\n".join(lines) + "\n" for lines in (_service(found, seen.python), _timer(found))
        )
        return (
            File(f"{UNITS}/{found.name}.service", service.encode(), 0o644, found.reason),
            File(f"{UNITS}/{found.name}.timer", unit.encode(), 0o644, found.reason),
        )
    if not seen.cron:
        raise HostError(
            host,
            f"{found.reason}.every: it has neither systemd nor a cron that reads /etc/cron.d",
            "install cron there, or leave every out and call `regfleet replicate` yourself",
        )
    line = f"{_schedule(found.every)} root {' '.join(_command(found, seen.python))}"
    more = f" --every {found.every} >/dev/null 2>&1"
    content = f"{_head(found)}\n{line}{more}\n"
    return (File(cron_path(found), content.encode(), 0o644, found.reason),)


def unit_of(path: str) -> str:
    """The timer that a file of systemd's belongs to; empty for other files."""
    match = _UNIT.fullmatch(path)
    return match[1] if match else ""


def _head(found: Timer) -> str:
    return f"# Written by regfleet for {found.reason} ({found.copy}): changes here are overwritten."


def _command(found: Timer, python: str) -> tuple[str, ...]:
    return (python, "-I", found.program, found.settings)


def _service(found: Timer, python: str) -> Iterator[str]:
    yield from (_head(found), "", "[Unit]", f"Description=replication {found.copy} of regfleet")
    yield from ("Wants=network-online.target", "After=network-online.target")
    yield from ("StartLimitIntervalSec=0", "", "[Service]")  # also by hand, as often as is wanted
    yield from ("Type=oneshot", f"ExecStart={' '.join(_command(found, python))}")
    # A registry that is away, or a run that is at work already: the next run's (sysexits.h).
    yield from ("SuccessExitStatus=75", f"TimeoutStartSec={DEADLINE + 120}", "TimeoutStopSec=60")
    yield from ("Nice=10", "StateDirectory=regfleet/replication", "StateDirectoryMode=0700")
    yield from ("CapabilityBoundingSet=", "NoNewPrivileges=yes", "ProtectSystem=strict")
    yield from ("ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes")
    yield from ("RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "TasksMax=256")


def _timer(found: Timer) -> Iterator[str]:
    yield from (_head(found), "", "[Unit]", f"Description=replication {found.copy} of regfleet")
    yield from ("", "[Timer]", "OnActiveSec=5s", f"OnUnitInactiveSec={found.every}s")
    yield f"RandomizedDelaySec={min(_MOST_SPREAD, found.every // 10)}s"
    yield from ("AccuracySec=1s", "", "[Install]", "WantedBy=timers.target")


def _schedule(every: int) -> str:
    """When cron looks; the program itself then waits for its time (`--every`)."""
    if _HOUR % every == 0:
        return f"*/{every // 60} * * * *" if every < _HOUR else "0 * * * *"
    if _DAY % every == 0 and every % _HOUR == 0:
        return f"0 */{every // _HOUR} * * *" if every < _DAY else "0 0 * * *"
    return "0 0 * * *" if every % _DAY == 0 else "* * * * *"


def _without_passwords(settings: Mapping[str, Json]) -> dict[str, Json]:
    return {
        name: (
            {key: "(secret)" if key == "password" else each for key, each in value.items()}
            if isinstance(value, dict)
            else value
        )
        for name, value in settings.items()
    }
