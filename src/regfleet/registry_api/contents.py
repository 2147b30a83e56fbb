"""What a registry holds: a count of it, and its images one by one. Asks only for reading."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from regfleet.registry_api import answers
from regfleet.registry_api.answers import Descriptor, Manifest
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError

MOST = 500  # repositories whose tags are counted, and manifests that are weighed
SECONDS = 30.0  # then counting ends where it is

# Docker's "Image Manifest V2, Schema 2" and the OCI image specification, "Image Configuration".
_CONFIGURATIONS = (
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.config.v1+json",
)
_MAX_CONFIGURATION = 4 * 1024 * 1024
_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time: a build that leaves its time out


@dataclass(frozen=True, slots=True)
class Contents:
    """How much a registry holds.

    Attributes:
        tags: in the repositories that were asked, all of them unless `partial`.
        empty: repositories among them without a tag: deleted tags leave them behind.
        size: bytes of the blobs of the tags that were weighed, each blob once.
        weighed: tags whose manifests were read for that.
        partial: whether there is more than was counted or weighed.
        broken: tags without their manifest, and manifests that an index lists and are not there.
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
        size: bytes of its blobs, each once; of all platforms where it is an index.
        platforms: `linux/amd64`, ...
        created: as the newest image's configuration says it (RFC 3339), None where none does.
        missing: manifests that its index lists and that are not there.
    """

    repository: str
    name: str
    digest: str
    media_type: str
    size: int
    platforms: tuple[str, ...]
    created: str | None
    missing: int = 0


def count(
    client: RegistryClient,
    *,
    most: int = MOST,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Contents:
    """Count a registry's repositories and tags, and weigh its images: bounded work.

    Args:
        most: repositories whose tags are asked for, and manifests that are read.
        seconds: how long it may take; a request that has begun is waited for.
        clock: seconds that only grow.

    Raises:
        RegistryError: as `RegistryClient.catalog`.
    """
    end = clock() + seconds
    repositories = list(client.catalog())
    named: list[tuple[str, str]] = []
    asked = empty = 0
    for repository in repositories[:most]:
        if clock() > end:
            break
        tags = client.tags(repository)
        named += [(repository, tag) for tag in tags]
        empty += not tags
        asked += 1
    scale = _Scale(client, most)
    weighed = 0
    for repository, tag in named:
        if scale.left <= 0 or clock() > end:
            break
        scale.weigh(repository, tag)
        weighed += 1
    partial = asked < len(repositories) or weighed < len(named) or scale.left < 0
    return Contents(
        repositories=len(repositories),
        empty=empty,
        tags=len(named),
        size=sum(scale.sizes.values()),
        weighed=weighed,
        partial=partial,
        broken=scale.broken,
    )


def images(client: RegistryClient, repository: str) -> Iterator[Tag]:
    """Every tag of a repository with what it points to; none where it does not exist.

    They come in their natural order, `1.9` before `1.10`: distribution 2 has none of its own. A
    tag that is deleted in the meantime is left out.

    Raises:
        RegistryError: as `RegistryClient.manifest`.
    """
    read: dict[str, Tag] = {}
    for name in sorted(client.tags(repository), key=_natural):
        found = _manifest(client, repository, name)
        if found is None:
            continue
        if found.digest not in read:
            read[found.digest] = _described(client, repository, name, found)
        yield replace(read[found.digest], name=name)


class _Scale:
    """Weighs images, each manifest and each blob once."""

    def __init__(self, client: RegistryClient, most: int) -> None:
        self._client = client
        self._seen: set[tuple[str, str]] = set()
        self.left = most
        self.sizes: dict[str, int] = {}
        self.broken = 0

    def weigh(self, repository: str, reference: str) -> None:
        """Add what a manifest says that its blobs weigh; below 0 `left` counts what was not."""
        self.left -= 1
        if self.left < 0:
            return
        found = _manifest(self._client, repository, reference)
        if found is None:
            self.broken += 1
            return
        self._seen.add((repository, found.digest))
        self.sizes.update({blob.digest: blob.size for blob in found.blobs})
        for member in found.index:
            if (repository, member.digest) not in self._seen:
                self._seen.add((repository, member.digest))
                self.weigh(repository, member.digest)


def _described(client: RegistryClient, repository: str, name: str, found: Manifest) -> Tag:
    blobs: dict[str, int] = {}
    platforms: dict[str, None] = {}
    created: list[str] = []
    missing = 0
    # An index that lists itself cannot be made; one of indexes can, and is shown as empty.
    for listed in found.index or (Descriptor(found.digest, found.size, found.media_type),):
        image = _manifest(client, repository, listed.digest) if found.index else found
        if image is None:
            missing += 1
            continue
        blobs |= {blob.digest: blob.size for blob in image.blobs}
        made, where = _configuration(client, repository, image)
        if listed.platform or where:
            platforms[listed.platform or where] = None
        if made:
            created.append(made)
    return Tag(
        repository,
        name,
        found.digest,
        found.media_type,
        sum(blobs.values()),
        tuple(platforms),
        max(created, default=None),
        missing,
    )


def _configuration(
    client: RegistryClient, repository: str, image: Manifest
) -> tuple[str | None, str]:
    """When it was made and for what platform, as far as the configuration says it."""
    config = next((blob for blob in image.blobs if blob.digest == image.config), None)
    if (
        config is None
        or config.media_type not in _CONFIGURATIONS
        or config.size > _MAX_CONFIGURATION
    ):
        return None, ""  # an artefact that is no image
    try:
        found = json.loads(client.blob(repository, config.digest))
    except RegistryError as error:
        if error.kind in ("protocol", "not-found"):  # kept elsewhere, or gone
            return None, ""
        raise
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(found, dict):
        return None, ""
    created = found.get("created")
    known = isinstance(created, str) and created != _NEVER
    return (created if known else None), answers.platform(found)


def _natural(tag: str) -> list[tuple[bool, int, str]]:
    return [
        (False, int(part), "") if part.isdecimal() else (True, 0, part)
        for part in re.split(r"(\d+)", tag, flags=re.ASCII)
        if part
    ]


def _manifest(client: RegistryClient, repository: str, reference: str) -> Manifest | None:
    try:
        return client.manifest(repository, reference)
    except RegistryError as error:
        if error.kind == "not-found":
            return None
        raise
