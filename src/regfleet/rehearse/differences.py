"""What a rehearsal does not show, in sentences for people. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from regfleet.fleet.machines import LOCAL
from regfleet.fleet.model import Fleet
from regfleet.model.names import counted, listed
from regfleet.rehearse.casting import Cast
from regfleet.rehearse.images import FALLBACK, variant_for
from regfleet.rehearse.likeness import (
    SMOKE,
    ImageStandIn,
    Likeness,
    StandIns,
    gateway_of,
    in_play,
)
from regfleet.rehearse.resolving import foreign_mirrors

_NAMES = 60  # columns for names


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that a twin has otherwise than its fleet, or not at all.

    Attributes:
        topic: a word or two.
        text: what it is, on one line.
    """

    topic: str
    text: str


def of_this_fleet(
    fleet: Fleet, cast: Cast, stand_ins: StandIns, twin: Likeness
) -> tuple[Difference, ...]:
    """Where the twin had to be made unlike this fleet.

    Args:
        fleet: the fleet.
        cast: who plays.
        stand_ins: what was not to be had.
        twin: what came of it.
    """
    whole, fleet = fleet, in_play(fleet, cast)
    return tuple(
        Difference(topic, text)
        for topic, texts in (
            ("hosts", _hosts(cast, twin)),
            ("accounts", _accounts(twin)),
            ("engines", (*_missing(whole, cast), *_installs(fleet))),
            ("images", _images(fleet, stand_ins)),
            ("passwords", _passwords(stand_ins)),
            ("certificates", _certificates(fleet, stand_ins)),
            ("external", _external(fleet)),
            ("mirrors", _mirrors(fleet)),
            ("caches", _caches(fleet)),
            ("storage", _storages(fleet)),
            ("backup", _backups(fleet)),
            ("balancers", _balancers(fleet)),
            ("gateways", _gateways(whole, fleet)),
            ("replication", _copies(fleet)),
        )
        for text in texts
    )


def of_any_fleet(engines: Mapping[str, str], kernel: str) -> tuple[Difference, ...]:
    """What no twin shows.

    Args:
        engines: what the hosts of the twin run, by host: `Docker 20.10.24 on bookworm`.
        kernel: the release and the architecture of this machine's.
    """
    by_engine: defaultdict[str, list[str]] = defaultdict(list)
    for host, engine in engines.items():
        by_engine[engine].append(host)
    versions = "; ".join(
        f"{engine} ({_few(hosts)})" if len(by_engine) > 1 else engine
        for engine, hosts in by_engine.items()
    )
    return (
        Difference("versions", f"any but {versions or 'those here'}: --suite takes others"),
        Difference(
            "kernel",
            f"every host has this machine's, {kernel}, with its modules and limits",
        ),
        Difference(
            "what is there",
            "hosts begin fresh: real ones have a daemon.json, flags, containers, images and "
            "logins already (`regfleet plan` looks at them)",
        ),
        Difference(
            "network",
            "names resolve and every port is open: real DNS, routes, firewalls, proxies, "
            "balancers and address translation are not there",
        ),
        Difference(
            "SSH", "keys, ports, jump hosts and rules of sudo are the twin's, and all let us in"
        ),
        Difference("data", "registries begin empty, on this machine's disk"),
        Difference("resources", "memory, disks and bandwidth are this machine's; so is the clock"),
    )


def _hosts(cast: Cast, twin: Likeness) -> Iterator[str]:
    if cast.represented:
        yield (
            f"{counted(cast.represented)} left out, declared like others that are here "
            "(--per-group 0 takes all)"
        )
    if cast.came_along:
        names = _few([twin.names[name] for name in cast.came_along])
        yield f"{names} came along: others use the registry there"
    if LOCAL in twin.names:
        yield f"this machine ({LOCAL}) is played by {twin.names[LOCAL]}"


def _accounts(twin: Likeness) -> Iterator[str]:
    made = sorted({account for part in twin.parts for account in part.accounts})
    if made:
        yield f"{_few(made)} made for the logins; real hosts have to have them"


def _missing(whole: Fleet, cast: Cast) -> Iterator[str]:
    for name in cast.without:
        client = whole.clients[name]
        yield f"{name} is left out: a rehearsal cannot set up {client.engine}"


def _copies(fleet: Fleet) -> Iterator[str]:
    names = [policy.name for policy in fleet.replications.values() if policy.every]
    if names:
        yield f"{_few(names)} does not run by itself: the twin's hosts have no Python"
    if fleet.promotions:
        yield "nothing is promoted: checks and approvals are for real images"


def _installs(fleet: Fleet) -> Iterator[str]:
    for engine in dict.fromkeys(client.engine for client in fleet.clients.values()):
        groups = [client for client in fleet.clients.values() if client.engine == engine]
        install = [client.name for client in groups if client.install]
        without = [client.name for client in groups if not client.install]
        if variant_for(engine) != FALLBACK and install:
            yield f"{engine} is there already; installing it is not tried ({_few(install)})"
        elif variant_for(engine) == FALLBACK and without:
            yield f"{engine} is installed here, though install is off ({_few(without)})"


def _images(fleet: Fleet, stand_ins: StandIns) -> Iterator[str]:
    declared = {name: registry.image for name, registry in fleet.registries.items()}
    declared[SMOKE] = fleet.smoke.image
    for name, registry in fleet.registries.items():
        if registry.gateway:
            declared[gateway_of(name)] = registry.gateway.image
    shared: defaultdict[tuple[str, ImageStandIn], list[str]] = defaultdict(list)
    for whose, image in stand_ins.images.items():
        shared[declared[whose], image].append(whose or "the smoke test")
    for (reference, image), users in shared.items():
        how = "played by one made of this distribution's packages" if image.archive else "pulled"
        yield f"{reference} of {_few(users)} is {how}: {image.reason}"


def _passwords(stand_ins: StandIns) -> Iterator[str]:
    for (registry, user), reason in stand_ins.passwords.items():
        yield f"{user} of {registry} has a generated one: {reason}"


def _certificates(fleet: Fleet, stand_ins: StandIns) -> Iterator[str]:
    for name, reason in stand_ins.certificates.items():
        if fleet.registries[name].external:
            yield f"{name}: clients get no CA for it: {reason}"
        else:
            yield f"{name} has one of a CA made for the rehearsal: {reason}"


def _external(fleet: Fleet) -> Iterator[str]:
    users: defaultdict[str, set[str]] = defaultdict(set)
    for client in fleet.clients.values():
        for login in client.logins:
            users[login.registry].add(login.user)
    for registry in fleet.registries.values():
        if registry.external:
            who = sorted(users[registry.name])
            without = f", nor logged in to as {_few(who)}" if who else ""
            yield f"{registry.name} ({registry.endpoint}) is trusted, but not contacted{without}"


def _mirrors(fleet: Fleet) -> Iterator[str]:
    for url in foreign_mirrors(fleet):
        yield f"{url} is set on clients, but cannot be reached from them"


def _caches(fleet: Fleet) -> Iterator[str]:
    for registry in fleet.registries.values():
        if registry.proxy:
            without = ", without its HTTP proxy" if registry.http_proxy else ""
            yield f"{registry.name} asks an empty registry in place of {registry.proxy}{without}"


def _storages(fleet: Fleet) -> Iterator[str]:
    for registry in fleet.registries.values():
        if registry.s3:
            yield f"{registry.name} keeps its images in a volume, not in {registry.s3.bucket}"
        elif registry.shared:
            yield f"{registry.name} keeps its images in a volume, not in {registry.storage}"


def _backups(fleet: Fleet) -> Iterator[str]:
    for registry in fleet.registries.values():
        if registry.backup and registry.backup.mounted:
            yield f"{registry.name} has its backups on the host's own disk"


def _balancers(fleet: Fleet) -> Iterator[str]:
    for registry in fleet.registries.values():
        if len(registry.fronts) > 1:
            yield f"{registry.endpoint} leads to {registry.fronts[0].name} alone"


def _gateways(whole: Fleet, played: Fleet) -> Iterator[str]:
    for registry in played.registries.values():
        declared = whole.registries[registry.name].before
        if declared and not registry.before:
            yield f"{registry.name} has an empty registry of its own in place of {declared[0]}"
        elif declared != registry.before:
            yield f"{registry.name} stands before {registry.before[0]} alone: nothing is copied"


def _few(names: Iterable[str]) -> str:
    return listed(list(names), _NAMES)
