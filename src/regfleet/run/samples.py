"""Samples of the registries' file system usage, kept in the state directory to measure growth.

`apply` stores a sample from its look. `status` only compares its look with the samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from regfleet import state_paths
from regfleet.errors import StateError
from regfleet.fleet.model import Fleet
from regfleet.model.observed import ObservedHost, ObservedSpace
from regfleet.state import StateDirectory

MOST = 50  # samples of a registry
SECONDS_APART = 3600  # seconds at least between two samples, and to what is compared with them
DAY = 86400


@dataclass(frozen=True, slots=True)
class Sample:
    """The used bytes of a registry's file system at one time.

    Attributes:
        clock: the host's clock, seconds since the epoch.
        size: of the file system; samples of another size are not compared.
    """

    clock: int
    used: int
    size: int


def growth(samples: Iterable[Sample], now: Sample) -> int | None:
    """The growth of used bytes a day; None if there is no sample to compare. Pure.

    Args:
        samples: the registry's samples, the oldest first; the newest that is old enough counts.
    """
    before = [
        each
        for each in samples
        if each.size == now.size and now.clock - each.clock >= SECONDS_APART
    ]
    if not before:
        return None
    return (now.used - before[-1].used) * DAY // (now.clock - before[-1].clock)


def read(state: StateDirectory) -> dict[str, tuple[Sample, ...]]:
    """The samples by registry; empty if the file is missing or invalid.

    Raises:
        StateError: the state directory cannot be used.
    """
    with suppress(ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        found = json.loads(state.read_text(state_paths.SPACE) or "{}")
        return {
            str(name): tuple(Sample(*map(int, each)) for each in samples)
            for name, samples in found.items()
        }
    return {}


def keep(state: StateDirectory, fleet: Fleet, seen: Mapping[str, ObservedHost]) -> None:
    """Store a sample for each registry from the looks. Errors of writing are ignored."""
    with suppress(StateError):
        before = read(state)
        after = dict(before)
        for registry in fleet.declared:
            host = next((seen[each.name] for each in registry.hosts if each.name in seen), None)
            found = host.space.get(registry.storage) if host else None
            if host is None or found is None:
                continue
            samples = before.get(registry.name, ())
            if not samples or abs(host.clock - samples[-1].clock) >= SECONDS_APART:
                after[registry.name] = (*samples, sample(host, found))[-MOST:]
        after = {name: each for name, each in after.items() if name in fleet.registries}
        if after != before:
            lines = {
                name: [[each.clock, each.used, each.size] for each in samples]
                for name, samples in after.items()
            }
            state.write_text(state_paths.SPACE, json.dumps(lines) + "\n")


def sample(seen: ObservedHost, found: ObservedSpace) -> Sample:
    """A sample from a look."""
    return Sample(seen.clock, found.size - found.free, found.size)
