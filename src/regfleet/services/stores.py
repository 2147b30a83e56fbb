"""Whose the files are that a service keeps its data in. Pure."""

from __future__ import annotations

from regfleet.model.desired import STORE_DIRECTORIES, DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.record import Owned


def others_files(storage: str, want: DesiredHost, seen: ObservedHost) -> bool:
    """Whether another user's files are in a storage.

    Root without capabilities writes only where root may by its permissions: it needs the right to
    override them there.
    """
    if not storage:
        return False
    ours = seen.owned.get(want.fleet, Owned()).directories
    for below in STORE_DIRECTORIES:
        found = seen.paths.get(f"{storage}{below}")
        # A directory of ours is given back to root by the plan, should it be another's.
        if found and found.owner[0] != 0 and found.path not in ours:
            return True
    return False
