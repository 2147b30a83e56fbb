"""Which host of a twin answers to which name or address, and what none is to reach. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from regfleet.errors import RegfleetError
from regfleet.fleet.model import Fleet
from regfleet.pki.names import address_of, canonical, endpoint_host

_OWN = frozenset({"localhost", "127.0.0.1", "::1"})  # each host's own, whoever asks


class Claimed(NamedTuple):
    """What a host answers to besides its own name and address."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]


def claims(fleet: Fleet, names: Mapping[str, str]) -> dict[str, str]:
    """The owner of each name and address, as the fleet names hosts.

    Of hosts that share one address in the fleet (and differ by the port of SSH), the first has it;
    so does the first host of a registry that has several.

    Args:
        fleet: the hosts and registries in play.
        names: the twin's names of hosts by the fleet's.

    Raises:
        RegfleetError: registries on several hosts share a name: there is a balancer before them.
    """
    found = {names[name].lower(): name for name in fleet.hosts()}
    for registry in fleet.registries.values():
        for host in registry.fronts[:1]:  # the others serve the same
            for name in (endpoint_host(registry.endpoint), *registry.tls.names):
                _claim(found, canonical(name), host.name)
    for host in fleet.hosts().values():
        if not host.is_local and not address_of(host.address):
            found.setdefault(host.address.lower(), host.name)
    return found


def claimed(claims_: Mapping[str, str], host: str) -> Claimed:
    """What one host answers to."""
    mine = [each for each, owner in claims_.items() if owner == host]
    return Claimed(
        tuple(each for each in mine if not address_of(each)),
        tuple(each for each in mine if address_of(each)),
    )


def foreign_mirrors(fleet: Fleet) -> dict[str, str]:
    """Mirrors that are none of the registries in play: the URL, and its host and port."""
    ours = {name for name, each in fleet.registries.items() if not each.external}
    return {
        mirror.url: urlsplit(mirror.url).netloc
        for client in fleet.clients.values()
        for mirror in client.mirrors
        if mirror.registry not in ours
    }


def away(fleet: Fleet, claims_: Mapping[str, str]) -> tuple[str, ...]:
    """Hosts of external registries and of foreign mirrors: real ones, which are left alone."""
    outside = [each.endpoint for each in fleet.registries.values() if each.external]
    names = [endpoint_host(each) for each in (*outside, *foreign_mirrors(fleet).values())]
    return tuple(dict.fromkeys(name for name in names if name not in {*claims_, *_OWN}))


def _claim(found: dict[str, str], name: str | None, host: str) -> None:
    if name is None or name in _OWN or name.startswith("*."):
        return
    if found.setdefault(name, host) != host:
        raise RegfleetError(
            f"{name} leads to registries on {found[name]} and on {host}: something before them "
            "tells which, and a twin has nothing there",
            f"leave out one of them with its clients: --exclude {host}",
        )
