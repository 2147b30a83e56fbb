"""A fleet file as a pyinfra inventory: `globals().update(groups(PATH))` in an inventory's .py."""

from __future__ import annotations

import os
from pathlib import Path

from regfleet.errors import UsageError
from regfleet.fleet.load import load
from regfleet.run.connection import connection_data

FLEET_DATA = "regfleet_fleet"
VARIABLE = "REGFLEET_FLEET"


def groups(fleet_file: Path) -> dict[str, list[tuple[str, dict[str, object]]]]:
    """pyinfra's groups: `registry_NAME`, `client_NAME`, `registries`, `clients`.

    Each host's data say how to reach it, and in `regfleet_fleet` where the fleet file is.

    Raises:
        FleetFileError: with all its mistakes.
    """
    fleet = load(fleet_file)
    data = {
        name: {**connection_data(host), FLEET_DATA: str(fleet.path)}
        for name, host in fleet.hosts().items()
    }
    return {group: [(name, data[name]) for name in names] for group, names in fleet.groups().items()}


def from_environment() -> Path:
    """The fleet file that the variable REGFLEET_FLEET names.

    Raises:
        UsageError: it is not set.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        raise UsageError(
            f"the variable {VARIABLE} is not set", f"try: {VARIABLE}=fleet.toml pyinfra ..."
        )
    return Path(value)
