"""The values that regfleet uses for keys that a fleet file leaves out.

The cross-checks and `build` both use them. A table given here has None for each value that the
schema refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from regfleet.fleet import hosts, schema
from regfleet.fleet.addresses import HUB, HUB_HOSTS, check_endpoint, is_ipv6, split_listen
from regfleet.fleet.findings import RefusedError, Table
from regfleet.fleet.machines import LOCAL

DEFAULT_PORT = 5000  # of a registry whose endpoint is not written
SSH_PORT = 22  # where neither the fleet file nor an SSH configuration says another


def with_defaults(definition: str, table: Table | None) -> dict[str, Any]:
    """A table's keys, with the schema's defaults for the keys that it leaves out."""
    return {**schema.defaults(definition), **(table or {})}


def tls(registry: Table) -> dict[str, Any]:
    """A registry's TLS table. The source of an external registry is `public` by default."""
    settings = with_defaults("tls", registry.get("tls"))
    if registry.get("external") and "source" not in (registry.get("tls") or {}):
        settings["source"] = "public"
    return settings


def ssh(fleet_wide: Table | None, own: Table | None, host: str = "") -> dict[str, Any]:
    """A host's SSH table: its own keys over `[ssh]`'s over the defaults.

    `@local` takes only `sudo` from `[ssh]`; the default is to use sudo unless run as root.
    """
    if host == LOCAL:
        fleet_wide = {"sudo": (fleet_wide or {}).get("sudo", os.geteuid() != 0)}
    written = {**(fleet_wide or {}), **(own or {})}
    if "sudo" not in written and written.get("user") == "root":
        written["sudo"] = False
    return with_defaults("ssh", written)


def serves_docker_hub(registry: Table) -> bool:
    """Whether a registry caches Docker Hub, or declares that its upstream mirrors Docker Hub."""
    url = upstream(registry)["url"]
    written = registry.get("serves_docker_hub")
    if written is not None or url is None:
        return bool(written)
    return urlsplit(url).hostname in HUB_HOSTS


def upstream_url(registry: Table) -> str | None:
    """The URL of a registry's upstream; None where it has none."""
    found: str | None = upstream(registry)["url"]
    return found


def upstream(registry: Table) -> dict[str, Any]:
    """A registry's upstream, written as a URL or as a table; `url` is None where it has none."""
    written = registry.get("proxy")
    table = written if isinstance(written, dict) else {"url": written}
    return {"url": None, **table}


def directory(storage: object) -> str:
    """The host's directory that a registry's `storage` names; empty for a bucket."""
    if isinstance(storage, dict):
        storage = storage.get("shared")
    return storage if isinstance(storage, str) else ""


def backup_directory(to: object) -> str:
    """The host's directory that a backup's `to` names; empty where the schema refused it."""
    written = to.get("mounted") if isinstance(to, dict) else to
    return written.rstrip("/") if isinstance(written, str) else ""


def is_shared(storage: object) -> bool:
    """Whether a registry's `storage` is one file system on all its hosts."""
    return isinstance(storage, dict) and "shared" in storage


def s3(registry: Table) -> Table | None:
    """The bucket that a registry's `storage` names; None for a directory."""
    storage = registry.get("storage")
    return storage.get("s3") if isinstance(storage, dict) else None


def registry_version(registry: Table) -> int | None:
    """The major version of the program that a registry runs; None where nothing tells it.

    A package is Debian's docker-registry, whose every release so far is a version 2.
    """
    settings = with_defaults("registry", registry)
    if settings["runtime"] == "package":
        return 2
    tag = (settings["image"] or "").partition("@")[0].rpartition("/")[2].partition(":")[2]
    major = re.match(r"v?([0-9]+)(?:[.-]|$)", tag)
    return int(major[1]) if major else None


class WrittenMirror(NamedTuple):
    """A mirror as a client's table has it.

    Attributes:
        of: the registry whose images it has.
        place: below the client's table.
    """

    of: str
    written: str
    place: tuple[str | int, ...]


def mirrors(client: Table) -> Iterator[WrittenMirror]:
    """The mirrors of a client, those that the schema refused left out; a list is Docker Hub's."""
    written: Any = client.get("mirrors") or ()
    is_table = isinstance(written, Mapping)
    for of, group in (written if is_table else {HUB: written}).items():
        for index, mirror in enumerate(group or ()):
            if mirror is not None:
                place = ("mirrors", of, index) if is_table else ("mirrors", index)
                yield WrittenMirror(of, mirror, place)


def is_cache_of(registry: Table, upstream: str) -> bool:
    """Whether a pull-through cache has the images of a registry, as images name it."""
    if upstream == HUB:
        return serves_docker_hub(registry)
    url = urlsplit(upstream_url(registry) or "")
    named = (
        upstream.rpartition(":") if upstream.rpartition(":")[2].isdigit() else (upstream, "", "")
    )
    usual = 80 if url.scheme == "http" else 443
    return (url.hostname, url.port or usual) == (named[0], int(named[2] or usual))


def mirror_registry(
    written: str, names: Container[str], by_endpoint: Mapping[str, str]
) -> str | None:
    """The name of the declared registry that a client's mirror points to; None for any other URL.

    Args:
        written: the mirror as the fleet file has it: a registry's name or a URL.
        names: the names of the declared registries.
        by_endpoint: the name of each declared registry by its endpoint.
    """
    return written if written in names else by_endpoint.get(urlsplit(written).netloc)


def login(written: str | Table, account: str = "") -> dict[str, Any]:
    """A login's table; a login written as a string names the user.

    Args:
        account: whose the client's engine is, and so the login; empty for root's engine.
    """
    table: Table = {"user": written} if isinstance(written, str) else written
    return with_defaults("login", {"for": [account], **table} if account else table)


def with_port(authority: str, port: int) -> str:
    """An endpoint of the same host at another port."""
    host = authority
    if not authority.endswith("]") and authority.rpartition(":")[2].isdigit():
        host = authority.rpartition(":")[0]
    return f"{host}:{port}"


def endpoint(registry: Table) -> str:
    """The endpoint that clients type: the one declared, or the first host's address and a port.

    The port is that of `listen`, or 5000. The endpoint is empty when the registry has no hosts
    or its first host is broken.

    Raises:
        RefusedError: no endpoint is declared, and the first host's address cannot be one.
    """
    written = registry.get("endpoint")
    if written is not None:
        return str(written)
    first = _first_host(registry)
    if first is None:
        return ""
    if first.name == LOCAL:
        reason = "a registry on @local must declare what clients type"
        raise RefusedError("is missing", f'{reason}, as in endpoint = "HOST:{DEFAULT_PORT}"')
    bracketed = f"[{first.address}]" if is_ipv6(first.address) else first.address
    listen = registry.get("listen")
    made = f"{bracketed}:{split_listen(listen)[1] if listen else DEFAULT_PORT}".lower()
    try:
        check_endpoint(made)
    except RefusedError as refused:
        message = f"is missing, and cannot be the first host's address: {refused.message}"
        raise RefusedError(message, refused.hint) from None
    return made


def _first_host(registry: Table) -> hosts.NamedHost | None:
    item = next(iter(registry.get("hosts") or ()), None)
    if isinstance(item, dict):
        broken = item.get("name") is None or item.get("address", "") is None
        item = None if broken else item
    return None if item is None else next(hosts.hosts_of_item(item))


def port(endpoint_: str, tls_source: str) -> int:
    """The TCP port of an endpoint."""
    host, colon, number = endpoint_.rpartition(":")
    if colon and number.isdigit() and host:
        return int(number)
    return 80 if tls_source == "none" else 443


def local_path(text: str, folder: Path) -> Path:
    """A path from the fleet file, with `~` expanded; relative paths start at the file's folder.

    Raises:
        RefusedError: the user of `~user` does not exist on this machine.
    """
    try:
        return folder / Path(text).expanduser()
    except RuntimeError:
        raise RefusedError(
            f"{text.partition('/')[0]} is no user of this machine", "write an absolute path"
        ) from None
