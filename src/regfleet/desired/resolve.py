"""Computes the `DesiredHost` of each host from `Fleet` and `Materials`. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from regfleet.engines import ENGINES
from regfleet.engines.interface import ClientNeeds, EngineProxy, Trust
from regfleet.fleet.clients import Client, EngineName, Mirror
from regfleet.fleet.copies import Copy, copies
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.fleet.values import Json
from regfleet.http_proxy import no_proxy, with_login
from regfleet.materials import Materials
from regfleet.model.desired import DesiredHost, LoginEntry
from regfleet.model.files import Directory, File
from regfleet.model.service import Image
from regfleet.replication import timers
from regfleet.replication.settings import proxy as http_proxy
from regfleet.replication.settings import settings
from regfleet.runtimes import RUNTIMES


def resolve(
    fleet: Fleet, materials: Materials, hosts: Collection[str] | None = None
) -> dict[str, DesiredHost]:
    """The desired state of the fleet's hosts, by name, in the fleet's order.

    Args:
        hosts: the names of the hosts that the materials are for; by default all hosts.
    """
    return {
        name: _build_host(fleet, materials, name)
        for name in fleet.hosts()
        if hosts is None or name in hosts
    }


DESTROYED = "regfleet put it there"


def emptied(fleet: Fleet, *, delete_data: bool) -> dict[str, DesiredHost]:
    """The desired state of each host after `destroy`: nothing of the fleet.

    Args:
        delete_data: whether the registries' images are deleted too.
    """
    return {
        name: DesiredHost(
            name,
            fleet.name,
            engines=_engines_of_host(fleet, name),
            account=_account(clients_of(fleet, name)),
            why_gone=DESTROYED,
            delete_storage=tuple(
                registry.storage
                for registry in fleet.declared
                if delete_data
                and registry.storage
                and any(name == host.name for host in registry.hosts)
                # Of several hosts the last one, when none of them writes there any more.
                and (not registry.shared or registry.hosts[-1].name == name)
            ),
        )
        for name in fleet.hosts()
    }


def clients_of(fleet: Fleet, host: str) -> list[Client]:
    """The client groups that contain a host."""
    return list(fleet.clients_of(host))


def _account(clients: Iterable[Client]) -> str:
    """The account whose engine a host's groups use; they agree (see `fleet.check.clients`)."""
    return next((client.account for client in clients if client.account), "")


def registries_on(fleet: Fleet, host: str) -> list[Registry]:
    """The registries that a host runs, or runs the gateway of; gateways alone come last."""
    return sorted(fleet.registries_on(host), key=lambda each: bool(each.before))


def served_on(fleet: Fleet, host: str) -> list[Registry]:
    """The registries that clients reach on a host: not those that a gateway elsewhere serves."""
    return [each for each in registries_on(fleet, host) if each.instance((host,))]


def _engines_of_host(fleet: Fleet, host: str) -> tuple[EngineName, ...]:
    """The engines of a host: first its registries' engines, then its clients' engine."""
    clients = clients_of(fleet, host)
    of_registries = _registries_engines(fleet, host)
    if not clients:
        return of_registries
    own = ENGINES[clients[0].engine]
    # Several engines are Docker and differ only in its configuration: the client's one is used.
    others = (each for each in of_registries if not (own.is_docker and ENGINES[each].is_docker))
    return tuple(dict.fromkeys((*others, own.name)))


def _registries_engines(fleet: Fleet, host: str) -> tuple[EngineName, ...]:
    found = (RUNTIMES[registry.runtime].engine for registry in registries_on(fleet, host))
    return tuple(dict.fromkeys(engine for engine in found if engine))


def _build_host(fleet: Fleet, materials: Materials, name: str) -> DesiredHost:
    clients = clients_of(fleet, name)
    services = [
        service
        for registry in registries_on(fleet, name)
        if (instance := registry.part_on(name))
        for service in RUNTIMES[registry.runtime].services(
            fleet.name,
            registry,
            instance,
            materials.registries[registry.name],
            materials.image(registry.image, registry.image_archive),
            gateway=_gateway_image(materials, registry),
        )
    ]
    running = [each for each in copies(fleet) if each.host and each.host.name == name]
    by_itself = [each for each in running if each.policy.every]
    want = DesiredHost(
        name,
        fleet.name,
        engine=next(iter(_registries_engines(fleet, name)), None),
        engines=_engines_of_host(fleet, name),
        account=_account(clients),
        install=bool(services) or any(client.install for client in clients),
        vendor=any(client.vendor for client in clients),
        directories=_unique_by_path(
            (
                *(item for service in services for item in service.directories),
                *(item for each in by_itself for item in timers.directories(each)),
            )
        ),
        files=(
            *(file for service in services for file in service.files),
            *_copying(fleet, by_itself, materials),
        ),
        services=tuple(services),
        timers=tuple(map(timers.timer, running)),
    )
    if not clients:
        return want
    engine = ENGINES[clients[0].engine]
    wants = engine.wants(_client_needs(fleet, materials, clients, name))
    archive = fleet.smoke.image_archive
    return replace(
        want,
        engine=engine.name,
        migrate_flags=any(client.migrate_flags for client in clients),
        directories=_unique_by_path((*want.directories, *wants.directories)),
        files=(*want.files, *wants.files),
        conditional=wants.conditional,
        edits=wants.edits,
        logins=wants.logins,
        images=(materials.image(fleet.smoke.image, archive),) if archive else (),
    )


def _gateway_image(materials: Materials, registry: Registry) -> Image | None:
    gateway = registry.gateway
    return materials.image(gateway.image, gateway.image_archive) if gateway else None


def _copying(fleet: Fleet, running: Iterable[Copy], materials: Materials) -> tuple[File, ...]:
    """The files of copies that a host runs by itself; their program once."""
    found: dict[str, File] = {}
    for each in running:
        policy = each.policy
        by = http_proxy(fleet, policy.http_proxy, materials.copies.get(policy.name), each.host)
        its = timers.files(each, settings(each, materials.registries, by=by))
        found |= {file.path: file for file in its}
    return tuple(found.values())


def _client_needs(
    fleet: Fleet, materials: Materials, clients: list[Client], host: str
) -> ClientNeeds:
    trusts: dict[str, Trust] = {}
    daemon: dict[str, Json] = {}
    mirrors: dict[Mirror, None] = {}
    asking: list[tuple[str, bool, Registry]] = []
    for client in clients:
        mirrors |= dict.fromkeys(client.mirrors)
        daemon |= client.daemon
        for registry in fleet.registries.values():
            if registry.name in client.registries:
                asking.append((f"client.{client.name}.registries", True, registry))
            elif registry.name in client.mirrored:
                asking.append((f"client.{client.name}.mirrors", False, registry))
    # A registry that one group lists in `registries` and another in `mirrors` counts as listed.
    for place, declared, registry in sorted(asking, key=lambda each: not each[1]):
        trusts.setdefault(
            registry.endpoint,
            Trust(
                registry.endpoint,
                materials.registries[registry.name].ca,
                plain=declared and registry.tls.source == "none",
                reason=f"{place}: {registry.name}",
                registry=registry.name,
            ),
        )
    return ClientNeeds(
        tuple(trusts.values()),
        tuple(mirrors),
        daemon,
        f"client.{clients[0].name}",
        _login_entries(fleet, materials, clients),
        fleet.name,
        _engine_proxy(fleet, materials, clients, host),
        _account(clients),
    )


def _engine_proxy(
    fleet: Fleet, materials: Materials, clients: list[Client], host: str
) -> EngineProxy | None:
    """The proxy that the host's groups declare; they agree (see `fleet.check.clients`)."""
    client = next((each for each in clients if each.proxy), None)
    if client is None or client.proxy is None:
        return None
    proxy, password = client.proxy, materials.proxies.get(client.name)
    return EngineProxy(
        http=with_login(proxy.http, proxy.user, password),
        https=with_login(proxy.https, proxy.user, password),
        no_proxy=no_proxy(fleet, proxy, fleet.hosts()[host]),
        secret=password is not None,
        containers=proxy.containers,
        reason=f"client.{client.name}.proxy",
    )


def _login_entries(
    fleet: Fleet, materials: Materials, clients: list[Client]
) -> tuple[LoginEntry, ...]:
    engine = ENGINES[clients[0].engine]
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
                    engine.shell,
                    engine.login_file,
                )
    return tuple(entries.values())


def _unique_by_path(items: Iterable[Directory]) -> tuple[Directory, ...]:
    """Each path once: the first directory with that path."""
    found: dict[str, Directory] = {}
    for item in items:
        found.setdefault(item.path, item)
    return tuple(found.values())
