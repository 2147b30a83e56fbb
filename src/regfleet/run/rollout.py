"""The order in which hosts are touched: registries first, then waves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import Rollout


def waves(hosts: Sequence[str], rollout: Rollout) -> list[tuple[str, ...]]:
    """Hosts in the order of the fleet file: the canaries, then batches.

    Args:
        hosts: the hosts that change; percentages are of their number.
        rollout: the fleet's `[rollout]`.
    """
    found = [tuple(hosts[: rollout.canary])]
    size = _size(rollout.batch, len(hosts))
    rest = hosts[rollout.canary :]
    found += [tuple(rest[start : start + size]) for start in range(0, len(rest), size)]
    return [wave for wave in found if wave]


def phases(fleet: Fleet, hosts: Sequence[str]) -> list[tuple[str, ...]]:
    """The hosts in three phases: those with registries, with gateways alone, then the others.

    Of all of these each needs the ones before it to work.
    """
    every = fleet.registries.values()
    registries = {name for each in every if not each.before for name in each.members}
    alone = {name for each in every if each.before for name in each.members} - registries
    found = (
        tuple(name for name in hosts if name in registries),
        tuple(name for name in hosts if name in alone),
        tuple(name for name in hosts if name not in registries and name not in alone),
    )
    return [phase for phase in found if phase]


def schedule(
    fleet: Fleet, hosts: Sequence[str], *, clients_first: bool = False
) -> list[tuple[str, ...]]:
    """All waves of all phases, in order.

    Args:
        clients_first: registries last, as when they are removed.
    """
    order = phases(fleet, hosts)
    order = order[::-1] if clients_first else order
    return [
        part
        for phase in order
        for wave in waves(phase, fleet.rollout)
        for part in _one_instance_at_a_time(fleet, wave)
    ]


def _one_instance_at_a_time(fleet: Fleet, wave: Sequence[str]) -> list[tuple[str, ...]]:
    """A wave in parts, none of which has two hosts that stand in for each other."""
    parts: list[list[str]] = []
    used: list[set[str]] = []
    for name in wave:
        runs = set(fleet.standing_in(name))
        number = next((at for at, others in enumerate(used) if not runs & others), len(parts))
        if number == len(parts):
            parts.append([])
            used.append(set())
        parts[number].append(name)
        used[number] |= runs
    return [tuple(part) for part in parts]


def _size(batch: int | str, count: int) -> int:
    if isinstance(batch, int):
        return batch
    return max(1, ceil(count * float(batch.removesuffix("%")) / 100))
