"""Counts what a registry holds and lists its images. It only reads."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from regfleet.model.contents import Contents, Tag
from regfleet.registry_api import answers
from regfleet.registry_api.answers import Descriptor, Manifest
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError, cut

MOST = 500  # repositories whose tags are counted, and manifests whose sizes are added
SECONDS = 30.0  # then counting stops and the result is partial

# Docker's "Image Manifest V2, Schema 2" and the OCI image specification, "Image Configuration".
_CONFIGURATIONS = (
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.config.v1+json",
)
# The same, "Media Types" of manifests: what is of these is no index.
_IMAGES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
_MAX_CONFIGURATION = 4 * 1024 * 1024
_MOST_PARTS = 10_000
_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time: a build that leaves its time out


def count(
    client: RegistryClient,
    *,
    most: int = MOST,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Contents:
    """Count a registry's repositories and tags, and add up its images' sizes, within bounds.

    Args:
        most: the most repositories whose tags are counted, and the most manifests that are read.
        seconds: the most time; a request that has begun is waited for.
        clock: returns seconds that only grow.

    Raises:
        RegistryError: as `RegistryClient.catalog`.
    """
    end = clock() + seconds
    repositories = client.catalog()
    named: list[tuple[str, str]] = []
    asked = empty = 0
    for repository in repositories[:most]:
        if clock() > end:
            break
        tags = client.tags(repository)
        named += [(repository, tag) for tag in tags]
        empty += not tags
        asked += 1
    scale = _SizeCounter(client, most)
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
    """Every tag of a repository with its image; none when the repository does not exist.

    The tags are in natural order, `1.9` before `1.10`; distribution 2 does not sort them. A tag
    that is deleted in the meantime is left out; one that the registry cannot read has no digest.

    Raises:
        RegistryError: as `RegistryClient.manifest`.
    """
    read: dict[str, Tag] = {}
    for name in sorted(client.tags(repository), key=_natural_key):
        try:
            found = _read_manifest(client, repository, name)
        except RegistryError as error:
            if not error.broke:
                raise
            yield Tag(repository, name, "", "", 0, (), None)
            continue
        if found is None:
            continue
        if found.digest not in read:
            read[found.digest] = _describe_tag(client, repository, name, found)
        yield replace(read[found.digest], name=name)


def size_of(client: RegistryClient, repository: str, reference: str) -> int:
    """Bytes of an image's blobs, each once; of an index, those of all its images.

    Raises:
        RegistryError: as `RegistryClient.manifest`, except `not-found`.
    """
    counter = _SizeCounter(client, MOST)
    counter.weigh(repository, reference)
    return sum(counter.sizes.values())


def parts_of(client: RegistryClient, repository: str, reference: str) -> frozenset[str] | None:
    """The digests of a manifest, where the repository has it, and of all below it.

    Returns:
        None where it or an index below it is damaged, or they are too many: nobody knows which
        there are.

    Raises:
        RegistryError: as `RegistryClient.manifest`, except `not-found` and `protocol`.
    """
    found: set[str] = set()
    left = [reference]
    while left:
        try:
            one = _read_manifest(client, repository, left.pop())
        except RegistryError as error:
            if error.kind != "protocol":
                raise
            return None
        if one is not None and one.digest not in found:
            # An image has no manifests below it: of an index's many images none is read.
            images = {each.digest for each in one.index if each.media_type in _IMAGES}
            found |= {one.digest, *images}
            left += [digest for digest in one.members if digest not in images]
        if len(found) + len(left) > _MOST_PARTS:
            return None
    return frozenset(found)


class _SizeCounter:
    """Adds up the sizes of images' blobs, reading each manifest and adding each blob once."""

    def __init__(self, client: RegistryClient, most: int) -> None:
        self._client = client
        self._seen: set[tuple[str, str]] = set()
        self.left = most
        self.sizes: dict[str, int] = {}
        self.broken = 0

    def weigh(self, repository: str, reference: str) -> None:
        """Add the sizes of a manifest's blobs; does nothing but count when `left` is used up."""
        self.left -= 1
        if self.left < 0:
            return
        try:
            found = _read_manifest(self._client, repository, reference)
        except RegistryError as error:
            if not error.broke:
                raise
            found = None
        if found is None:
            self.broken += 1
            return
        self._seen.add((repository, found.digest))
        self.sizes.update({blob.digest: blob.size for blob in found.blobs})
        for member in found.index:
            if (repository, member.digest) not in self._seen:
                self._seen.add((repository, member.digest))
                self.weigh(repository, member.digest)


def _describe_tag(client: RegistryClient, repository: str, name: str, found: Manifest) -> Tag:
    blobs: dict[str, int] = {}
    platforms: dict[str, None] = {}
    created: list[str] = []
    missing = 0
    # An index cannot list itself. It can list indexes, and is then shown as empty.
    for listed in found.index or (Descriptor(found.digest, found.size, found.media_type),):
        image = _read_manifest(client, repository, listed.digest) if found.index else found
        if image is None:
            missing += 1
            continue
        blobs |= {blob.digest: blob.size for blob in image.blobs}
        made, where = _created_and_platform(client, repository, image)
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


def _created_and_platform(
    client: RegistryClient, repository: str, image: Manifest
) -> tuple[str | None, str]:
    """The creation time and the platform in an image's configuration, as far as it has them."""
    config = next((blob for blob in image.blobs if blob.digest == image.config), None)
    if (
        config is None
        or config.media_type not in _CONFIGURATIONS
        or config.size > _MAX_CONFIGURATION
    ):
        return None, ""  # an artefact that is not an image
    try:
        found = json.loads(client.blob(repository, config.digest))
    except RegistryError as error:
        if error.kind in ("protocol", "not-found"):  # a redirect, or deleted
            return None, ""
        raise
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(found, dict):
        return None, ""
    created = found.get("created")
    known = isinstance(created, str) and created != _NEVER
    return (cut(created) if known else None), answers.platform(found)


def _natural_key(tag: str) -> list[tuple[bool, int, str]]:
    return [
        (False, int(part), "") if part.isdecimal() else (True, 0, part)
        for part in re.split(r"(\d+)", tag, flags=re.ASCII)
        if part
    ]


def _read_manifest(client: RegistryClient, repository: str, reference: str) -> Manifest | None:
    try:
        return client.manifest(repository, reference)
    except RegistryError as error:
        if error.kind == "not-found":
            return None
        raise
