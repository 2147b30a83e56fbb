"""A registry behind a gateway: three services on its hosts, whatever runs them. Pure.

The process that checks passwords, the registry, and nginx, which depends on both. The checker
comes first: it takes nobody's port, so that a registry which gets a gateway is away only while the
other two start. A gateway on a host of its own has the checker beside it: passwords go no further.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from regfleet.fleet.registries import Instance, Registry
from regfleet.gateway import files as gateway
from regfleet.gateway import nginx, vip
from regfleet.gateway.places import DIRECT_PORT, REGISTRY_PORT, USERS_PORT, Places, behind
from regfleet.gateway.upstreams import upstreams
from regfleet.materials import RegistryMaterial
from regfleet.model.files import File
from regfleet.model.service import Image, Probe, Run, Service, registry_probe
from regfleet.runtimes import configuration, files
from regfleet.secret import Secret

USERS = "users"
GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the three see what they need.

    Attributes:
        registry: the directory of the registry's configuration; empty for its place on the host.
        gateway: that of nginx; empty likewise.
        storage: the registry's data; empty likewise.
        temporary: where nginx may write what need not last.
        user: the account of nginx's workers.
        module: the path of njs.
    """

    registry: str = ""
    gateway: str = ""
    storage: str = ""
    temporary: str = "/tmp"  # noqa: S108 - a file system of its own
    user: str = "nginx"
    module: str = nginx.MODULE


@dataclass(frozen=True, slots=True)
class Fronted:
    """What a registry behind a gateway needs on one of its machines.

    Attributes:
        runs: whether the registry itself runs there.
        serves: whether its gateway does.
        needs: of the registry, without what only one or the other needs; the checker's are among
            them.
        front: of the gateway.
        front_without_ipv6: the same for a host without IPv6.
        vip: of what moves the gateways' common address; None without one.
        passed_on: whether another gateway listens at its port, and passes its clients on.
        passes_on: whether it does so with the clients of others.
    """

    runs: bool
    serves: bool
    places: Places
    needs: files.Needs
    users: File
    front: gateway.GatewayNeeds
    front_without_ipv6: gateway.GatewayNeeds
    vip: vip.Vip | None = None
    passed_on: bool = False
    passes_on: bool = False


def fronted(
    registry: Registry, instance: Instance, material: RegistryMaterial, seen: Seen
) -> Fronted:
    """The files and directories of the registry, the checker and the gateway."""
    places = places_of(registry, instance, material.sharing)
    listen = f":{registry.gateway.port}" if registry.gateway and registry.spread else ""
    needs = files.needs(
        registry,
        material,
        files.Places(seen_at=seen.registry, storage=seen.storage, listen=listen or places.registry),
    )
    host = instance.host.name
    runs = any(each.name == host for each in registry.hosts)
    serves = any(each.name == host for each in registry.fronts)
    needs = _only(needs, runs=runs, serves=serves)
    home = seen.registry or needs.home
    if not runs:  # nothing there has to know what the registry signs uploads with
        known = hashlib.sha256(material.http_secret.reveal().encode()).hexdigest()
        material = replace(material, http_secret=Secret(known))
    text = configuration.render_users(registry, material, home, places.users)
    users = File(
        f"{needs.home}/{configuration.USERS}",
        text.encode(),
        0o600,
        f"registry.{registry.name}.gateway",
        secret=True,
        shown=configuration.shown(text),
    )
    where = gateway.home(files.BASE, registry.name)
    front = nginx.Front(
        name=registry.name,
        home=seen.gateway or where,
        temporary=seen.temporary,
        user=seen.user,
        places=places,
        instances=upstreams(registry, instance.host.name, places),
        port=instance.port,
        names=tuple(
            (each.host, places_of(each, instance, material.sharing).named)
            for each in material.sharing
        )
        if _leads(registry, material.sharing)
        else (),
        shared=bool(material.sharing),
        address=_one_address(registry),
        tls=registry.tls.source != "none",
        module=seen.module,
    )
    with_ipv6, without = (
        gateway.needs(registry, material, replace(front, ipv6=ipv6), where)
        for ipv6 in (True, False)
    )
    common = vip.of(registry, instance, places, files.BASE)
    leads = _leads(registry, material.sharing)
    passed_on = bool(material.sharing) and not leads
    return Fronted(runs, serves, places, needs, users, with_ipv6, without, common, passed_on, leads)


def _only(needs: files.Needs, *, runs: bool, serves: bool) -> files.Needs:
    """What a machine needs that does not run the registry, or not its gateway."""
    of_users = [file for file in needs.files if file.users or file.roles]
    of_registry = [file for file in needs.files if file not in of_users]
    found = (*(of_registry if runs else ()), *(of_users if serves else ()))
    directories = needs.directories if runs else needs.directories[:2]
    return replace(needs, files=found, directories=directories)


def places_of(registry: Registry, instance: Instance, sharing: Sequence[Registry] = ()) -> Places:
    """Where what is behind the registry's gateway listens.

    Args:
        sharing: the registries whose gateways share the port.
    """
    name = registry.name if sharing and not _leads(registry, sharing) else ""
    return behind(instance.port, _one_address(registry), name)


def _leads(registry: Registry, sharing: Sequence[Registry]) -> bool:
    """Whether its gateway listens at the port that several share."""
    return bool(sharing) and sharing[0].name == registry.name


def _one_address(registry: Registry) -> str:
    """The one address that the registry is to listen at; empty for all of them."""
    return registry.listen[0] if registry.listen else ""


@dataclass(frozen=True, slots=True)
class Runs:
    """How each of the three is run, and of which image, where it is one."""

    registry: Run
    users: Run
    gateway: Run
    image: Image | None = None
    gateway_image: Image | None = None


def services(
    fleet: str, registry: Registry, instance: Instance, made: Fronted, runs: Runs
) -> tuple[Service, ...]:
    """The services: the checker, the registry, the gateway."""
    name, reason = f"regfleet-{registry.name}", f"registry.{registry.name}"
    spread = registry.gateway if registry.spread else None
    own = Service(
        name=name,
        run=runs.registry,
        probe=registry_probe(tls=registry.spread),
        image=runs.image,
        storage=registry.storage,
        shared=registry.shared,
        inputs=made.needs.read_at_start,
        address="127.0.0.1" if spread else made.places.address,
        port=spread.port if spread else REGISTRY_PORT,
        everywhere=bool(spread),
        registry=registry.name,
        fleet=fleet,
        reason=reason,
        files=made.needs.files,
        directories=made.needs.directories,
        adopt=registry.adopt,
    )
    users = Service(
        name=f"{name}.{USERS}",
        run=runs.users,
        probe=Probe("http", "/v2/", (401,)),
        image=runs.image,
        inputs=(made.users.digest,),
        address=made.places.address,
        port=USERS_PORT,
        registry=registry.name,
        fleet=fleet,
        reason=reason,
        files=(made.users, *(made.needs.files if not made.runs else ())),
        directories=() if made.runs else made.needs.directories,
    )
    front = Service(
        name=f"{name}.{GATEWAY}",
        run=runs.gateway,
        probe=Probe("http" if registry.tls.source == "none" else "https", made.front.ready),
        image=runs.gateway_image,
        address=made.places.address if made.passed_on else instance.address,
        port=DIRECT_PORT if made.passed_on else instance.port,
        everywhere=registry.listen is None and not made.passed_on,
        depends=(users.name, own.name) if made.runs else (users.name,),
        registry=registry.name,
        fleet=fleet,
        reason=f"{reason}.gateway",
        files=made.front.files,
        directories=made.front.directories,
        reloads=tuple(file.path for file in made.front.files),
    )
    other = made.front_without_ipv6
    if other.version != made.front.version:
        probe = replace(front.probe, path=other.ready)
        front = replace(front, without_ipv6=replace(front, files=other.files, probe=probe))
    if not made.serves:
        return (own,)
    moving = (vip.service(fleet, registry, made.vip, users, front),) if made.vip else ()
    return (users, own, front, *moving) if made.runs else (users, front, *moving)
