"""Cross-checks of gateways that stand alone before other registries: `gateway.before`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from regfleet.fleet import defaults
from regfleet.fleet.addresses import split_listen
from regfleet.fleet.check import tables
from regfleet.fleet.check.hosts import Claim
from regfleet.fleet.check.replications import whole_copies
from regfleet.fleet.findings import Finding, Place, RefusedError, Table, did_you_mean
from regfleet.fleet.machines import LOCAL
from regfleet.fleet.toml_text import place as written
from regfleet.fleet.toml_text import shown

_NOT_ITS_OWN = (
    "hosts",
    "storage",
    "adopt",
    "proxy",
    "http_proxy",
    "serves_docker_hub",
    "readonly",
    "retention",
    "backup",
)
"""What a registry declares that keeps images."""
_PAIR = 2


def check(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """The mistakes of such gateways that the schema cannot find."""
    hosts: defaultdict[str, list[Claim]] = defaultdict(list)
    fronts: defaultdict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        section, name, *rest = claim.group
        if section == "registry":
            (fronts if rest else hosts)[str(name)].append(claim)
    registries = dict(tables.named(document, "registry"))
    for name, registry in registries.items():
        if registry.get("external"):
            continue  # refused with everything else that regfleet would have to provision
        gateway = registry.get("gateway") or {}
        place: Place = ("registry", name)
        if gateway.get("before") is None:
            if "login" in gateway and not tables.is_broken(gateway, "before"):
                message = "has no effect: this gateway's registry takes its tokens"
                yield Finding((*place, "gateway", "login"), message, "leave it out")
            continue
        yield from _alone(place, registry)
        found = list(_named(place, gateway, registries))
        yield from found
        if found or None in gateway["before"]:
            continue
        behind = {each: registries[each] for each in gateway["before"]}
        for index, (each, its) in enumerate(behind.items()):
            where = (*place, "gateway", "before", index)
            yield from _reachable(where, each, its, fronts[name])
        yield from _logins(place, gateway, behind)
        if len(behind) == _PAIR:
            yield from _pair(place, registry, behind, hosts)
            yield from _copied(place, document, tuple(behind))
    yield from _copies(document, registries)


def stands_before(registry: Table) -> bool:
    """Whether a registry's table is that of a gateway alone."""
    return bool((registry.get("gateway") or {}).get("before"))


def _alone(place: Place, registry: Table) -> Iterator[Finding]:
    gateway = registry["gateway"]
    for key in _NOT_ITS_OWN:
        if key in registry:
            message = "does not go with gateway.before: other registries keep its images"
            yield Finding((*place, key), message, f"leave out {key}, or gateway.before")
    if "port" in gateway:
        message = "has no effect: the registries in before have ports of their own"
        yield Finding((*place, "gateway", "port"), message, "leave it out")
    if "hosts" not in gateway:
        message = "is missing: it says where the gateway runs"
        yield Finding((*place, "gateway", "hosts"), message, 'as in hosts = ["lb1.example.com"]')
    if "endpoint" not in registry:
        message = "is missing: it has to be a name that leads to its gateways"
        hint = 'as in endpoint = "registry.example.com:5000"'
        yield Finding((*place, "endpoint"), message, hint)


def _named(place: Place, gateway: Table, registries: Mapping[str, Table]) -> Iterator[Finding]:
    """Names in `before` that are no registries with images."""
    others = [each for each in registries if each != place[1]]
    known = f"declared are {', '.join(others)}" if others else "no other one is declared"
    seen: dict[str, int] = {}
    for index, name in tables.items(gateway, "before"):
        where = (*place, "gateway", "before", index)
        if name == place[1]:
            yield Finding(where, "is the gateway's own registry", "name the one that keeps images")
        elif name not in registries:
            message = f"no registry {shown(name)} is declared"
            yield Finding(where, message, did_you_mean(name, others, known))
        elif seen.setdefault(name, index) != index:
            message = f"is the same as {written((*place, 'gateway', 'before', seen[name]))}"
            yield Finding(where, message, "leave one out")
        elif stands_before(registries[name]):
            message = f"{name} is itself a gateway before other registries"
            yield Finding(where, message, "name those that keep the images")
        elif "proxy" in registries[name]:
            message = f"{name} is a pull-through cache: it has the images of its upstream"
            yield Finding(where, message, "let clients name it under mirrors")
        elif tables.is_broken(registries[name], "gateway"):
            return  # reported elsewhere


def _reachable(where: Place, name: str, registry: Table, fronts: list[Claim]) -> Iterator[Finding]:
    """A registry that gateways on these hosts could not reach."""
    yield from _named_by_certificate(where, name, registry)
    if registry.get("external"):
        return
    own = (registry.get("gateway") or {}).get("hosts") or registry.get("hosts") or ()
    on = {each if isinstance(each, str) else each.get("name") for each in own}
    there = {claim.name for claim in fronts}
    listen = registry.get("listen")
    loopback = listen and ip_address(split_listen(listen)[0]).is_loopback
    if (loopback or LOCAL in on) and not there <= on:
        what = f"listens at {listen}" if loopback else f"runs on {LOCAL}"
        message = f"{name} {what}, where no other host reaches it"
        yield Finding(where, message, "give it an address that the gateway's hosts reach")


def _named_by_certificate(where: Place, name: str, registry: Table) -> Iterator[Finding]:
    """An address, by which nginx checks no certificate (ngx_ssl_check_host: DNS names alone)."""
    source = defaults.tls(registry)["source"]
    try:
        host = urlsplit(f"//{defaults.endpoint(registry)}").hostname or ""
        ip_address(host)
    except (RefusedError, ValueError):
        return
    hosts = (registry.get("hosts") or ()) if source == "fleet-ca" else ()
    names = [each if isinstance(each, str) else (each or {}).get("name") for each in hosts]
    if source != "none" and not any(map(_is_name, names)):
        message = f"{name} has an address as its endpoint, by which nginx checks no certificate"
        yield Finding(where, message, f"give {name} an endpoint with a name")


def _is_name(text: object) -> bool:
    try:
        ip_address(str(text))
    except ValueError:
        return text != LOCAL
    return False


def _logins(place: Place, gateway: Table, behind: Mapping[str, Table]) -> Iterator[Finding]:
    if tables.is_broken(gateway, "login"):
        return
    where = (*place, "gateway", "login")
    logins = gateway.get("login") or {}
    for name, user in tables.pairs(gateway, "login"):
        if name not in behind:
            message = f"the gateway does not stand before {shown(name)}"
            yield Finding((*where, name), message, did_you_mean(name, behind, "leave it out"))
            continue
        users = behind[name].get("users") or {}
        if user not in users and not tables.is_broken(behind[name], "users"):
            known = f"its users are {', '.join(users)}" if users else "it has no users"
            message = f"{written(('registry', name))} has no user {shown(user)}"
            yield Finding((*where, name), message, did_you_mean(user, users, known))
        elif behind[name].get("projects") and user not in (behind[name].get("admins") or ()):
            message = f"{user} may not do everything in {name}, which has roles of its own"
            hint = f"name one of its admins, or leave projects to {written(place)} alone"
            yield Finding((*where, name), message, hint)
    for name, registry in behind.items():
        if registry.get("users") and name not in logins:
            message = f"registry {name} has users, and there is no login for it"
            hint = f'as in login.{name} = "{next(iter(registry["users"]))}"'
            yield Finding(where, message, hint)


def _pair(
    place: Place, registry: Table, behind: Mapping[str, Table], hosts: Mapping[str, list[Claim]]
) -> Iterator[Finding]:
    """Two that could not stand in for each other."""
    where = (*place, "gateway", "before")
    if registry.get("delete"):
        message = "does not go with two registries: what one deletes comes back from the other"
        yield Finding((*place, "delete"), message, "leave it out, and delete in both of them")
    for name, its in behind.items():
        if its.get("external"):
            message = f"{name} is external: regfleet cannot have two copy each other there"
            yield Finding(where, message, "name one external registry, or two of this fleet")
    one, two = behind
    both = {claim.name for claim in hosts[one]} & {claim.name for claim in hosts[two]}
    if both:
        message = f"{one} and {two} both run on {min(both)}, and would fall together"
        yield Finding(where, message, "put them on hosts of their own")
    stores = [each.get("storage") for each in behind.values()]
    if stores[0] == stores[1] and defaults.is_shared(stores[0]):
        shared = defaults.directory(stores[0])
        message = f"{one} and {two} share the file system at {shared}: neither stands by"
        hint = "declare one registry on all these hosts; see docs/how-to/several-hosts.md"
        yield Finding(where, message, hint)


def _copied(place: Place, document: Table, pair: tuple[str, ...]) -> Iterator[Finding]:
    """Two that do not copy each other, wholly and by themselves."""
    one, two = pair
    for source, target in ((one, two), (two, one)):
        if not whole_copies(document, source, target):
            message = f"no policy copies all of {source} to {target} by itself"
            hint = (
                f'declare [replication.NAME] with from = "{source}", to = ["{target}"], '
                'every = "1m", conflict, and without repositories, exclude, tags and delete'
            )
            yield Finding((*place, "gateway", "before"), message, hint)


def _copies(document: Table, registries: Mapping[str, Table]) -> Iterator[Finding]:
    """Policies that name a gateway alone: to copy, it takes a registry that keeps images.

    Behind a gateway that turns to the other one of two, a copy would take what has been left behind
    for what was moved or deleted.
    """
    for section in ("replication", "promotion"):
        for name, policy in tables.named(document, section):
            for where, named in _ends(section, policy):
                its = registries.get(named)
                if its and not its.get("external") and stands_before(its):
                    behind = [each for each in its["gateway"]["before"] if each]
                    message = f"{named} keeps no images: it is a gateway before others"
                    hint = f"name {' or '.join(map(str, behind))}"
                    yield Finding((section, name, *where), message, hint)


def _ends(section: str, policy: Table) -> Iterator[tuple[Place, str]]:
    if section == "promotion":
        for key in ("from", "to"):
            name = (policy.get(key) or {}).get("registry")
            if name is not None:
                yield (key, "registry"), name
        return
    if policy.get("from") is not None:
        yield ("from",), policy["from"]
    for index, target in tables.items(policy, "to"):
        yield ("to", index), target
