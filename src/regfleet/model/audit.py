"""What an audit of a registry's images found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrokenTag:
    """A tag that cannot be pulled.

    Attributes:
        reason: `is missing: sha256:…`, and the like.
    """

    repository: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Audited:
    """One registry's audit. The tuples hold the first ones alone; the numbers are of all.

    Attributes:
        service: its service on the host.
        tags, blobs, size: what was read: how many, and the bytes of the blobs.
        broken: tags that cannot be pulled.
        damaged: digests of blobs whose content is another.
        empty: link files without a word, as a crash leaves them.
    """

    service: str
    tags: int
    blobs: int
    size: int
    broken_count: int
    damaged_count: int
    empty_count: int
    broken: tuple[BrokenTag, ...] = ()
    damaged: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything can be pulled, and nothing is damaged."""
        return not (self.broken_count or self.damaged_count or self.empty_count)
