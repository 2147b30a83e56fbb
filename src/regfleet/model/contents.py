"""The contents of a registry: counts, and tags with their images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contents:
    """How much a registry holds.

    Attributes:
        repositories: the number of repositories.
        empty: the number of counted repositories without a tag; deleted tags leave them behind.
        tags: the number of tags in the counted repositories: all of them unless `partial`.
        size: bytes of the blobs of the `weighed` tags, each blob once.
        weighed: the number of tags whose manifests were read for `size`.
        partial: whether the registry holds more than was counted or weighed.
        broken: the number of manifests that are missing, or that the registry cannot read: of
            tags, and of images that an index lists.
    """

    repositories: int
    empty: int
    tags: int
    size: int
    weighed: int
    partial: bool = False
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag and the image, or index of several, that it points to.

    Attributes:
        digest: empty where the registry cannot read what the tag points to.
        size: bytes of its blobs, each once; for an index, of all platforms.
        platforms: `linux/amd64`, ...
        created: the newest time in its images' configurations (RFC 3339); None when none has one.
        missing: the number of manifests that its index lists but the registry does not have.
    """

    repository: str
    name: str
    digest: str
    media_type: str
    size: int
    platforms: tuple[str, ...]
    created: str | None
    missing: int = 0
