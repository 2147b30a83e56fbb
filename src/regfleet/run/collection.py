"""Which registries of a host are collected, and what the job there has to know of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from regfleet.desired.resolve import registries_on
from regfleet.errors import RegfleetError
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.jobs.collection import Meeting, Subject
from regfleet.model.desired import DesiredHost
from regfleet.model.service import ComposeRun, Service
from regfleet.secret import Secret
from regfleet.services import KINDS

if TYPE_CHECKING:  # what asks registries takes long to import
    from regfleet.run.asking import RegistryAccess

_CONFIG = "/config.yml"


def subjects(
    fleet: Fleet, want: DesiredHost, about: Mapping[str, RegistryAccess]
) -> tuple[Subject, ...]:
    """The registries of a host whose garbage can be collected.

    A pull-through cache is left out: it deletes by itself what has become old. So is a registry
    whose images are in a bucket, which nobody on the host can read. One of several hosts is there
    on each of them: see `jobs_of`.

    Args:
        about: users of each registry.
    """
    return tuple(
        replace(each, login=_login(about[registry.name]))
        for registry, each in collectable(fleet, want)
    )


def collectable(fleet: Fleet, want: DesiredHost) -> Iterator[tuple[Registry, Subject]]:
    """The same, with their registries and without a login."""
    for registry in registries_on(fleet, want.name):
        service = service_of(registry, want)
        if service and not registry.read_only_of and not why_left_out(registry):
            yield registry, _subject(registry, service)


def collector(registry: Registry) -> str:
    """The host that collects a registry's garbage, and reads its images; the others hold it."""
    return registry.hosts[0].name


def rounds(
    fleet: Fleet, its: Mapping[str, Sequence[Subject]], token: str
) -> Iterator[dict[str, tuple[Subject, ...]]]:
    """Which subjects are collected at the same time, by host: one round after another.

    First all that are of one host; then each registry of several, with all its hosts at once.

    Args:
        its: the subjects of each host.
        token: of this run alone.
    """
    several = [each for each in fleet.declared if len(each.hosts) > 1]
    shared = {f"regfleet-{each.name}" for each in several}
    alone = {
        name: tuple(each for each in subjects if each.service not in shared)
        for name, subjects in its.items()
    }
    yield {name: found for name, found in alone.items() if found}
    for registry in several:
        names = [host.name for host in registry.hosts]
        meeting = Meeting(f"{token}-{registry.name}", "", names[0], tuple(names[1:]))
        found: dict[str, tuple[Subject, ...]] = {
            name: (replace(each, meeting=replace(meeting, me=name)),)
            for name in names
            for each in its.get(name, ())
            if each.service == f"regfleet-{registry.name}"
        }
        if found:
            yield found


def why_left_out(registry: Registry) -> str:
    """Why neither garbage is collected of a registry nor its images are read; empty if they are."""
    if registry.proxy:
        return "a pull-through cache deletes by itself what has become old"
    if registry.before:
        return "the registries behind its gateway keep its images"
    if not registry.storage:
        return "its images are in a bucket, which is not read from the host"
    return ""


def service_of(registry: Registry, want: DesiredHost) -> Service | None:
    """The service of a host that is the registry itself; None where it does not run."""
    return next((each for each in want.services if _is_of(registry, each)), None)


def _is_of(registry: Registry, service: Service) -> bool:
    """Whether a service is the registry itself, which has the configuration and the data."""
    config = any(file.path.endswith(_CONFIG) for file in service.files)
    return service.registry == registry.name and service.storage == registry.storage and config


def subject(registry: Registry, service: Service, access: RegistryAccess) -> Subject:
    """What a job has to know of a registry."""
    return replace(_subject(registry, service), login=_login(access))


def _subject(registry: Registry, service: Service) -> Subject:
    return Subject(
        service=service.name,
        kind=service.kind,
        where=service.where,
        probe=service.probe.word,
        config=next(file.path for file in service.files if file.path.endswith(_CONFIG)),
        storage=registry.storage,
        program=KINDS[service.kind].calling(service),
        inside=_inside(service),
        minutes=registry.retention.untagged_older // 60,
    )


def _inside(service: Service) -> str:
    """The path of the configuration as the registry sees it: the last word of its command."""
    run = service.run
    if isinstance(run, ComposeRun):
        words = run.definition["command"]
        return str(words[-1]) if isinstance(words, list) else ""
    return run.command[-1]


def _login(access: RegistryAccess) -> Secret | None:
    try:
        found = access.credentials()
    except RegfleetError:  # the job finds out in another way that the registry only reads
        return None
    return Secret(f"{found.user}:{found.password.reveal()}") if found else None
