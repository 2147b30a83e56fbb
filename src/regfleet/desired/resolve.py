"""`Fleet` and `Materials` to one `DesiredHost` a host. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from regfleet.desired.model import DesiredHost, Directory, Image, LoginEntry
from regfleet.engines import ENGINES
from regfleet.engines.interface import ClientNeeds, Trust
from regfleet.fleet.model import Client, EngineName, Fleet, Json, Registry
from regfleet.materials import Materials
from regfleet.runtimes import RUNTIMES
from regfleet.touch.archive import digest


def resolve(fleet: Fleet, materials: Materials) -> dict[str, DesiredHost]:
    """What each host of the fleet should have, by host name, in the fleet's order."""
    return {name: _host(fleet, materials, name) for name in fleet.hosts()}


def emptied(fleet: Fleet, *, delete_data: bool) -> dict[str, DesiredHost]:
    """What each host should have when the fleet is destroyed: nothing of the fleet's.

    Args:
        delete_data: whether the registries' image data goes too.
    """
    return {
        name: DesiredHost(
            name,
            fleet.name,
            engines=_engines(fleet, name),
            delete_storage=tuple(
                registry.storage
                for registry in fleet.registries.values()
                if delete_data and name in {host.name for host in registry.hosts}
            ),
        )
        for name in fleet.hosts()
    }


def clients_of(fleet: Fleet, host: str) -> list[Client]:
    """The client groups that a host is in."""
    return [client for client in fleet.clients.values() if host in client.members]


def registries_on(fleet: Fleet, host: str) -> list[Registry]:
    """The registries that a host runs."""
    return [
        registry
        for registry in fleet.registries.values()
        if any(member.name == host for member in registry.hosts)
    ]


def _engines(fleet: Fleet, host: str) -> tuple[EngineName, ...]:
    """The engines of a host; a registry runs on Docker, whatever its clients have."""
    clients = clients_of(fleet, host)
    engine = ENGINES[clients[0].engine if clients else "docker"]
    if registries_on(fleet, host) and not engine.is_docker:
        return ("docker", engine.name)
    return (engine.name,)


def _host(fleet: Fleet, materials: Materials, name: str) -> DesiredHost:
    clients = clients_of(fleet, name)
    runs = [
        RUNTIMES[registry.runtime](fleet.name, registry, materials.registries[registry.name])
        for registry in registries_on(fleet, name)
    ]
    want = DesiredHost(
        name,
        fleet.name,
        engine="docker" if runs else None,
        engines=_engines(fleet, name),
        install=bool(runs) or any(client.install for client in clients),
        directories=_unique(item for run in runs for item in run.directories),
        files=tuple(file for run in runs for file in run.files),
        containers=tuple(container for run in runs for container in run.containers),
    )
    if not clients:
        return want
    engine = ENGINES[clients[0].engine]
    wants = engine.wants(_needs(fleet, materials, clients))
    archive = fleet.smoke.image_archive
    return replace(
        want,
        engine=engine.name,
        migrate_flags=any(client.migrate_flags for client in clients),
        directories=_unique((*want.directories, *wants.directories)),
        files=(*want.files, *wants.files),
        conditional=wants.conditional,
        daemon=wants.daemon,
        edits=wants.edits,
        logins=wants.logins,
        images=(Image(fleet.smoke.image, archive, digest(archive)),) if archive else (),
    )


def _needs(fleet: Fleet, materials: Materials, clients: list[Client]) -> ClientNeeds:
    trusts: dict[str, Trust] = {}
    daemon: dict[str, Json] = {}
    mirrors: dict[str, None] = {}
    asking: list[tuple[str, bool, Registry]] = []
    for client in clients:
        mirrors |= dict.fromkeys(client.mirrors)
        daemon |= client.daemon
        mirror_hosts = {urlsplit(mirror).netloc for mirror in client.mirrors}
        for registry in fleet.registries.values():
            if registry.name in client.registries:
                asking.append((f"client.{client.name}.registries", True, registry))
            elif registry.endpoint in mirror_hosts:
                asking.append((f"client.{client.name}.mirrors", False, registry))
    # A registry that one group declares and another mirrors from is a declared one.
    for place, declared, registry in sorted(asking, key=lambda each: not each[1]):
        trusts.setdefault(
            registry.endpoint,
            Trust(
                registry.endpoint,
                materials.registries[registry.name].ca,
                plain=declared and registry.tls.source == "none",
                reason=f"{place}: {registry.name}",
            ),
        )
    return ClientNeeds(
        tuple(trusts.values()),
        tuple(mirrors),
        daemon,
        f"client.{clients[0].name}",
        _logins(fleet, materials, clients),
        fleet.name,
    )


def _logins(fleet: Fleet, materials: Materials, clients: list[Client]) -> tuple[LoginEntry, ...]:
    entries: dict[tuple[str, str], LoginEntry] = {}
    for client in clients:
        for login in client.logins:
            registry = fleet.registries[login.registry]
            for account in login.accounts:
                entries[account, registry.endpoint] = LoginEntry(
                    account,
                    registry.endpoint,
                    login.user,
                    materials.registries[registry.name].passwords[login.user],
                    registry.name,
                    f"client.{client.name}.login: {registry.name}",
                )
    return tuple(entries.values())


def _unique(items: Iterable[Directory]) -> tuple[Directory, ...]:
    """Each path once, the first that asks for it."""
    found: dict[str, Directory] = {}
    for item in items:
        found.setdefault(item.path, item)
    return tuple(found.values())
