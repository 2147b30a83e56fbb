"""Registries made by hand: to stop and keep aside, with what becomes of their images; to return."""

from __future__ import annotations

from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.foreign import ASIDE, Foreign
from regfleet.model.observed import ObservedData, ObservedHost
from regfleet.model.plan import Adopt, Change, ReturnAdopted
from regfleet.model.resource import Resource
from regfleet.model.service import Service
from regfleet.plan import storages
from regfleet.plan.part import PlanPart
from regfleet.record import Adopted, Owned

# The registry is away while its images are copied: some minutes from disk to disk.
MOST_BYTES = 20 * 10**9
_EMPTY = ObservedData("empty")


def adoption(want: DesiredHost, seen: ObservedHost, service: Service) -> PlanPart:
    """What takes over from the registry that serves a service's port; empty where there is none.

    Raises:
        HostError: the declared storage cannot have its images; the message has the directory that
            can.
    """
    part = PlanPart()
    found = seen.foreign.get(service.port)
    if found is None:
        return part
    aside = f" as {found.name}{ASIDE}" if found.kind == "container" else ""
    project = f"; take it out of the Compose project {found.project}" if found.project else ""
    reason = (
        f"{service.reason}.adopt: it stops and is kept{aside}, a rollback or a destroy brings it "
        f"back{project}"
    )
    images, copied = _images(want, seen, service, found)
    storage = service.storage if copied else ""
    part.add(Change(_resource(found.kind, found.name), "update", reason), Adopt(found, storage))
    part.add(Change(Resource("data", service.storage), "run", images))
    return part


def _images(
    want: DesiredHost, seen: ObservedHost, service: Service, found: Foreign
) -> tuple[str, bool]:
    """What becomes of its images, in words, and whether they are copied.

    Raises:
        HostError: they cannot be taken over.
    """
    where = found.source or f"{found.root} in the container {found.name}"
    data = seen.data.get(found.source)
    amount = storages.amount([data]) if data and data.holds == "registry" else "images"
    if found.in_place:
        anonymous = (
            f"; they lie in the volume {found.volume[:12]}, which Docker may delete when that "
            "container is gone"
            if found.volume
            else ""
        )
        return f"{service.reason}.storage: {amount} stay in {where}{anonymous}", False
    theirs = seen.data.get(service.storage, _EMPTY)
    declare = f'write storage = "{found.source}"' if found.source else ""
    if theirs.holds == "registry":
        raise HostError(
            want.name,
            f"{service.storage} holds {storages.amount([theirs])} already, and the registry to be "
            f"adopted keeps its images in {where}",
            f"{declare or 'name an empty directory under `storage`'} in [{service.reason}], or "
            f"move {service.storage} away",
        )
    if data is None and found.source:
        raise HostError(
            want.name,
            f"{found.source}, where the registry to be adopted keeps its images, cannot be looked "
            "at from the host",
            "see `docker inspect` of it; stop it by hand and declare the directory as `storage`",
        )
    if data and data.holds != "registry":
        return f"{service.reason}.adopt: {where} holds no images yet", False
    if found.source and found.linkable:
        return f"{service.reason}.adopt: {amount} from {where}, linked: no more space", True
    if data and (data.size > MOST_BYTES or not data.all_counted):
        raise HostError(
            want.name,
            f"the images of the registry to be adopted ({amount}) are in {where}, on another file "
            f"system than {service.storage}: copying them would keep it away for long",
            f"{declare}, or name a directory on that file system",
        )
    return f"{service.reason}.adopt: {amount} copied from {where}", True


def adopted_after(want: DesiredHost, seen: ObservedHost, owned: Owned) -> tuple[Adopted, ...]:
    """The registries that stand aside after the plan."""
    fresh = tuple(
        Adopted(service.name, str(service.port), each.kind, each.key, each.name, each.restart)
        for service in want.services
        if (each := seen.foreign.get(service.port))
    )
    keys = {each.key for each in fresh}
    kept = (each for each in owned.adopted if _is_replaced(each, want) and each.key not in keys)
    return (*kept, *fresh)


def adopted_to_return(want: DesiredHost, owned: Owned) -> PlanPart:
    """Registries that stand aside and in whose place nothing of the fleet serves any more."""
    part = PlanPart()
    for each in owned.adopted:
        if not _is_replaced(each, want):
            reason = f"it is started again on port {each.port}: it served there before regfleet"
            part.add(Change(_resource(each.kind, each.name), "update", reason), ReturnAdopted(each))
    return part


def _is_replaced(adopted: Adopted, want: DesiredHost) -> bool:
    """Whether the service in its place stays, or another one has its port."""
    return any(
        service.name == adopted.service or str(service.port) == adopted.port
        for service in want.services
    )


def _resource(kind: str, name: str) -> Resource:
    return Resource("container" if kind == "container" else "unit", name)
