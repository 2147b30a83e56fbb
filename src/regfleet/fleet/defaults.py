"""What is meant where a fleet file says nothing, beyond the schema's own defaults.

For the checks and the building alike. Tables given may have None for what is broken.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from regfleet.fleet import hosts, schema
from regfleet.fleet.addresses import check_endpoint, is_ipv6
from regfleet.fleet.findings import RefusedError, Table
from regfleet.fleet.model import LOCAL

DEFAULT_PORT = 5000  # of a registry whose endpoint is not written


def laid_over(definition: str, table: Table | None) -> dict[str, Any]:
    """A table over the defaults of its definition in the schema."""
    return {**schema.defaults(definition), **(table or {})}


def tls(registry: Table) -> dict[str, Any]:
    """A registry's TLS table. An external registry is publicly trusted where nothing is said."""
    settings = laid_over("tls", registry.get("tls"))
    if registry.get("external") and "source" not in (registry.get("tls") or {}):
        settings["source"] = "public"
    return settings


def ssh(fleet_wide: Table | None, own: Table | None, host: str = "") -> dict[str, Any]:
    """A host's SSH table: its own keys over `[ssh]`'s over the defaults.

    `@local` takes nothing but `sudo` from it; without one, it is for those who are not root.
    """
    if host == LOCAL:
        fleet_wide = {"sudo": (fleet_wide or {}).get("sudo", os.geteuid() != 0)}
    written = {**(fleet_wide or {}), **(own or {})}
    if "sudo" not in written and written.get("user") == "root":
        written["sudo"] = False
    return laid_over("ssh", written)


def login(written: str | Table) -> dict[str, Any]:
    """A login's table, also where only the user is written."""
    return laid_over("login", {"user": written} if isinstance(written, str) else written)


def endpoint(registry: Table) -> str:
    """What clients type: the endpoint that is written, or the first host's address and port 5000.

    Empty where the first host is broken, or there is none.

    Raises:
        RefusedError: none is written, and the first host cannot give one.
    """
    written = registry.get("endpoint")
    if written is not None:
        return str(written)
    first = _first_host(registry)
    if first is None:
        return ""
    if first.name == LOCAL:
        reason = "a registry on @local has to say what clients type"
        raise RefusedError("is missing", f'{reason}, as in endpoint = "HOST:{DEFAULT_PORT}"')
    bracketed = f"[{first.address}]" if is_ipv6(first.address) else first.address
    made = f"{bracketed}:{DEFAULT_PORT}".lower()
    try:
        check_endpoint(made)
    except RefusedError as refused:
        message = f"is missing, and cannot be the first host's address: {refused.message}"
        raise RefusedError(message, refused.hint) from None
    return made


def _first_host(registry: Table) -> hosts.Named | None:
    item = next(iter(registry.get("hosts") or ()), None)
    if isinstance(item, dict):
        broken = item.get("name") is None or item.get("address", "") is None
        item = None if broken else item
    return None if item is None else next(hosts.declared(item))


def port(endpoint_: str, tls_source: str) -> int:
    """The TCP port of an endpoint."""
    host, colon, number = endpoint_.rpartition(":")
    if colon and number.isdigit() and host:
        return int(number)
    return 80 if tls_source == "none" else 443


def local_path(text: str, folder: Path) -> Path:
    """A path in the file: `~` expanded, else from the fleet file's folder on.

    Raises:
        RefusedError: the `~user` in it does not exist.
    """
    try:
        return folder / Path(text).expanduser()
    except RuntimeError:
        raise RefusedError(
            f"{text.partition('/')[0]} is no user of this machine", "write the path from / on"
        ) from None
