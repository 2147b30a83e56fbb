"""What a collection of a registry's garbage found and deleted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Collected:
    """One registry's collection, or what one would do.

    Attributes:
        service: its service on the host.
        tags, manifests: how many there are, in all repositories.
        missing: blobs that tags need and that are not there: those images were broken before.
        untagged: manifests that no tag leads to, and that are old enough to go.
        blobs: blobs that are deleted.
        size: their bytes.
        seconds: how long the registry only read; 0 if nothing was deleted.
    """

    service: str
    tags: int
    manifests: int
    missing: int
    untagged: int
    blobs: int
    size: int
    seconds: int

    @property
    def anything(self) -> bool:
        """Whether there is something to delete."""
        return bool(self.untagged or self.blobs)
