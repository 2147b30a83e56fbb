"""Which machine each name leads to: two names of one are refused, a new one behind a name is told.

`apply` keeps each host's machine in the state directory. These are public facts, not secrets.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from regfleet import members, state_paths
from regfleet.errors import StateError, UsageError
from regfleet.fleet.model import Fleet
from regfleet.model.observed import Machine, ObservedHost
from regfleet.state import StateDirectory

_SHOWN = 5

_HOW_TO_NAME = (
    "name it the same in every group, and once in each: where a registry's `hosts` has "
    '{{ name = "{one}", address = … }}, a client group\'s has the same; if two machines are meant, '
    "see where their addresses lead"
)


def refused(
    seen: Mapping[str, ObservedHost], known: Mapping[str, Machine] | None = None
) -> UsageError | None:
    """The error if two names lead to one machine: each would take out what is the other's. Pure.

    Args:
        seen: the looks of this run.
        known: machines of earlier runs, by name, for hosts outside this run.
    """
    pairs = list(_pairs(seen, known or {}))
    if not pairs:
        return None
    lines = [
        f"{one} and {other} are one machine: both have {machine.words}"
        for one, other, machine in pairs[:_SHOWN]
    ]
    if len(pairs) > _SHOWN:
        lines.append(f"and {len(pairs) - _SHOWN} more")
    return UsageError("\n".join(lines), _HOW_TO_NAME.format(one=pairs[0][0]))


def twins(seen: Mapping[str, ObservedHost]) -> dict[str, str]:
    """By name, why a host cannot be told from another one. Pure."""
    return {
        name: f"it is the machine that is also called {twin}: both have {machine.words}"
        for one, other, machine in _pairs(seen, {})
        for name, twin in ((one, other), (other, one))
    }


def _pairs(
    seen: Mapping[str, ObservedHost], known: Mapping[str, Machine]
) -> Iterator[tuple[str, str, Machine]]:
    machines = {name: each for name, each in known.items() if name not in seen}
    machines |= {name: host.machine for name, host in seen.items()}
    first: dict[tuple[str, str], str] = {}
    for name, machine in machines.items():
        if machine.running is None:
            continue
        other = first.setdefault(machine.running, name)
        if other != name and machine.is_same_as(machines[other]):
            yield other, name, machine


def clones(seen: Mapping[str, ObservedHost]) -> list[tuple[str, ...]]:
    """Hosts that have one machine id and are different machines: clones of one image. Pure."""
    alike: dict[str, list[str]] = {}
    for name, host in seen.items():
        if host.machine.id:
            alike.setdefault(host.machine.id, []).append(name)
    return [tuple(names) for names in alike.values() if len(names) > 1]


def reinstalled(
    fleet: str, seen: Mapping[str, ObservedHost], known: Mapping[str, Machine]
) -> dict[str, str]:
    """What is told of hosts that are another machine than at their last run, by name. Pure.

    A host with a new machine id that still has the fleet's record was only given a new id.
    """
    return {
        name: (
            f"it was installed anew, or replaced: its machine id was {before.id} at the last "
            f"apply from here and is {host.machine.id}, and nothing of the fleet is on it"
        )
        for name, host in seen.items()
        if (before := known.get(name))
        and before.id
        and host.machine.id
        and before.id != host.machine.id
        and not host.owned.get(fleet)
    }


def read(state: StateDirectory) -> dict[str, Machine]:
    """The machines of earlier runs by host; empty if the file is missing or invalid.

    Raises:
        StateError: the state directory cannot be used.
    """
    with suppress(ValueError, TypeError, AttributeError, LookupError, RecursionError):
        found = json.loads(state.read_text(state_paths.MACHINES) or "{}")
        return {
            str(name): Machine(str(each["id"]), str(each["boot"]), str(each["processes"]))
            for name, each in found.get("hosts", {}).items()
        }
    return {}


def of_others(state: StateDirectory, fleet: Fleet) -> dict[str, Machine]:
    """The kept machines of hosts that have the address at which they were found.

    Raises:
        StateError: the state directory cannot be used.
    """
    known, hosts = members.read(state), fleet.hosts()
    return {
        name: machine
        for name, machine in read(state).items()
        if name in hosts and name in known and known[name].host.address == hosts[name].address
    }


def keep(
    state: StateDirectory, fleet: Fleet, seen: Mapping[str, ObservedHost], names: Collection[str]
) -> None:
    """Keep the machines of these hosts; hosts that left the fleet file are forgotten.

    Nothing fails if they cannot be kept: then a new machine is not told.
    """
    with suppress(StateError):
        before = read(state)
        found = {name: each for name, each in before.items() if name in fleet.hosts()}
        found |= {name: seen[name].machine for name in names if name in seen}
        if found != before:
            hosts = {
                name: {"id": each.id, "boot": each.boot, "processes": each.processes}
                for name, each in sorted(found.items())
            }
            text = json.dumps({"version": 1, "hosts": hosts}, indent=1) + "\n"
            state.write_text(state_paths.MACHINES, text)
