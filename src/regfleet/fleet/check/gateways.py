"""Cross-checks of `[registry.NAME.gateway]`: where gateways run, and what they can stand before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface

from regfleet.fleet import defaults
from regfleet.fleet.addresses import canonical, split_listen
from regfleet.fleet.check import tables
from regfleet.fleet.check.hosts import Claim
from regfleet.fleet.findings import Finding, Place, RefusedError, Table
from regfleet.fleet.loopback import network
from regfleet.fleet.machines import LOCAL
from regfleet.fleet.toml_text import place as written

_WITHIN = range(22500, 22507)  # ports of what is behind a gateway on its own host (gateway.places)


def check(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """The mistakes of gateways that the schema cannot find."""
    hosts: defaultdict[Place, list[Claim]] = defaultdict(list)
    for claim in claims:
        hosts[claim.group].append(claim)
    listening: dict[tuple[str, int], Place] = {}
    loopback: dict[tuple[str, int, int], Place] = {}
    common: dict[str, Place] = {}
    for name, registry in tables.named(document, "registry"):
        if registry.get("external") or tables.is_broken(registry, "external"):
            continue
        place: Place = ("registry", name)
        gateway = registry.get("gateway")
        if gateway is None and not registry.get("projects"):
            continue
        where = (*place, "gateway" if "gateway" in registry else "projects")
        fronts = hosts[(*place, "gateway")]
        machines = {each.name for each in (*hosts[place], *fronts)}
        alone = bool((gateway or {}).get("before"))
        yield from _possible(where, registry, machines=None if alone else len(machines))
        yield from _lists(where, gateway or {})
        if fronts and "endpoint" not in registry and not alone:
            message = "is missing: it has to be a name that leads to its gateways"
            hint = 'as in endpoint = "registry.example.com:5000"'
            yield Finding((*place, "endpoint"), message, hint)
        yield from _packaged(where, registry)
        yield from _meeting(place, registry, fronts or hosts[place], loopback)
        if (gateway or {}).get("vip"):
            first = common.setdefault(str(ip_interface(registry["gateway"]["vip"]).ip), place)
            if first != place:
                message = f"is that of {written(first)} too, whose gateways give it to each other"
                hint = "leave it out: several endpoints may lead to one of them"
                yield Finding((*place, "gateway", "vip"), message, hint)
            behind = hosts[place] if fronts else []
            yield from _vip((*place, "gateway", "vip"), registry, fronts or hosts[place], behind)
        if len(machines) > 1 and not alone:
            yield from _spread(where, hosts[place], _port(gateway or {}), listening)


def _possible(where: Place, registry: Table, machines: int | None) -> Iterator[Finding]:
    """What a registry behind a gateway cannot be; with projects, see `projects`.

    Args:
        machines: how many it has; None for a gateway alone.
    """
    if registry.get("projects") or tables.is_broken(registry, "projects"):
        return
    if machines == 1:
        message = "has no effect: without projects every user of one host may do everything"
        hint = f"declare [{written((*where[:-1], 'projects'))}.NAME], or leave gateway out"
        yield Finding(where, message, hint)
    elif "proxy" in registry:
        message = "does not go with proxy: a pull-through cache has the images of its upstream"
        yield Finding(where, message, "leave out gateway, or proxy")
    elif not registry.get("users") and not tables.is_broken(registry, "users"):
        message = "needs users: it lets nobody in without a token, and gives tokens to users"
        hint = 'declare some, as in users.ci.password = "generate"'
        yield Finding(where, message, hint)


def _meeting(
    place: Place,
    registry: Table,
    fronts: list[Claim],
    taken: dict[tuple[str, int, int], Place],
) -> Iterator[Finding]:
    """Gateways of one host and port, behind which two would listen at one address of loopback."""
    try:
        endpoint = defaults.endpoint(registry)
    except RefusedError:
        return
    address, port = "", defaults.port(endpoint, defaults.tls(registry)["source"])
    if registry.get("listen"):
        address, port = split_listen(registry["listen"])
    name = str(place[1])
    for claim in fronts:
        second = (claim.name, port, network()) in taken
        key = (claim.name, port, network(address, "" if address or not second else name))
        first = taken.setdefault(key, place)
        if first != place:
            message = f"has a gateway on {claim.name} whose addresses there are {written(first)}'s"
            hint = "give it another port, or another address under listen; or call it otherwise"
            yield Finding(place, message, hint)
            return


def _lists(where: Place, gateway: Table) -> Iterator[Finding]:
    if isinstance(gateway.get("hosts"), dict):
        message = "must be a list here: a gateway's hosts are named in the fleet file"
        yield Finding((*where, "hosts"), message, 'as in hosts = ["lb1.example.com"]')


def _packaged(where: Place, registry: Table) -> Iterator[Finding]:
    if registry.get("runtime") == "package":
        for key in ("image", "image_archive"):
            if key in (registry.get("gateway") or {}):
                message = 'has no effect: runtime = "package" runs the distribution\'s nginx'
                yield Finding((*where, key), message, f"leave out {key}, or runtime")


def _vip(
    where: Place, registry: Table, fronts: list[Claim], behind: list[Claim]
) -> Iterator[Finding]:
    """A common address that these hosts could not pass on to each other.

    Args:
        behind: the hosts of the registry, where the gateways have hosts of their own.
    """
    vip = ip_interface(registry["gateway"]["vip"])
    if len(fronts) == 1:
        message = "has no effect: the gateway runs on one host, which no other could stand in for"
        yield Finding(where, message, "name several under gateway.hosts, or leave vip out")
        return
    for claim in fronts:
        try:
            address = ip_address(claim.address)
        except ValueError:
            message = f"needs the IP address of {claim.name}, by which the others know it"
            hint = f'write {{ name = "{claim.name}", address = "{vip.network[1]}" }} in hosts'
            yield Finding(where, message, hint)
            break
        if address not in vip.network:
            message = f"is outside the network of {claim.name}, whose address is {address}"
            yield Finding(where, message, "take a free address of the network of these hosts")
        elif address == vip.ip:
            message = f"is the address of {claim.name} itself"
            yield Finding(where, message, "take a free address of the network of these hosts")
    for claim in behind:
        if canonical(claim.address) == str(vip.ip):
            message = f"is the address of {claim.name} itself"
            yield Finding(where, message, "take a free address of the network of these hosts")
    if "listen" in registry:
        message = (
            "does not go with listen: a gateway listens at all addresses, for it gets this one"
        )
        yield Finding(where, message, "leave out listen, or vip")


def _port(gateway: Table) -> int:
    port: int | None = defaults.with_defaults("gateway", gateway)["port"]
    return port or 0


def _spread(
    where: Place, hosts: list[Claim], port: int, listening: dict[tuple[str, int], Place]
) -> Iterator[Finding]:
    """Instances that gateways of other hosts could not reach."""
    place = where if where[-1] != "projects" else (*where[:-1], "gateway")
    if port in _WITHIN:
        message = "is needed on the host itself, by what is behind a gateway"
        yield Finding((*place, "port"), message, "take another one")
    for claim in hosts:
        if claim.name == LOCAL:
            message = f"{LOCAL} has no address at which gateways on other hosts could reach it"
            yield Finding(claim.place, message, "name this machine as other hosts reach it")
        first = listening.setdefault((claim.name, port), place)
        if first != place:
            message = f"{port} of {claim.name} is that of {written(first)} too"
            yield Finding(where, message, f"write port = {port + 1} in {written(place)}")
