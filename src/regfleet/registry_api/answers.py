"""Parses registries' HTTP answers. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from regfleet.registry_api.errors import Kind, RegistryError, cut

MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
"""The `Accept` header of manifest requests. Without it a registry answers schema 1 or 404
(distribution, spec/manifest-v2-2; OCI image specification, media-types)."""

# distribution/reference: regexp.go; OCI distribution specification, "Pulling manifests".
_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[A-Za-z0-9=_-]{32,}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_REPOSITORY = 255
_MAX_PARTS = 1000  # layers of an image, images of an index; Docker stops at 127 layers
_MAX_LINK = 4096  # characters; the search takes time by the square of the length
_MAX_SIZE = 2**63  # int64, as Go's clients hold it (OCI image specification, "Descriptor")

_LINK = re.compile(r"\s*<([^>]*)>([^,]*)")
_NEXT = re.compile(r""";\s*rel\s*=\s*(?:"[^"]*\bnext\b[^"]*"|next\b)""", re.IGNORECASE)

_STATUS: Mapping[int, tuple[Kind, str]] = {
    403: ("forbidden", "may this user do that?"),
    404: ("not-found", ""),
    405: ("unsupported", "turn deletion on: delete = true in the registry's declaration"),
    429: ("protocol", "it limits the rate of requests; wait a little"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A manifest's entry for one of its blobs, or an index's entry for one of its manifests.

    Attributes:
        size: bytes; 0 when the entry has none.
        platform: `linux/arm64/v8`; empty when the entry has none, or `unknown/unknown`, as
            BuildKit writes it for attestations.
    """

    digest: str
    size: int
    media_type: str
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image's manifest, or an index of several.

    Attributes:
        digest: `sha256:…` of the manifest itself; `RegistryClient.delete` takes it.
        media_type: one of `MANIFEST_TYPES`.
        size: bytes of the manifest.
        config: digest of the image's configuration, which is its ID; None for an index.
        members: digests of an index's manifests.
        blobs: an image's blobs: first its configuration, then its layers.
        index: an index's entries.
    """

    digest: str
    media_type: str
    size: int
    config: str | None
    members: tuple[str, ...] = ()
    blobs: tuple[Descriptor, ...] = ()
    index: tuple[Descriptor, ...] = ()


def is_repository(name: str) -> bool:
    """Whether a registry would accept the text as a repository's name."""
    return len(name) <= _MAX_REPOSITORY and _REPOSITORY.fullmatch(name) is not None


def is_tag(name: str) -> bool:
    """Whether a registry would accept the text as a tag."""
    return _TAG.fullmatch(name) is not None


def is_digest(text: str) -> bool:
    """Whether the text is a digest such as `sha256:…`."""
    if text.startswith("sha256:"):
        return _SHA256.fullmatch(text) is not None
    return _DIGEST.fullmatch(text) is not None


def is_reference(text: str) -> bool:
    """Whether the text is a tag or a digest."""
    return is_tag(text) or is_digest(text)


def next_page(link: str | None, path: str) -> str | None:
    """Path and query of the next page from a `Link` header (RFC 8288); None on the last page.

    The host and the scheme in it are ignored: behind a proxy that does not forward them,
    distribution writes its own, and credentials are sent to the endpoint alone.

    Args:
        link: the header's value.
        path: the path of the page that had this header.

    Raises:
        ValueError: the header has no valid address, or is too long.
    """
    if link and len(link) > _MAX_LINK:
        raise ValueError(f"{len(link)} characters")
    for match in _LINK.finditer(link or ""):
        if _NEXT.search(match.group(2)):
            parts = urlsplit(urljoin(path, match.group(1)))
            return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return None


def document(answer: Answer, endpoint: str) -> Mapping[str, object]:
    """The JSON object in an answer's body.

    Raises:
        RegistryError: `not-a-registry`, the body is no JSON object.
    """
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RegistryError(
            "not-a-registry",
            f"{endpoint} does not answer as a registry does: "
            f"{cut(answer.headers.get('content-type', 'no content type'))}",
            "is another service on that port, or a proxy in between?",
        )
    return found


def strings_of(found: object) -> tuple[str, ...]:
    """The strings_of of a JSON list; none for `null`, which distribution sends for no tags."""
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def refusal(answer: Answer, endpoint: str, asked: str, user: str | None) -> RegistryError:
    """The error for an answer that is no success.

    Args:
        answer: an answer of status 300 or more.
        endpoint: the registry's endpoint.
        asked: method and path of the request.
        user: the user who logged in, None without a login.
    """
    said = _error_words(answer)
    if answer.status == 401:  # noqa: PLR2004 - RFC 9110, 15.5.2
        challenge = answer.headers.get("www-authenticate", "")
        if challenge.lower().startswith("bearer"):
            return RegistryError(
                "unauthorized",
                f"{endpoint} wants a token from another service: {cut(challenge)}",
                "regfleet logs in with a name and a password only",
            )
        who = f"does not accept the password of user {user!r}" if user else "wants a login"
        return RegistryError(
            "unauthorized", f"{endpoint} {who}", "is this the password that the registry knows?"
        )
    if b"HTTP request to an HTTPS server" in answer.body:
        return RegistryError(
            "tls", f"{endpoint} speaks TLS, and was asked without", "is tls.source right?"
        )
    kind, hint = _STATUS.get(answer.status, ("protocol", "see the registry's log"))
    # `storage.maintenance.readonly` takes the methods away: no error in JSON, as of other causes.
    # A gateway says it in words (gateway/njs/gateway.js, READS_ONLY).
    bare = kind == "unsupported" and not said and asked.startswith(("PUT", "POST", "DELETE"))
    if bare or "takes no changes for some seconds" in said:
        kind, hint = "read-only", "is a collection at work (`regfleet gc`)? then try again later"
    # A gateway answers 503 for the registry's 500, and says so (gateway/njs/gateway.js, gone).
    broke = answer.status == 500 or "the registry answered 500" in said  # noqa: PLR2004
    return RegistryError(kind, f"{endpoint}: {asked}: {answer.status}{said}", hint, broke=broke)


def manifest(answer: Answer, endpoint: str, reference: str) -> Manifest:
    """The manifest in an answer; its digest is computed from the body and must match.

    Raises:
        RegistryError: `protocol`, the digests differ, or the manifest has too many parts.
    """
    found = document(answer, endpoint)
    for key in ("layers", "manifests"):
        parts = found.get(key)
        if isinstance(parts, list) and len(parts) > _MAX_PARTS:
            raise RegistryError(
                "protocol", f"{endpoint}: the manifest {cut(reference)} has {len(parts)} {key}"
            )
    stated = (answer.headers.get("docker-content-digest"), reference if ":" in reference else None)
    for digest in filter(None, stated):
        require_digest(answer.body, digest, endpoint, f"the manifest {reference}")
    config, index = _descriptors([found.get("config")]), _descriptors(found.get("manifests"))
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
    return Manifest(
        digest=f"sha256:{hashlib.sha256(answer.body).hexdigest()}",
        media_type=cut(media_type or found.get("mediaType", "")),
        size=len(answer.body),
        config=config[0].digest if config else None,
        members=tuple(member.digest for member in index),
        blobs=(*config, *_descriptors(found.get("layers"))),
        index=index,
    )


def require_digest(content: bytes, digest: str, endpoint: str, what: str = "a blob") -> None:
    """Refuse content that does not match its SHA-256 digest; other digests are not checked.

    Raises:
        RegistryError: `protocol`.
    """
    computed = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest.startswith("sha256:") and digest != computed:
        raise RegistryError(
            "protocol",
            f"{endpoint}: {what} should have digest {cut(digest)}, but has {computed}",
            "the registry's storage is damaged, or something in between changes answers",
        )


def platform(found: Mapping[str, object]) -> str:
    """`os/architecture/variant` from an index's platform or an image's configuration.

    OCI image specification, "Image Index" and "Image Configuration".
    """
    parts = [found.get(key) for key in ("os", "architecture", "variant")]
    words = [cut(part) for part in parts if isinstance(part, str) and part]
    return "/".join(words) if words[:2] != ["unknown", "unknown"] else ""


def _descriptors(found: object) -> tuple[Descriptor, ...]:
    """The entries of a JSON list that have a digest."""
    return tuple(
        Descriptor(
            digest,
            size if isinstance(size := each.get("size"), int) and 0 < size < _MAX_SIZE else 0,
            cut(each.get("mediaType") or ""),
            platform(where) if isinstance(where := each.get("platform"), dict) else "",
        )
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict) and isinstance(digest := each.get("digest"), str)
    )


def _error_words(answer: Answer) -> str:
    """Code and message of the first error in the body; empty when it has none.

    OCI distribution specification, "Error codes".
    """
    try:
        first = json.loads(answer.body)["errors"][0]
        return cut(f" {first['code']}: {first['message']}")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
