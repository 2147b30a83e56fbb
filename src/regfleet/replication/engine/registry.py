"""The API of a registry (OCI Distribution Specification 1.1), with bounds on what it answers."""

import hashlib
import re
from typing import Any, Callable, Iterator, Optional, Tuple
from urllib.parse import urljoin, urlsplit

from regfleet.replication.engine.client import TRIES, Client, said
from regfleet.replication.engine.manifests import (
    ACCEPT,
    DIGEST,
    INDEX,
    REPOSITORY,
    TAG,
    digest_of,
    empty_index,
    parse_object,
)
from regfleet.replication.engine.problems import Away, Gone, Problem, clean
from regfleet.replication.engine.transport import Connection

MOST_PAGE = 16 * 1024 * 1024  # bytes of one page of a list
MOST_MANIFEST = 4 * 1024 * 1024  # bytes; what distribution and Docker Hub accept at most
MOST_PAGES = 20_000
MOST_TAGS = 2_000_000  # of one run
READ_ONLY = " (it takes no pushes: a collection at work, a cache, or set to read-only?)"


def pull(repository: str) -> str:
    """The scope for reading."""
    return f"repository:{repository}:pull"


def push(repository: str) -> str:
    """The scope for writing."""
    return f"repository:{repository}:pull,push"


def delete(repository: str) -> str:
    """The scope for deleting."""
    return f"repository:{repository}:pull,push,delete"


def blob_path(repository: str, digest: str) -> str:
    """The path of a blob."""
    return f"/v2/{repository}/blobs/{digest}"


class Registry(Client):
    """A registry's HTTP API; its arguments are those of `Client`."""

    def ping(self) -> None:
        """Learn whether it answers and how it wants the login.

        Raises:
            Away: it does not answer as a registry.
        """
        answer = self.ask("GET", "/v2/", "")
        if answer.status != 200:
            raise Away(f"{self.name}: GET /v2/: {answer.status} {said(answer.body)}")

    def _pages(self, path: str, key: str, scope: str, form: Any) -> Iterator[str]:
        seen = 0
        for _ in range(MOST_PAGES):
            answer = self.ask("GET", path, scope, most=MOST_PAGE)
            if answer.status == 404:
                return
            if answer.status == 400 and path.endswith("?n=1000"):
                path = path[: -len("?n=1000")]  # 2.8 with a lower catalog.maxentries
                continue
            if answer.status != 200:
                raise Problem(
                    f"{self.name}: GET {clean(path, 120)}: {answer.status} {said(answer.body)}"
                )
            values = parse_object(answer.body, f"{self.name}: {clean(path, 120)}").get(key)
            for value in values if isinstance(values, list) else []:
                if not isinstance(value, str) or len(value) > 255 or not form.fullmatch(value):
                    raise Problem(f"{self.name}: {path}: no name: {clean(repr(value), 80)}")
                seen += 1
                if seen > MOST_TAGS:
                    raise Problem(f"{self.name}: {path}: more than {MOST_TAGS} names")
                yield value
            link = re.match(
                r'\s*<([^>]{1,4000})>\s*;\s*rel="?next"?', answer.headers.get("Link") or ""
            )
            if not link:
                return
            there = urlsplit(urljoin(f"//{self.netloc}{path}", link.group(1)))
            following = there.path + "?" + there.query
            if there.netloc != self.netloc or not there.path.startswith("/v2/"):
                raise Problem(
                    f"{self.name}: the next page is elsewhere: {clean(link.group(1), 120)}"
                )
            if following == path:
                raise Problem(f"{self.name}: {clean(path, 120)} is its own next page")
            path = following
        raise Problem(f"{self.name}: more than {MOST_PAGES} pages")

    def catalog(self) -> Iterator[str]:
        """The names of all repositories."""
        return self._pages("/v2/_catalog?n=1000", "repositories", "registry:catalog:*", REPOSITORY)

    def tags(self, repository: str) -> Iterator[str]:
        """The tags of a repository; none where there is no such repository."""
        path = f"/v2/{repository}/tags/list?n=1000"
        return self._pages(path, "tags", pull(repository), TAG)

    def digest(self, repository: str, reference: str) -> Optional[str]:
        """The digest of a tag or manifest; None where it is not there."""
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self.ask("HEAD", path, pull(repository), headers={"Accept": ACCEPT})
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise Problem(f"{self.name}: HEAD {repository}:{reference}: {answer.status}")
        told = answer.headers.get("Docker-Content-Digest")
        if not told:  # optional in the specification
            return "sha256:" + hashlib.sha256(self.manifest(repository, reference)[0]).hexdigest()
        if not DIGEST.fullmatch(told):
            raise Problem(f"{self.name}: {repository}:{reference}: no digest")
        return str(told)

    def manifest(self, repository: str, reference: str) -> Tuple[bytes, str]:
        """A manifest's bytes, checked against their digest, and their type."""
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self.ask("GET", path, pull(repository), None, {"Accept": ACCEPT}, MOST_MANIFEST)
        what = f"{self.name}: {repository}@{reference}"
        if answer.status == 404:
            raise Gone(what + ": not there")
        if answer.status != 200:
            raise Problem(f"{what}: {answer.status} {said(answer.body)}")
        if DIGEST.fullmatch(reference) and digest_of(answer.body, reference) != reference:
            raise Problem(what + ": damaged: the content has another digest")
        return answer.body, (answer.headers.get("Content-Type") or "").split(";")[0].strip()

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob."""
        return self.ask("HEAD", blob_path(repository, digest), pull(repository)).status == 200

    def open_blob(self, repository: str, digest: str, start: int) -> Tuple[Connection, Any, int]:
        """Begin to read a blob.

        Returns:
            The connection, the answer, and how many bytes to skip (where `Range` is not known).
        """
        headers = {"Range": f"bytes={start}-"} if start else {}
        what = f"{self.name}: {repository}@{digest}"
        connection, answer = self._send(
            "GET",
            blob_path(repository, digest),
            dict(headers, **self._login(pull(repository))),
            None,
        )
        here = "{}://{}".format("https" if self.tls else "http", self.netloc)
        for _ in range(5):  # storage behind the registry, such as S3
            if answer.status not in (301, 302, 303, 307, 308):
                break
            self._drop(connection)
            here = urljoin(here, answer.headers.get("Location") or "")
            parts = urlsplit(here)
            if parts.scheme != "https" and (self.tls or parts.scheme != "http"):
                raise Problem(f"{what}: leads away from TLS: {clean(parts.netloc)}")
            connection = self._elsewhere(parts)
            path = parts.path + ("?" + parts.query if parts.query else "")
            connection.request("GET", path, None, headers)
            answer = connection.getresponse()
        if answer.status in (200, 206):
            return connection, answer, start if answer.status == 200 else 0
        self._drop(connection)
        if answer.status == 404:
            raise Gone(what + ": not there")
        if answer.status in (401, 429, 500, 502, 503, 504):  # 401: a token that has just ended
            with self._lock:
                self._tokens.pop(pull(repository), None)
            raise OSError(f"status {answer.status}")
        raise Problem(f"{what}: {answer.status}")

    def finish_blob(self, connection: Connection, answer: Any) -> None:
        """After the last byte: keep the connection if it is the registry's own and at its end."""
        own = connection.host == urlsplit("//" + self.netloc).hostname and answer.isclosed()
        if own and not answer.will_close:
            self._keep(connection)
        else:
            self._drop(connection)

    def drop(self, connection: Connection) -> None:
        """Close a connection of `open_blob`."""
        self._drop(connection)

    def upload_place(self, location: Optional[str]) -> str:
        """The path of an upload; only of this registry."""
        if not location:
            raise Problem(f"{self.name}: no place to upload to")
        there = urlsplit(urljoin(f"//{self.netloc}/", location))
        if there.hostname != urlsplit("//" + self.netloc).hostname:
            raise Problem(f"{self.name}: uploads would go to {clean(there.netloc, 80)}")
        return there.path + "?" + (there.query + "&" if there.query else "")

    def put_manifest(self, repository: str, reference: str, raw: bytes, kind: str) -> None:
        """Store a manifest under a tag or its digest."""
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self.ask("PUT", path, push(repository), raw, {"Content-Type": kind})
        if answer.status == 201:
            return
        # The digest was checked: 2.x says so where it reads a link that is just being written.
        torn = answer.status == 400 and b"DIGEST_INVALID" in answer.body
        what = f"{self.name}: PUT {repository}:{reference}: {answer.status} {said(answer.body)}"
        if answer.status == 405:
            what += READ_ONLY
        raise (Away if torn or answer.status == 405 else Problem)(what)

    def delete_tag(self, repository: str, tag: str, note: Callable[[str], None]) -> None:
        """Delete one tag and no other tag of the same digest.

        Distribution 3 deletes a tag by its name. 2.x refuses that, and deletes by digest, with
        all the tags of it: so an empty index with a nonce is put over the tag, and then deleted
        by its digest. regfleet's own client has the same rule for `regfleet delete`.

        Args:
            note: called with the index's digest before it is put, so that a run which was killed
                between the two can be finished.

        Raises:
            Problem: the registry refuses.
        """
        path = f"/v2/{repository}/manifests/"
        answer = self.ask("DELETE", path + tag, delete(repository))
        if answer.status in (202, 404):
            return
        if answer.status == 405 and b"UNSUPPORTED" in answer.body:
            raise Problem(f"{self.name}: deletion is off (storage.delete.enabled)")
        # One after another, and from the beginning after a failure: where 2.x reads another tag's
        # link that is just being written, it answers 500, has deleted the manifest, and not the
        # tag, which a second DELETE of that digest no longer finds.
        empty = failed = ""
        with self._deleting:
            for tried in range(TRIES):
                if tried and self.digest(repository, tag) not in (None, empty):
                    raise Problem(f"{repository}:{tag}: it moved meanwhile: the next run's")
                raw = empty_index()
                empty = digest_of(raw, "sha256")
                note(empty)
                self.put_manifest(repository, tag, raw, INDEX)
                try:
                    if self.delete_manifest(repository, empty):
                        return
                    failed = "the tag moved meanwhile"
                except Away as error:
                    failed = str(error)
                self._clock.pause(0.5 * 2**tried)
        raise Problem(f"{self.name}: {repository}:{tag}: not deleted: {failed}")

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Delete a manifest, and with it every tag of it; whether it was there. Not repeated."""
        path = f"/v2/{repository}/manifests/{digest}"
        answer = self.ask("DELETE", path, delete(repository), tries=1)
        if answer.status not in (202, 404):
            raise Problem(
                f"{self.name}: DELETE {repository}@{digest}: {answer.status} {said(answer.body)}"
            )
        return answer.status == 202
