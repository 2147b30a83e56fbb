"""Deletes one tag of a registry, while other tags of the same image stay.

Distribution 3 deletes a tag by its name. Distribution 2 deletes by digest only, and every tag of
that digest goes (distribution, registry/handlers/manifests.go, `DeleteManifest`). There the tag is
first moved to an empty index that nothing else has, whose digest is then deleted. The index says
by an annotation what it is: when the program is interrupted between the two steps, the next
deletion of the tag finds it and does the second one.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial

from regfleet.model.deletions import Deletion
from regfleet.registry_api import answers
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.contents import parts_of, size_of
from regfleet.registry_api.errors import RegistryError

_INDEX = "application/vnd.oci.image.index.v1+json"
# Annotations of an index that takes a tag's place; `retention/pushed.sh` and the copies of
# `replication/engine/` know it by the first one.
PLACE_TAKEN = "io.regfleet.deleting"
_WAS = "io.regfleet.was"
_NOWHERE = f"sha256:{'0' * 64}"  # a digest of nothing: finding such content is not feasible
# cosign's tags, and those of OCI 1.1 for registries without the referrers API: they name a digest
# (OCI distribution specification, "Referrers Tag Schema").
# `ATTACHED` of replication/engine/manifests.py is the same.
_ATTACHED = re.compile(r"(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{64,128})(?:\.[a-z]+)?")


def subject_of(tag: str) -> str | None:
    """The digest that a tag of a signature or attestation belongs to; None for other tags."""
    found = _ATTACHED.fullmatch(tag)
    return found[1].replace("-", ":") if found else None


def plan(client: RegistryClient, repository: str, deletions: list[Deletion]) -> None:
    """Find what goes and what stays; an image that cannot be deleted gets its error.

    Args:
        deletions: those of this repository.

    Raises:
        RegistryError: the registry cannot be asked.
    """
    tags = client.tags(repository)
    found = {tag: _digest_of(client, repository, tag) for tag in tags}
    digests = {tag: digest for tag, digest in found.items() if digest}
    unreadable = {tag for tag, digest in found.items() if digest == ""}
    parts = cache(partial(parts_of, client, repository))
    for each in deletions:
        if each.image.tag in unreadable:
            each.tags, each.unreadable = (each.image.tag,), True
        elif each.image.tag:
            _plan_tag(client, each, tags, digests)
    going = {tag for each in deletions for tag in each.tags}
    for each in deletions:
        if each.image.digest:
            _plan_digest(client, each, digests, unreadable, parts)
            going |= set(each.tags)
    images = [
        each
        for each in deletions
        if each.status == "planned" and not each.unfinished and not each.unreadable
    ]
    beside = tuple(tag for tag in tags if tag in unreadable and tag not in going)
    _plan_attached(images, {tag: digests[tag] for tag in digests if tag not in going}, parts)
    for each in deletions:
        each.beside = beside
        if beside:  # nobody knows what they have: signatures may belong to that
            each.attached = ()
    for each in images:
        each.size = _size(client, repository, each.digest)


def _digest_of(client: RegistryClient, repository: str, reference: str) -> str | None:
    """As `RegistryClient.digest`; empty where the registry fails at this one, twice."""
    try:
        return client.digest(repository, reference)
    except RegistryError as error:
        if error.kind != "protocol" or not _breaks(client, repository, reference):
            raise
        return ""


def _breaks(client: RegistryClient, repository: str, reference: str) -> bool:
    """Whether the registry itself fails; an answer to HEAD has no words by which to know it."""
    try:
        client.raw_manifest(repository, reference)
    except RegistryError as error:
        return error.broke
    return False


def spare_signatures(
    client: RegistryClient, repository: str, deletions: Collection[Deletion]
) -> None:
    """Leave signatures alone whose image got another tag while somebody thought the plan over.

    Args:
        deletions: those of this repository.

    Raises:
        RegistryError: as `RegistryClient.request`.
    """
    going = {tag for each in deletions for tag in each.tags}
    try:
        stays = {
            client.digest(repository, tag)
            for tag in client.tags(repository)
            if tag not in going and subject_of(tag) is None
        }
    except RegistryError as error:
        if error.kind != "protocol":
            raise
        stays = {each.digest for each in deletions}  # nobody knows
    for each in deletions:
        if each.image.tag and each.digest in stays:
            each.attached = ()


def delete(client: RegistryClient, deletion: Deletion) -> None:
    """Delete what was planned, if it is still so.

    Raises:
        RegistryError: as `delete_tag`; or the tag moved to another image since the plan.
    """
    repository, image, taken = deletion.image.repository, deletion.image, False
    if image.tag:
        found = (
            _digest_of(client, repository, image.tag)
            if deletion.unreadable
            else client.digest(repository, image.tag)
        )
        taken = deletion.unreadable and _is_taken(client, repository, found)
        if found is not None and found != deletion.digest and not taken:
            what = "can be read again" if deletion.unreadable else "was pushed anew since the plan"
            raise RegistryError(
                "protocol",
                f"{image} {what}: it is {found} now",
                "nothing was deleted; run the command again to see what it is",
            )
    # An interruption leaves signatures of an image that is gone, not an image without them.
    for tag in (*deletion.tags, *deletion.attached):
        unreadable = deletion.unreadable and not taken
        delete_tag(client, repository, tag, deletion.beside, unreadable=unreadable)
    if image.digest:
        client.delete(repository, image.digest)


def take_place(client: RegistryClient, deletion: Deletion) -> None:
    """Put an empty index over an unreadable tag, or delete it, where the registry deletes by name.

    Version 2 reads all tags of a repository to delete one: of several that it cannot read none
    could be the first.

    Raises:
        RegistryError: as `delete_tag`.
    """
    repository, tag = deletion.image.repository, deletion.image.tag
    if _digest_of(client, repository, tag) != "" or client.untag(repository, tag) is not None:
        return
    client.delete(repository, _NOWHERE)  # as below
    client.put_manifest(repository, tag, empty_index(""), _INDEX)


def _is_taken(client: RegistryClient, repository: str, digest: str | None) -> bool:
    found = client.raw_manifest(repository, digest) if digest else None
    return found is not None and _unfinished(found[0]) is not None


def delete_tag(
    client: RegistryClient,
    repository: str,
    tag: str,
    beside: Collection[str] = (),
    *,
    unreadable: bool = False,
) -> bool:
    """Delete one tag; other tags of its image stay.

    Args:
        beside, unreadable: as in `Deletion`; no image could get an unreadable tag back.

    Returns:
        Whether the tag existed.

    Raises:
        RegistryError: `unsupported` when deletion is off, `read-only`; as
            `RegistryClient.request`.
    """
    deleted = client.untag(repository, tag)
    if deleted is not None:
        return deleted
    if beside:  # it reads all tags, to find those of a digest
        others = ", ".join(f"{repository}:{other}" for other in beside)
        raise RegistryError(
            "protocol",
            f"the registry cannot read {others}, and so deletes no other tag there",
            f"name {others} in the same command, or push that again",
        )
    before = None if unreadable else client.raw_manifest(repository, tag)
    if before is None and tag not in client.tags(repository):
        return False
    content, media_type = before or (b"", "")
    if before and _unfinished(content) is not None:
        _delete_at(client, repository, tag, _digest(content))
        return True
    # Deletion that is off is found out before the tag is moved: 405 also for what is not there.
    client.delete(repository, _NOWHERE)
    index = empty_index(_digest(content) if before else "")
    client.put_manifest(repository, tag, index, _INDEX)
    try:
        _delete_at(client, repository, tag, _digest(index))
    except RegistryError:
        # Where the registry lives, the tag goes back to its image, if nobody pushed another one.
        if before and client.digest(repository, tag) in (_digest(index), None):
            client.put_manifest(repository, tag, content, media_type)
        raise
    return True


def _delete_at(client: RegistryClient, repository: str, tag: str, digest: str) -> None:
    """Delete what a tag points to.

    Of two requests the first may delete the manifest and fail with 500 at the tag, which 2.8 reads
    while somebody writes it: then the second one's 404 is no proof. Such a tag leads to nothing,
    and is still in the list.

    Raises:
        RegistryError: `protocol` for a tag that is still there; as `RegistryClient.delete`.
    """
    if not client.delete(repository, digest) and tag in client.tags(repository):
        raise RegistryError(
            "protocol",
            f"the registry did not delete the tag {repository}:{tag}",
            "run the command again",
        )


def _plan_tag(
    client: RegistryClient, each: Deletion, tags: Collection[str], digests: Mapping[str, str]
) -> None:
    image = each.image
    if image.tag in tags and image.tag not in digests:
        # 2.8 ended after it had deleted what the tag led to, and before the tag.
        each.tags, each.unfinished = (image.tag,), True
        return
    if image.tag not in digests:
        each.fail(f"{image.registry} has no tag {image.repository}:{image.tag}")
        return
    each.digest, each.tags = digests[image.tag], (image.tag,)
    found = client.raw_manifest(image.repository, image.tag)
    was = _unfinished(found[0]) if found else None
    each.unfinished = was is not None


def _plan_attached(
    deletions: Collection[Deletion],
    staying: Mapping[str, str],
    parts: Callable[[str], Collection[str] | None],
) -> None:
    """Find the other tags of images, and the signatures that go with the last one.

    Args:
        staying: the digests of all tags that nobody wants to delete.
        parts: as `parts_of`, of a digest.
    """
    tags_of: dict[str, list[str]] = {}
    signatures_of: dict[str, list[str]] = {}
    stays: set[str] = set()
    for tag, digest in staying.items():
        tags_of.setdefault(digest, []).append(tag)
        if (subject := subject_of(tag)) is None:
            stays.add(digest)
        else:
            signatures_of.setdefault(subject, []).append(tag)
    for each in deletions:
        each.others = tuple(tags_of.get(each.digest, ()))
        its = signatures_of.get(each.digest, ())
        # They stay with an index that stays and has the image as one of its platforms.
        if its and not each.others and not any(_may_have(parts(one), each.digest) for one in stays):
            each.attached = tuple(its)
            del signatures_of[each.digest]  # of two deletions of an image one has them


def _size(client: RegistryClient, repository: str, digest: str) -> int:
    try:
        return size_of(client, repository, digest)
    except RegistryError as error:
        if error.kind != "protocol":  # what is damaged can be deleted
            raise
        return 0


def _may_have(parts: Collection[str] | None, digest: str) -> bool:
    """Whether a manifest is among these parts; of one that is damaged nobody knows them."""
    return parts is None or digest in parts


def _plan_digest(
    client: RegistryClient,
    each: Deletion,
    digests: Mapping[str, str],
    unreadable: Collection[str],
    parts: Callable[[str], Collection[str] | None],
) -> None:
    """Plan the deletion of a digest: refused if an index with a tag lists it, or may do so."""
    image = each.image
    found = _digest_of(client, image.repository, image.digest)
    if found is None:
        each.fail(f"{image.registry} has no image {image.repository}@{image.digest}")
        return
    each.digest, each.unreadable = image.digest, found == ""
    if unreadable:
        _may_be_part(each, next(iter(unreadable)), "which the registry cannot read")
        return
    each.tags = tuple(tag for tag, digest in digests.items() if digest == image.digest)
    for tag, digest in digests.items():
        if digest == image.digest:
            continue
        if parts(digest) is None:
            _may_be_part(each, tag, "which is damaged")
            return
        if _may_have(parts(digest), image.digest):
            each.fail(
                f"{image} is a part of the index {image.repository}:{tag}, which would be broken",
                f"delete {image.registry}/{image.repository}:{tag} instead",
            )
            return


def _may_be_part(each: Deletion, tag: str, why: str) -> None:
    image = each.image
    each.fail(
        f"{image} may be a part of {image.repository}:{tag}, {why}",
        f"delete {image.registry}/{image.repository}:{tag} first, or push it again",
    )


def empty_index(was: str) -> bytes:
    """An index that no other tag can have.

    Args:
        was: the digest that the tag had.
    """
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _INDEX,
            "manifests": [],
            "annotations": {PLACE_TAKEN: secrets.token_hex(16), _WAS: was},
        }
    ).encode()


def _unfinished(content: bytes) -> str | None:
    """The digest that a tag had before a deletion that was interrupted; None for an image."""
    try:
        found = json.loads(content)
        annotations = found.get("annotations") or {}
        if found.get("manifests") != [] or PLACE_TAKEN not in annotations:
            return None
        was = annotations.get(_WAS)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    return was if isinstance(was, str) and answers.is_digest(was) else ""


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
