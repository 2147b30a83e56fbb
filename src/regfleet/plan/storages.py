"""Protect storage directories: refuse overlaps, and refuse to delete other data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from regfleet.engines import REGISTRY_ENGINE
from regfleet.errors import HostError
from regfleet.fleet.engine_rules import rules_of
from regfleet.fleet.storage import overlaps
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedData, ObservedHost
from regfleet.model.plan import RunService, StartService, Step

_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")
_VOLUME = "_data"  # a named volume's files, in the engine's own directory


def refuse_overlaps(want: DesiredHost, seen: ObservedHost) -> None:
    """Refuse a storage that overlaps another fleet's storage or the engine's data directory.

    Compares paths as written; the touch resolves symbolic links on the host.

    Raises:
        HostError: it overlaps; the message names the other user of the directory.
    """
    root = str(seen.engine.values.get("data-root") or rules_of(REGISTRY_ENGINE).images[0])
    for service in want.services:
        if not service.storage:
            continue
        _refuse_others(want, seen, service.storage, service.name)
        inside = PurePosixPath(service.storage).is_relative_to(f"{root}/volumes")
        volume = inside and PurePosixPath(service.storage).name == _VOLUME
        if overlaps(service.storage, root) and not volume:
            raise HostError(
                want.name,
                f"the storage {service.storage} overlaps {root}, the engine's data directory",
                f"give {service.reason} a directory of its own under `storage`",
            )


def _refuse_others(want: DesiredHost, seen: ObservedHost, storage: str, whose: str) -> None:
    for fleet, other, theirs in _storages_of_others(want, seen):
        if overlaps(storage, theirs):
            raise HostError(
                want.name,
                f"the storage {storage} of {whose} overlaps {theirs}, where {other} of the fleet "
                f"{fleet} keeps its images",
                "give one of them another `storage`",
            )


def refuse_deletion(
    want: DesiredHost, seen: ObservedHost, storage: str, data: ObservedData
) -> None:
    """Refuse to delete another fleet's data, or data that is not a registry's.

    Raises:
        HostError: it must not be deleted; the message says why.
    """
    _refuse_others(want, seen, storage, "the registry to be removed")
    ours = {path for owned in seen.owned.values() for path in owned.directories}
    if data.holds == "other" and storage not in ours:
        raise HostError(
            want.name,
            f"{storage} was there before regfleet and holds something other than registry "
            "images: --delete-data does not delete it",
            "destroy without --delete-data, then check that directory yourself",
        )


def _storages_of_others(want: DesiredHost, seen: ObservedHost) -> Iterator[tuple[str, str, str]]:
    for fleet, owned in seen.owned.items():
        for service in owned.services if fleet != want.fleet else ():
            if service.storage:
                yield fleet, service.name, service.storage


def reserved_storages(
    want: DesiredHost, seen: ObservedHost, steps: Iterable[Step]
) -> tuple[str, ...]:
    """Storages on the host that no step may use or delete, not even through a symbolic link."""
    used = {step.service.storage for step in steps if isinstance(step, (RunService, StartService))}
    # One storage may be that of two services: a registry, and what serves it read-only.
    own = (each.storage for each in want.services if each.storage and each.storage not in used)
    return (*own, *(storage for _, _, storage in _storages_of_others(want, seen)))


def amount(data: Sequence[ObservedData]) -> str:
    """The size in words: `12 repositories, 3.4 GB`; `at least` if counting was incomplete."""
    repositories = sum(each.repositories for each in data)
    least = "" if all(each.all_counted for each in data) else "at least "
    plural = "repository" if repositories == 1 else "repositories"
    return f"{least}{repositories} {plural}, {_bytes(sum(each.size for each in data))}"


def _bytes(number: int) -> str:
    size, units = float(number), iter(_UNITS)
    unit = next(units)
    while size >= 1000 and unit != _UNITS[-1]:  # noqa: PLR2004 - units of the SI
        size, unit = size / 1000, next(units)
    return f"{number} bytes" if unit == _UNITS[0] else f"{size:.1f} {unit}"
