"""Manifests and their names (OCI Distribution and Image Specification 1.1), with bounds."""

import hashlib
import json
import os
import re
from typing import Any, Dict, List

from regfleet.replication.engine.problems import Going, Problem, clean

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join(MANIFESTS)
INDEX = MANIFESTS[0]
# Annotation of the index that takes a tag's place while it is deleted, by `regfleet delete` too.
PLACE_TAKEN = "io.regfleet.deleting"


REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
# Tags that belong to another manifest: cosign's .sig, .att and .sbom, and the referrers tag of
# OCI 1.1 ("Referrers Tag Schema"), which has no suffix.
ATTACHED = re.compile(r"(sha256|sha512)-([0-9a-f]{64,128})(?:\.[a-z]+)?")


MOST_CHILDREN = 10_000  # manifests of one tag
MOST_BLOB = 1 << 42  # bytes


def parse_object(body: bytes, what: str) -> Dict[str, Any]:
    """A JSON object of a registry.

    Raises:
        Problem: it is none.
    """
    try:
        parsed = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Problem(f"{what}: no JSON: {clean(str(error), 80)}") from error
    if not isinstance(parsed, dict):
        raise Problem(f"{what}: no JSON object")
    return parsed


def descriptors(manifest: Dict[str, Any], key: str) -> List[Dict[str, Any]]:
    """The checked descriptors under a manifest's key.

    Raises:
        Problem: one of them is none.
    """
    found = manifest.get(key) or []
    if not isinstance(found, list) or len(found) > MOST_CHILDREN:
        raise Problem(f"manifest: {key} is no list")
    for each in found:
        if not isinstance(each, dict) or not DIGEST.fullmatch(str(each.get("digest"))):
            raise Problem(f"manifest: {key}: a descriptor without a digest")
        size = each.get("size")
        if not isinstance(size, int) or not 0 <= size <= MOST_BLOB:
            raise Problem(f"manifest: {key}: a size that cannot be: {clean(repr(size), 40)}")
    return found


def empty_index() -> bytes:
    """An index of nothing that no other has the digest of."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [],
            "annotations": {PLACE_TAKEN: os.urandom(16).hex()},
        }
    ).encode("ascii")


def refuse_what_goes(name: str, manifest: Dict[str, Any]) -> None:
    """Raise `Going` for an index that only takes the place of a tag, see `empty_index`."""
    notes = manifest.get("annotations")
    if not manifest.get("manifests") and isinstance(notes, dict) and PLACE_TAKEN in notes:
        raise Going(
            f"{name}: its image is gone, a deletion of it was interrupted: delete it again there"
        )


def digest_of(content: bytes, like: str) -> str:
    """The digest of some content, by the algorithm of another digest."""
    name = like.split(":", maxsplit=1)[0]
    return f"{name}:{hashlib.new(name, content).hexdigest()}"
