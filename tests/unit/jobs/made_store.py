"""A registry's storage, made by hand: blobs, manifests, tags."""

import hashlib
import json
import os
import time


class Store:
    """A registry's storage."""

    def __init__(self, place, *, new=True):
        self.place = place
        self.root = place / "docker/registry/v2"
        if new:
            (self.root / "repositories").mkdir(parents=True)
            (self.root / "blobs/sha256").mkdir(parents=True)

    def blob(self, content):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        name = hashlib.sha256(content).hexdigest()
        place = self.root / "blobs/sha256" / name[:2] / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "data").write_bytes(content)
        return f"sha256:{name}"

    def manifest(self, repository, document, tag="", *, days=2):
        digest = self.blob(document)
        manifests = self.root / "repositories" / repository / "_manifests"
        link = manifests / "revisions/sha256" / digest.partition(":")[2] / "link"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(digest)
        os.utime(link, (time.time() - days * 86400,) * 2)
        if tag:
            (manifests / "tags" / tag / "current").mkdir(parents=True)
            (manifests / "tags" / tag / "current/link").write_text(digest)
        return digest

    def image(self, repository, name, tag="", *, days=2, **more):
        layer = self.blob(f"layer of {name}".encode())
        document = {"config": {"digest": self.blob(f"config of {name}".encode())}}
        document |= {"layers": [{"digest": layer}]} | more
        return self.manifest(repository, document, tag, days=days)

    def index(self, repository, members, tag="", **more):
        document = {"manifests": [{"digest": each} for each in members]} | more
        return self.manifest(repository, document, tag)

    def layers(self, repository, *digests):
        """What an upload leaves in a repository."""
        for digest in digests:
            name = digest.partition(":")[2]
            link = self.root / "repositories" / repository / "_layers/sha256" / name / "link"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.write_text(digest)

    def path(self, digest):
        """The file of a blob."""
        name = digest.partition(":")[2]
        return self.root / "blobs/sha256" / name[:2] / name / "data"
