"""Copies that a host runs by itself: the program and its settings. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from regfleet.fleet.copies import Copy
from regfleet.fleet.schedules import Schedule
from regfleet.fleet.values import Json
from regfleet.model.desired import Timer
from regfleet.model.files import Directory, File
from regfleet.replication import bundle
from regfleet.replication.settings import DEADLINE, STATE, text
from regfleet.timers import BASE

PLACE = f"{BASE}/replication.d"  # no registry can be called so: its directory lies beside it
_CONFINED = (
    "StateDirectory=regfleet/replication",
    "StateDirectoryMode=0700",
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "TasksMax=256",
)


def timer(copy: Copy) -> Timer:
    """What a host runs for a copy."""
    place, every = f"{PLACE}/{copy.fleet}", copy.policy.every
    return Timer(
        name=f"regfleet-replication-{copy.file_name}",
        about=f"replication {copy.name}",
        command=(f"{place}/engine.py", f"{place}/{copy.name}.json"),
        schedule=Schedule(every),
        record=f"{STATE}/{copy.file_name}.json",
        seconds=DEADLINE + 120,
        reason=f"replication.{copy.policy.name}",
        python=True,
        confined=_CONFINED,
        cron=("--every", str(every)),
    )


def files(copy: Copy, settings: Mapping[str, Json]) -> tuple[File, ...]:
    """The program and its settings, which hold passwords."""
    found = timer(copy)
    program, place = found.command
    shown = json.dumps(_without_passwords(settings), indent=1) + "\n"
    return (
        File(program, bundle.text().encode(), 0o644, found.reason),
        File(place, text(settings).encode(), 0o600, found.reason, secret=True, shown=shown),
    )


def directories(copy: Copy) -> tuple[Directory, ...]:
    """The directories of these files."""
    reason = f"replication.{copy.policy.name}"
    return (
        Directory(BASE, 0o755, reason, own=True),
        Directory(PLACE, 0o700, reason, own=True),
        Directory(f"{PLACE}/{copy.fleet}", 0o700, reason, own=True),
    )


def _without_passwords(settings: Mapping[str, Json]) -> dict[str, Json]:
    return {
        name: (
            {key: "(secret)" if key == "password" else each for key, each in value.items()}
            if isinstance(value, dict)
            else value
        )
        for name, value in settings.items()
    }
