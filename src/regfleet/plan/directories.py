"""Plan which directories to create, and which of the fleet's directories to remove."""

from __future__ import annotations

from pathlib import PurePosixPath

from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Change, MakeDirectory, RemovePath
from regfleet.model.resource import Resource
from regfleet.plan.part import PlanPart, Shared, is_fit
from regfleet.record import Owned

_MOST_NAMES = 5  # entries of a kept directory that its reason names


def directories_to_make(want: DesiredHost, seen: ObservedHost) -> PlanPart:
    """Create missing directories; set mode and owner of those that the fleet owns.

    Raises:
        HostError: a file is in the place of a directory.
    """
    part = PlanPart()
    ours = set(seen.owned.get(want.fleet, Owned()).directories)
    for directory in want.directories:
        found = seen.paths.get(directory.path)
        if found is None:
            change = Change(Resource("directory", directory.path), "create", directory.reason)
            part.add(change, MakeDirectory(directory))
        elif not found.directory:
            raise HostError(
                want.name,
                f"{directory.path} is a file, but must be a directory",
                "move it away by hand, then run this again",
            )
        elif directory.path in ours and not is_fit(found, directory.mode):
            reason = f"mode {found.mode:04o} is not {directory.mode:04o}"
            change = Change(Resource("directory", directory.path), "update", reason)
            part.add(change, MakeDirectory(directory))
    return part


def directories_to_remove(
    want: DesiredHost, seen: ObservedHost, owned: Owned, shared: Shared
) -> PlanPart:
    """Remove the fleet's directories that are no longer wanted: deepest first, only when empty."""
    part = PlanPart()
    wanted = {directory.path for directory in want.directories} | shared.directories
    for path in sorted(owned.directories, key=len, reverse=True):
        if path not in wanted:
            reason = f"{want.why_gone}{_why_kept(path, want, seen, owned)}"
            change = Change(Resource("directory", path), "delete", reason)
            part.add(change, RemovePath(path, directory=True))
    return part


def _why_kept(path: str, want: DesiredHost, seen: ObservedHost, owned: Owned) -> str:
    """The end of a removal's reason: whether entries that the fleet does not own keep it."""
    if path in want.delete_storage and path in seen.data:
        return ", if it is empty"  # its present content is about to be deleted
    ours = {str(PurePosixPath(each).name) for each in (*owned.files, *owned.directories)
            if str(PurePosixPath(each).parent) == path}  # fmt: skip
    others = [name for name in seen.holds.get(path, ()) if name not in ours]
    if not others:
        return ", if it is empty"
    count = f"{len(others)} entries" if len(others) > 1 else "1 entry"
    more = ", ..." if len(others) > _MOST_NAMES else ""
    names = ", ".join(others[:_MOST_NAMES])
    return f"; kept, because it holds {count} not owned by the fleet: {names}{more}"
