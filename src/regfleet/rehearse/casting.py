"""Which hosts of a fleet play in its rehearsal, and on which suites. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from regfleet.errors import UsageError
from regfleet.fleet.clients import Client
from regfleet.fleet.model import Fleet
from regfleet.fleet.selection import matching, select
from regfleet.rehearse.images import NOT_TO_BE_HAD, SUITES

MOST_HOSTS = 200  # a twin's network is a /24


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays.

    Attributes:
        suites: the suite of each host that plays, in the fleet's order.
        came_along: registries' hosts that were not asked for, and that others need.
        represented: hosts that were asked for and that others declared alike play for.
        without: client groups that do not play, for their engine cannot be had here.
    """

    suites: Mapping[str, str]
    came_along: tuple[str, ...] = ()
    represented: int = 0
    without: tuple[str, ...] = ()


def cast(
    fleet: Fleet,
    *,
    limit: Iterable[str] = (),
    exclude: Iterable[str] = (),
    suites: Iterable[str] = (),
    per_group: int = 2,
) -> Cast:
    """Choose the hosts.

    Hosts in the same groups and on the same suite are declared alike: of those, `per_group` play.
    Hosts with registries play all, and those of registries that others use come along.

    Args:
        limit: as `select` takes it.
        exclude: likewise.
        suites: `SUITE`, or `GROUP=SUITE` for a group, a host or a pattern; later ones win.
        per_group: how many of hosts that are declared alike; 0 for all.

    Raises:
        UsageError: an unknown name or suite, nobody is left, too many are, or a registry that is
            used was excluded.
    """
    exclude = tuple(exclude)
    asked = select(fleet, limit, exclude)
    on = _suites(fleet, suites)
    whole, fleet = fleet, _that_can_be_had(fleet)
    everyone = fleet.hosts()
    chosen = [name for name in asked if name in everyone]
    if not chosen:
        engines = {client.engine for client in whole.clients.values()} & NOT_TO_BE_HAD
        raise UsageError(
            f"a rehearsal cannot set up {', '.join(sorted(engines))}, and no other host is left",
            "take hosts of other engines, too",
        )
    runs = {name for registry in fleet.registries.values() for name in registry.members}
    alike: defaultdict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    groups = _groups(fleet)
    for name in chosen:
        if name not in runs:
            alike[groups[name], on[name]].append(name)
    picked = runs.intersection(chosen)
    for names in alike.values():
        picked.update(_spread(names, per_group))
    everybody = _with_registries(fleet, picked)
    _refuse_excluded(whole, everybody - picked, exclude)
    if len(everybody) > MOST_HOSTS:
        raise UsageError(
            f"{len(everybody)} hosts are too many for one machine: {MOST_HOSTS} at most",
            "take fewer of hosts that are declared alike (--per-group), or --limit",
        )
    return Cast(
        {name: on[name] for name in everyone if name in everybody},
        tuple(name for name in everyone if name in everybody - picked),
        len(chosen) - len(picked),
        tuple(name for name in whole.clients if name not in fleet.clients),
    )


def used_by(fleet: Fleet, client: Client) -> list[str]:
    """The registries that a client trusts, logs in to or mirrors from, by name."""
    used = client.uses
    return [name for name in fleet.registries if name in used]


def _that_can_be_had(fleet: Fleet) -> Fleet:
    """The fleet without client groups whose engine is in no package."""
    clients = {
        name: client for name, client in fleet.clients.items() if client.engine not in NOT_TO_BE_HAD
    }
    return replace(fleet, clients=clients)


def _suites(fleet: Fleet, wanted: Iterable[str]) -> dict[str, str]:
    """Each host's suite."""
    found = dict.fromkeys(fleet.hosts(), SUITES[0])
    for text in wanted:
        pattern, equals, suite = text.rpartition("=")
        if suite not in SUITES:
            close = get_close_matches(suite, SUITES, n=1)
            raise UsageError(
                f"--suite {text}: there are no hosts of {suite or 'an unnamed suite'}",
                f"did you mean {close[0]}?" if close else f"suites are {', '.join(SUITES)}",
            )
        names = matching(fleet, [pattern], "--suite") if equals else found
        found.update(dict.fromkeys(names, suite))
    return found


def _groups(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    found: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for group, members in fleet.groups().items():
        for name in members:
            found[name] = (*found[name], group)
    return found


def _spread(names: Sequence[str], count: int) -> Sequence[str]:
    """So many of them, from the first to the last."""
    if count == 0 or count >= len(names):
        return names
    if count == 1:
        return names[:1]
    return [names[index * (len(names) - 1) // (count - 1)] for index in range(count)]


def _with_registries(fleet: Fleet, picked: set[str]) -> set[str]:
    """The hosts, and those of all registries that they use; these may be clients themselves."""
    found = set(picked)
    while True:
        needed = {
            host.name
            for client in fleet.clients.values()
            if any(member.name in found for member in client.hosts)
            for name in used_by(fleet, client)
            for host in fleet.registries[name].machines
        }
        for registry in fleet.registries.values():  # nobody plays half of one
            if found & registry.members:
                needed |= registry.members
                needed |= {name for each in fleet.behind(registry) for name in each.members}
        if needed <= found:
            return found
        found |= needed


def _refuse_excluded(fleet: Fleet, came_along: set[str], exclude: tuple[str, ...]) -> None:
    unwanted = sorted(came_along & matching(fleet, exclude, "--exclude"))
    if unwanted:
        raise UsageError(
            f"{unwanted[0]} is excluded and has a registry that others use",
            "exclude its clients, too",
        )
