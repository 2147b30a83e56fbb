"""Turns a fleet file into a pyinfra inventory, by `globals().update(groups(PATH))` in its .py."""

from __future__ import annotations

import os
from pathlib import Path

from pyinfra.api.exceptions import PyinfraError

from regfleet.errors import RegfleetError, UnreachableError
from regfleet.fleet.load import load
from regfleet.fleet.machines import Host
from regfleet.ssh import ways
from regfleet.ssh.connection import CONNECTOR, ERROR, connection_data

FLEET_DATA = "regfleet_fleet"
VARIABLE = "REGFLEET_FLEET"


def groups(fleet_file: Path) -> dict[str, list[tuple[str, dict[str, object]]]]:
    """Pyinfra's groups: `registry_NAME`, `client_NAME`, `registries`, `clients`.

    Hosts are reached by regfleet's own connector (`@regfleet/NAME`, the host's name is NAME). Their
    data hold connection settings, and in `regfleet_fleet` the fleet file's path.

    Raises:
        PyinfraError: the fleet file has mistakes; it lists them all.
    """
    try:
        fleet = load(fleet_file)
    except RegfleetError as error:  # pyinfra shows its own errors plainly, others with a traceback
        raise PyinfraError(str(error)) from error
    hosts = fleet.hosts()
    ways.prepare(hosts.values())
    found = {name: _host(host, str(fleet.path)) for name, host in hosts.items()}
    return {group: [found[name] for name in names] for group, names in fleet.groups().items()}


def _host(host: Host, fleet_file: str) -> tuple[str, dict[str, object]]:
    """A host's name for pyinfra, and its data."""
    if host.is_local:
        return host.name, {FLEET_DATA: fleet_file}
    try:
        data = connection_data(ways.way_to(host))
    except UnreachableError as error:  # told when it is connected to: others can be reached
        data = {ERROR: str(error)}
    return f"@{CONNECTOR}/{host.name}", {**data, FLEET_DATA: fleet_file}


def from_environment() -> Path:
    """The fleet file that the variable REGFLEET_FLEET names.

    Raises:
        PyinfraError: it is not set.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        raise PyinfraError(
            f"the environment variable {VARIABLE} is not set; "
            f"try: {VARIABLE}=fleet.toml pyinfra ..."
        )
    return Path(value)
