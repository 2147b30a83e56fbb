"""Tags with the time of their last push, and those that retention deletes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pushed:
    """A tag, and when it was pushed last.

    Attributes:
        digest: of the manifest or index.
        at: seconds since 1970, by the registry host's clock.
        unfinished: whether a deletion of it was interrupted: it has no image any more.
        torn: whether its repository does not have what it leads to: it cannot be pulled.
    """

    repository: str
    name: str
    digest: str
    at: int
    unfinished: bool = False
    torn: bool = False


@dataclass(frozen=True, slots=True)
class Doomed:
    """A tag that goes.

    Attributes:
        reason: for people: `pushed 40 days ago, not of the last 10`.
    """

    tag: Pushed
    reason: str
