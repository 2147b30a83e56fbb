"""A fleet file as a pyinfra inventory: `globals().update(groups(PATH))` in an inventory's .py."""

from __future__ import annotations

import os
from pathlib import Path

from pyinfra.api.exceptions import PyinfraError

from regfleet.errors import RegfleetError
from regfleet.fleet.load import load
from regfleet.run.connection import connection_data

FLEET_DATA = "regfleet_fleet"
VARIABLE = "REGFLEET_FLEET"


def groups(fleet_file: Path) -> dict[str, list[tuple[str, dict[str, object]]]]:
    """Pyinfra's groups: `registry_NAME`, `client_NAME`, `registries`, `clients`.

    Each host's data say how to reach it, and in `regfleet_fleet` where the fleet file is.

    Raises:
        PyinfraError: the fleet file is wrong; with all its mistakes.
    """
    try:
        fleet = load(fleet_file)
    except RegfleetError as error:  # pyinfra shows its own errors plainly, others with a traceback
        raise PyinfraError(str(error)) from error
    data = {
        name: {**connection_data(host), FLEET_DATA: str(fleet.path)}
        for name, host in fleet.hosts().items()
    }
    return {
        group: [(name, data[name]) for name in names] for group, names in fleet.groups().items()
    }


def from_environment() -> Path:
    """The fleet file that the variable REGFLEET_FLEET names.

    Raises:
        PyinfraError: it is not set.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        raise PyinfraError(
            f"the variable {VARIABLE} is not set; try: {VARIABLE}=fleet.toml pyinfra ..."
        )
    return Path(value)
