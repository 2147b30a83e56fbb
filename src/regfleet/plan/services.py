"""Services, and the images that they run: to run, to remove, no longer in use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from regfleet.engines import REGISTRY_ENGINE
from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost, ObservedService
from regfleet.model.plan import (
    Action,
    Change,
    Drain,
    PullImage,
    ReloadService,
    RemoveImage,
    RemoveService,
    RunService,
    StartService,
    Step,
)
from regfleet.model.resource import Resource, of_kind
from regfleet.model.service import Image, Service, ServiceKind
from regfleet.plan import storages
from regfleet.plan.adoption import adoption
from regfleet.plan.part import PlanPart
from regfleet.record import Owned, OwnedService
from regfleet.services import KINDS, shell_of


def kinds(want: DesiredHost, owned: Owned) -> tuple[ServiceKind, ...]:
    """The kinds whose shell functions are needed: of services that are wanted, or are there.

    Raises:
        HostError: a later version recorded one that this version does not know.
    """
    found = dict.fromkeys(
        (*(each.kind for each in want.services), *(each.kind for each in owned.services))
    )
    for kind in found:
        if kind not in KINDS:
            raise HostError(
                want.name,
                f"a service of the kind {kind!r} is recorded there; this version does not know it",
                "use the version of regfleet that ran it, or a later one",
            )
    return shell_of(kind for kind in KINDS if kind in found)


def programs_to_install(want: DesiredHost, seen: ObservedHost) -> PlanPart:
    """What services need on the host beside their engines, where that is missing.

    Raises:
        HostError: it may not be installed, or nobody knows how.
    """
    part = PlanPart()
    for kind in dict.fromkeys(service.kind for service in want.services):
        step = KINDS[kind].missing(want, seen)
        if step:
            package = step.packages[0].rpartition("|")[2]  # as touch.packages.named
            part.add(Change(Resource("package", package), "create", f"{kind} is missing"), step)
    return part


def services_to_run(
    want: DesiredHost, seen: ObservedHost, owned: Owned
) -> tuple[PlanPart, tuple[Image, ...]]:
    """Services to run, replace or start, with their images; and the archives to send for them.

    Raises:
        HostError: somebody else's service has the name.
    """
    part = PlanPart()
    archives: dict[tuple[str, str], Image] = {}
    fetched: set[tuple[str, str]] = set()
    ours = {each.name: each for each in owned.services}
    for service in want.services:
        found = seen.services.get(service.name)
        resource = Resource(service.kind, service.name)
        if found and found.fleet != want.fleet:
            raise _of_somebody_else(want, service, found)
        if found and found.specification == service.specification:
            _as_specified(part, want, seen, service)
            continue
        image = service.image
        if image:
            key = (image.engine, image.reference)
            if image.reference not in seen.images and key not in fetched:
                fetched.add(key)
                change = Change(
                    Resource("image", image.reference), "create", f"{service.reason}.image"
                )
                part.add(change, *(() if image.archive else (PullImage(image),)))
            if image.archive and _archive_needed(service, image, found, seen):
                archives[image.engine, image.reference] = image
        lacking = KINDS[service.kind].needs(service, want, seen)
        if lacking:
            part.add(*lacking)
        _adopt(part, want, seen, service)
        _drain(part, want, seen, service)
        before = found.kind if found else _recorded(ours, service)
        action: Action = "update" if found or before != service.kind else "create"
        change = Change(resource, action, _reason(service, found, before, ours))
        part.add(change, RunService(service, before))
    return part, tuple(archives.values())


def _as_specified(part: PlanPart, want: DesiredHost, seen: ObservedHost, service: Service) -> None:
    """Add what brings a service about whose specification has not changed, where that is needed."""
    found, resource = seen.services[service.name], Resource(service.kind, service.name)
    altered = _edited(service, seen) or KINDS[service.kind].altered(service, seen)
    if altered:
        _adopt(part, want, seen, service)
        _drain(part, want, seen, service)
        part.add(Change(resource, "run", altered), RunService(service, found.kind))
        return
    if not found.running:
        _adopt(part, want, seen, service)
        part.add(Change(resource, "run", "it does not run"), StartService(service))
    if fresh := _to_take_up(service, seen):
        change = Change(resource, "update", f"it reads {', '.join(fresh)} again")
        part.add(change, ReloadService(service))


def _adopt(part: PlanPart, want: DesiredHost, seen: ObservedHost, service: Service) -> None:
    """Add what takes over from a registry made by hand, right before the one that follows it."""
    adopting = adoption(want, seen, service)
    part.changes.extend(adopting.changes)
    part.steps.extend(adopting.steps)


def _drain(part: PlanPart, want: DesiredHost, seen: ObservedHost, service: Service) -> None:
    """Add, once, what has other hosts take the address of one that needs this service."""
    found = seen.services.get(service.name)
    if found is None or not found.running:
        return
    for other in want.services:
        there = seen.services.get(other.name)
        if other.drains and service.name in other.depends and there and there.running:
            step = Drain(other)
            if step not in part.steps:
                part.steps.append(step)


def _edited(service: Service, seen: ObservedHost) -> str:
    """That the file that a service is made from is not as it should be, for a reason."""
    wanted = [file for file in service.files if file.path == service.made_from]
    found = seen.paths.get(service.made_from)
    edited = any(found is None or found.digest != file.digest for file in wanted)
    return f"{service.made_from} was edited by hand" if edited else ""


def _to_take_up(service: Service, seen: ObservedHost) -> list[str]:
    """The names of files that the service reads when it is told to, and that will be new."""
    found = {path: seen.paths.get(path) for path in service.reloads}
    return [
        file.path.rpartition("/")[2]
        for file in service.files
        if file.path in found
        and ((there := found[file.path]) is None or there.digest != file.digest)
    ]


def _of_somebody_else(want: DesiredHost, service: Service, found: ObservedService) -> HostError:
    whose = f"the fleet {found.fleet}" if found.fleet else "somebody else"
    return HostError(
        want.name,
        f"{service.name} is there ({found.kind}) and belongs to {whose}",
        f"rename or remove it (`docker rename {service.name} ...`), then run this again",
    )


def _recorded(ours: Mapping[str, OwnedService], service: Service) -> str:
    """The kind that the service was run as last."""
    return ours[service.name].kind if service.name in ours else service.kind


def _reason(
    service: Service,
    found: ObservedService | None,
    before: str,
    ours: Mapping[str, OwnedService],
) -> str:
    if before != service.kind:
        return f"{service.reason}.runtime: {before} before, {service.kind} now"
    if found is None:
        return "it was removed by hand" if service.name in ours else service.reason
    what = service.earlier.get(found.specification, "its specification changed")
    return f"{service.reason}: {what}"


def services_to_remove(want: DesiredHost, seen: ObservedHost, owned: Owned) -> PlanPart:
    """Services of ours that nothing wants, with their data where that is to be deleted.

    Raises:
        HostError: the engine that runs one does not run, or its data is not to be deleted.
    """
    part = PlanPart()
    wanted = {service.name for service in want.services}
    # Those that depend on others go first. A storage goes with the last service that has it.
    going = [each for each in reversed(owned.services) if each.name not in wanted]
    last = {each.storage: each.name for each in going}
    for service in going:
        needs = KINDS[service.kind].engine if service.kind in KINDS else None
        if seen.engine.state == "down" and not want.engine and needs == REGISTRY_ENGINE:
            raise HostError(
                want.name,
                f"the engine does not run, so the container {service.name} cannot be removed",
                "start the engine (`systemctl start docker`), then run this again",
            )
        change = Change(of_kind(service.kind, service.name), "delete", want.why_gone)
        data = seen.data.get(service.storage)
        with_data = service.storage in want.delete_storage and last[service.storage] == service.name
        if not with_data or data is None:
            part.add(change, RemoveService(service.name, service.kind))
            continue
        storages.refuse_deletion(want, seen, service.storage, data)
        made = service.storage in owned.directories
        step = RemoveService(service.name, service.kind, service.storage, made, data)
        part.add(change, step)
        reason = f"--delete-data: {storages.amount([data])}"
        part.add(Change(Resource("data", service.storage), "delete", reason))
    return part


def unused_images(want: DesiredHost, seen: ObservedHost, owned: Owned) -> tuple[RemoveImage, ...]:
    """Steps that remove the images which came with us and which no service uses any more.

    The image of a service whose runtime changes stays, because a rollback needs it, until the
    fleet runs nothing here any more.
    """
    images = [service.image for service in want.services if service.image]
    wanted = {(image.reference, image.engine) for image in images}
    changing = {
        before.name
        for before in owned.services
        for service in want.services
        if service.name == before.name and (service.kind != before.kind or not service.image)
    }
    brought = dict.fromkeys(
        (each.image, KINDS[each.kind].images)
        for each in owned.services
        if each.image and each.kind in KINDS and each.name not in changing
    )
    if not want.services:
        brought |= dict.fromkeys(
            (name, engine) for engine, name in sorted(seen.brought_by(want.fleet))
        )
    return tuple(
        RemoveImage(name, engine) for name, engine in brought if (name, engine) not in wanted
    )


def engines_of(steps: Iterable[Step], archives: Iterable[Image]) -> tuple[str, ...]:
    """Shell words of the engines that the steps have images of."""
    images = [step.image for step in steps if isinstance(step, PullImage)]
    words = [*(each.engine for each in (*images, *archives))]
    words += [step.engine for step in steps if isinstance(step, RemoveImage)]
    return tuple(dict.fromkeys(words))


def _archive_needed(
    service: Service, image: Image, found: ObservedService | None, seen: ObservedHost
) -> bool:
    """Whether the archive has to travel: no such image, or the service had another archive."""
    if image.reference not in seen.images:
        return True
    specification = found.specification if found else ""
    return bool(specification) and not specification.endswith(service.archive_mark)
