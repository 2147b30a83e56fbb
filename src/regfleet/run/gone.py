"""Hosts that left the fleet file: reported, cleaned up by `--prune`, or forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from regfleet import members
from regfleet.errors import UsageError
from regfleet.fleet.clients import Client
from regfleet.fleet.engine_rules import default_engine
from regfleet.fleet.model import Fleet
from regfleet.members import Member
from regfleet.model.desired import DesiredHost
from regfleet.state import StateDirectory

if TYPE_CHECKING:
    from regfleet.model.report import Report

_GROUP = "gone"  # the name of their group, unless the fleet file declares it


def left(fleet: Fleet, state: StateDirectory, forgotten: Iterable[str] = ()) -> dict[str, Member]:
    """The hosts that left the fleet file, by name.

    Args:
        forgotten: hosts to leave out.

    Raises:
        UsageError: a forgotten host has not left the fleet file.
        StateError: the state directory cannot be used.
    """
    found = members.gone(fleet, members.read(state))
    for name in dict.fromkeys(forgotten):
        if name not in found:
            are = f"hosts that did: {', '.join(found)}" if found else "no host has left it"
            raise UsageError(
                f"--forget {name}: no host of this name has left {fleet.path.name}", are
            )
        del found[name]
    return found


def forget(state: StateDirectory, names: Iterable[str]) -> None:
    """Forget hosts that left the fleet file, without contacting them.

    Raises:
        StateError: the state directory cannot be used.
    """
    forgotten = set(names)
    if forgotten:
        known = members.read(state)
        members.write(state, {name: each for name, each in known.items() if name not in forgotten})


def with_gone(fleet: Fleet, left: Mapping[str, Member]) -> Fleet:
    """The fleet with the departed hosts added as clients without registries. Pure."""
    if not left:
        return fleet
    name = _GROUP
    while name in fleet.clients:
        name += "_"
    group = Client(
        name=name,
        hosts=tuple(member.host for member in left.values()),
        engine=default_engine(),
        install=False,
        registries=(),
        mirrors=(),
        logins=(),
        daemon={},
    )
    return replace(fleet, clients={**fleet.clients, name: group})


def wanted(fleet: Fleet, left: Mapping[str, Member]) -> dict[str, DesiredHost]:
    """Their desired state: nothing of the fleet; image data stays. Pure."""
    return {
        name: DesiredHost(name, fleet.name, engines=member.engines, account=member.account)
        for name, member in left.items()
    }


def planned(report: Report) -> list[str]:
    """The fleet's hosts that have a plan. Pure."""
    hosts = report.hosts.items()
    return [name for name, host in hosts if host.plan is not None and name not in report.gone]


def note(
    fleet: Fleet,
    state: StateDirectory,
    names: Iterable[str],
    desired: Mapping[str, DesiredHost],
) -> None:
    """Record on which hosts the fleet owns something, or is about to.

    Args:
        names: these hosts; entries of other hosts stay, also of departed ones.

    Raises:
        StateError: the state directory cannot be used.
    """
    known, hosts = members.read(state), fleet.hosts()
    away = members.gone(fleet, known)
    kept = {name: each for name, each in known.items() if name in hosts or name in away}
    kept |= {
        name: Member.of(fleet, name, desired[name].engines, desired[name].account) for name in names
    }
    members.write(state, kept)


def pruned(state: StateDirectory, report: Report, *, everything: bool = False) -> None:
    """Forget the hosts that were cleaned up: departed ones, or with `everything` all.

    Raises:
        StateError: the state directory cannot be used.
    """
    done = {
        name
        for name, host in report.hosts.items()
        if (everything or name in report.gone) and host.plan is not None and host.went_well
    }
    if done:
        known = members.read(state)
        members.write(state, {name: each for name, each in known.items() if name not in done})
    report.gone = {name: groups for name, groups in report.gone.items() if name not in done}
