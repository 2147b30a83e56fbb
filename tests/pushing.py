"""Pushes images to a plain registry as clients do, and pulls them whole: no engine is needed.

Every image's layers are of random bytes, so that sizes on the disk are known.
"""

import hashlib
import json
import os
import time

import urllib3

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
READ_ONLY = 405


def digest_of(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class RefusedError(Exception):
    """An answer that no push or pull should get."""

    def __init__(self, answer, what):
        super().__init__(f"{what}: {answer.status} {answer.data[:200]!r}")
        self.status = answer.status


class Pusher:
    """Pushes to `http://ADDRESS/v2/`.

    Attributes:
        refused: how many pushes were answered 405 and repeated.
    """

    def __init__(self, address):
        self._base = f"http://{address}/v2"
        self._pool = urllib3.PoolManager(maxsize=4, retries=False)
        self.refused = 0

    def request(self, method, path, expected, **more):
        answer = self._pool.request(method, path, timeout=20, **more)
        if answer.status not in expected:
            raise RefusedError(answer, f"{method} {path}")
        return answer

    def blob(self, repository, content):
        """Upload a blob if it is not there, as every client does; gives its descriptor's part."""
        digest = digest_of(content)
        url = f"{self._base}/{repository}/blobs/{digest}"
        if self.request("HEAD", url, (200, 404)).status == 404:
            begun = self.request("POST", f"{self._base}/{repository}/blobs/uploads/", (202,))
            where = begun.headers["location"]
            where += f"{'&' if '?' in where else '?'}digest={digest}"
            self.request("PUT", where, (201,), body=content)
        return {"digest": digest, "size": len(content)}

    def manifest(self, repository, reference, document):
        content = json.dumps(document).encode()
        url = f"{self._base}/{repository}/manifests/{reference or digest_of(content)}"
        headers = {"content-type": document["mediaType"]}
        self.request("PUT", url, (201,), body=content, headers=headers)
        return {
            "mediaType": document["mediaType"],
            "digest": digest_of(content),
            "size": len(content),
        }

    def image(self, repository, tag="", *, layers=(), size=1000, **more):
        """Push an image; without a tag by its digest, as a part of an index.

        Args:
            layers: their contents; one of random bytes by default.
            more: further members of the manifest, such as `subject`.
        """
        layers = [*layers] or [os.urandom(size)]
        config = {"mediaType": CONFIG, **self.blob(repository, os.urandom(20).hex().encode())}
        parts = [{"mediaType": LAYER, **self.blob(repository, each)} for each in layers]
        document = {"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": parts}
        return self.manifest(repository, tag, document | more)

    def index(self, repository, tag, members):
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": members}
        return self.manifest(repository, tag, document)

    def pushed_at_last(self, push, seconds=60):
        """Repeat a push while it is answered 405 or the registry restarts, as people do."""
        end = time.monotonic() + seconds
        while (pushed := self._tried(push, again=time.monotonic() < end)) is None:
            time.sleep(0.1)
        return pushed

    def _tried(self, push, *, again):
        try:
            return push()
        except (RefusedError, urllib3.exceptions.HTTPError) as error:
            if not again or getattr(error, "status", READ_ONLY) != READ_ONLY:
                raise
            self.refused += isinstance(error, RefusedError)
            return None

    def tags(self, repository):
        answer = self.request("GET", f"{self._base}/{repository}/tags/list", (200, 404))
        return sorted(json.loads(answer.data).get("tags") or [])

    def pull(self, repository, reference):
        """Pull an image or index whole, comparing every digest; how many blobs it has."""
        accept = {"accept": f"{IMAGE}, {INDEX}"}
        url = f"{self._base}/{repository}/manifests/{reference}"
        answer = self.request("GET", url, (200,), headers=accept)
        stated = reference if ":" in reference else answer.headers["docker-content-digest"]
        assert digest_of(answer.data) == stated, url
        found = json.loads(answer.data)
        count = sum(self.pull(repository, each["digest"]) for each in found.get("manifests", ()))
        for each in (*filter(None, [found.get("config")]), *found.get("layers", ())):
            url = f"{self._base}/{repository}/blobs/{each['digest']}"
            assert digest_of(self.request("GET", url, (200,)).data) == each["digest"], url
            count += 1
        return count
