"""A tiny image, made here and pushed by the registry's API: to prove rights with.

It holds one small file and no program, so it can be pulled and not run.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError, cut

# What clients of Docker 20.10 and later, Podman and containerd all take: Docker's "Image Manifest
# V2, Schema 2".
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PLATFORMS = ("amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64")
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Tiny:
    """The parts of an image.

    Attributes:
        blobs: configurations and the layer.
        manifests: one a platform.
        top: what the tag names: the list of the manifests, or the only one.
        media_type: of the top.
    """

    blobs: tuple[bytes, ...]
    manifests: tuple[bytes, ...]
    top: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """Of what the tag names."""
        return digest_of(self.top)

    @property
    def digests(self) -> tuple[str, ...]:
        """Of everything that is to be deleted: what the tag names first."""
        return tuple(dict.fromkeys((self.digest, *map(digest_of, self.manifests))))


def make(word: str, platforms: Iterable[str] = PLATFORMS) -> Tiny:
    """An image for Linux on these architectures, as Go names them.

    Args:
        word: makes it another image than that of any other word.
    """
    layer = _layer(word)
    diff = digest_of(layer)
    packed = gzip.compress(layer, mtime=0)
    configs, manifests, entries = [], [], []
    for architecture in platforms:
        config = _json(
            {
                "architecture": architecture,
                "os": "linux",
                "created": _EPOCH,
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [diff]},
                "history": [{"created": _EPOCH, "created_by": "regfleet"}],
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(config, _CONFIG),
                "layers": [_descriptor(packed, _LAYER)],
            }
        )
        configs.append(config)
        manifests.append(manifest)
        platform = {"architecture": architecture, "os": "linux"}
        entries.append({**_descriptor(manifest, _MANIFEST), "platform": platform})
    top, media_type = manifests[0], _MANIFEST
    if len(manifests) > 1:
        top = _json({"schemaVersion": 2, "mediaType": _LIST, "manifests": entries})
        media_type = _LIST
    return Tiny((packed, *configs), tuple(manifests), top, media_type)


def push(client: RegistryClient, repository: str, tag: str, image: Tiny) -> None:
    """Push an image.

    Raises:
        RegistryError: the registry refused a part; as `RegistryClient.request`.
    """
    for blob in image.blobs:
        upload(client, repository, blob)
    for manifest in image.manifests:
        client.put_manifest(repository, digest_of(manifest), manifest, _MANIFEST)
    client.put_manifest(repository, tag, image.top, image.media_type)


def upload(client: RegistryClient, repository: str, content: bytes) -> None:
    """Upload a blob in two requests (OCI distribution specification, "POST then PUT").

    Raises:
        RegistryError: as `push`; `protocol` where the registry sends us elsewhere for it.
    """
    start = f"/v2/{repository}/blobs/uploads/"
    answer = client.request("POST", start, {"Content-Length": "0"})
    client.require_success(answer, f"POST {start}")
    # Its host is left out: behind a proxy, distribution writes its own, and credentials go to the
    # endpoint alone.
    place = urlsplit(answer.headers.get("location", ""))
    if not place.path.startswith(start):
        message = f"POST {start} answers with another place: {cut(place.path)}"
        raise RegistryError("protocol", message)
    query = f"{place.query}&" if place.query else ""
    path = f"{place.path}?{query}digest={digest_of(content)}"
    answer = client.request("PUT", path, {"Content-Type": "application/octet-stream"}, content)
    client.require_success(answer, f"PUT {place.path}")


def digest_of(content: bytes) -> str:
    """`sha256:…`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "size": len(content), "digest": digest_of(content)}


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _layer(word: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        content = f"{word}\n".encode()
        entry = tarfile.TarInfo("regfleet-smoke")
        entry.size, entry.mode = len(content), 0o444
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
