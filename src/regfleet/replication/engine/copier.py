"""Copies one image: children before parents, blobs that the target has by mount."""

import contextlib
import http.client
import threading
from typing import Any, Dict, Iterator, List, Set
from urllib.parse import quote

from regfleet.replication.engine.client import CHUNK, TRIES, said
from regfleet.replication.engine.manifests import (
    MOST_CHILDREN,
    descriptors,
    parse_object,
    refuse_what_goes,
)
from regfleet.replication.engine.problems import Away, Problem, Stopped, clean
from regfleet.replication.engine.registry import READ_ONLY, Registry, pull, push
from regfleet.replication.engine.transport import Clock

MOST_DEPTH = 8  # of indexes inside indexes
MOST_KNOWN = 200_000  # blobs that are remembered for mounts
CUTS = 50  # of one download


class Download:
    """A blob of the source, as an iterable of bytes; goes on by `Range` where it was cut.

    Attributes:
        cuts: how often it was cut.
    """

    def __init__(
        self, source: Registry, repository: str, digest: str, size: int, clock: Clock
    ) -> None:
        self.cuts = 0
        self._source, self._repository, self._digest = source, repository, digest
        self._size, self._clock = size, clock

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        while at < self._size:
            connection = None
            try:
                connection, answer, skip = self._source.open_blob(
                    self._repository, self._digest, at
                )
                while at < self._size:
                    self._clock.check()
                    if connection.sock:
                        connection.sock.settimeout(self._clock.wait())
                    piece = answer.read(min(CHUNK, skip or self._size - at))
                    if not piece:
                        raise OSError("the answer ended early")
                    self._source.received += len(piece)
                    if skip:
                        skip -= len(piece)
                        continue
                    at += len(piece)
                    if at == self._size and answer.read(1):
                        raise Problem(f"{self._digest}: longer than its manifest says")
                    yield piece
                self._source.finish_blob(connection, answer)
                connection = None
            except (OSError, http.client.HTTPException) as error:
                self._clock.check()
                self.cuts += 1
                self._source.retries += 1
                if self.cuts > CUTS:
                    told = f"cut {self.cuts} times: {clean(str(error), 100)}"
                    raise Away(f"{self._source.name}: {self._digest}: {told}") from error
                self._clock.pause(min(10.0, 0.2 * self.cuts))
            finally:
                if connection:
                    self._source.drop(connection)


class Copier:
    """Copies images, with what they consist of, from one repository to another."""

    def __init__(
        self, source: Registry, target: Registry, clock: Clock, count: Dict[str, int]
    ) -> None:
        self._source, self._target, self._clock, self._count = source, target, clock, count
        self._known: Dict[str, str] = {}
        self._busy: Dict[Any, threading.Event] = {}
        self._lock = threading.Lock()
        self._one_registry = source.netloc == target.netloc

    def _add(self, **counts: int) -> None:
        with self._lock:
            for name, value in counts.items():
                self._count[name] += value

    def children(self, repository: str, digest: str) -> Set[str]:
        """The digests of all manifests below one of the source, itself included."""
        found = {digest}
        raw, _ = self._source.manifest(repository, digest)
        for child in descriptors(parse_object(raw, digest), "manifests"):
            if child["digest"] not in found:
                found |= self.children(repository, child["digest"])
                if len(found) > MOST_CHILDREN:
                    raise Problem(f"{digest}: more than {MOST_CHILDREN} manifests")
        return found

    def image(self, repository: str, to: str, digest: str, reference: str) -> None:
        """Copy a manifest with all that it refers to.

        Args:
            repository: the source's.
            to: the target's.
            digest: the manifest's, which the content is checked against.
            reference: the tag or digest to store it under.
        """
        with self._alone((to, digest)):
            self._tree(repository, to, digest, reference, 0, [0])

    def _tree(
        self, repository: str, to: str, digest: str, reference: str, depth: int, seen: List[int]
    ) -> None:
        self._clock.check()
        seen[0] += 1
        if depth > MOST_DEPTH or seen[0] > MOST_CHILDREN:
            raise Problem(f"{repository}@{digest}: too many manifests in one another")
        raw, kind = self._source.manifest(repository, digest)
        parsed = parse_object(raw, f"{repository}@{digest}")
        refuse_what_goes(f"{self._source.name}: {repository}:{reference}", parsed)
        if parsed.get("schemaVersion") != 2:
            raise Problem(
                f"{repository}@{digest}: schema 1, which registry 3 refuses: pull it and push it"
                " again with a client of today"
            )
        for child in descriptors(parsed, "manifests"):
            with self._alone((to, child["digest"])):
                if self._target.digest(to, child["digest"]) is None:
                    self._tree(repository, to, child["digest"], child["digest"], depth + 1, seen)
        done: Set[str] = set()
        config = {"config": [parsed["config"]]} if parsed.get("config") else {}
        for blob in (
            descriptors(config, "config")
            + descriptors(parsed, "layers")
            + descriptors(parsed, "blobs")
        ):
            if blob["digest"] not in done:
                done.add(blob["digest"])
                self._blob_once(repository, to, blob)
        try:
            self._target.put_manifest(to, reference, raw, str(parsed.get("mediaType") or kind))
        except Problem as error:
            if not any(blob.get("urls") for blob in descriptors(parsed, "layers")):
                raise
            raise Problem(  # 2.8 answers 500 without a reason
                f"{error}: it has layers that are elsewhere: allow their addresses in the target's"
                " configuration, validation.manifests.urls.allow"
            ) from error
        self._add(manifests=1)

    @contextlib.contextmanager
    def _alone(self, what: Any) -> Iterator[None]:
        """Only one thread at a time copies this; the others wait, and find it there.

        Nobody waits in a circle: a manifest waits for its children and blobs, which are never
        its parents.
        """
        while True:
            with self._lock:
                busy = self._busy.get(what)
                if busy is None:
                    mine = self._busy[what] = threading.Event()
                    break
            while not busy.wait(1.0):
                self._clock.check()
        try:
            yield
        finally:
            with self._lock:
                del self._busy[what]
            mine.set()

    def _blob_once(self, repository: str, to: str, blob: Dict[str, Any]) -> None:
        """Copy a blob; of threads that want the same one, the first does, the others mount it."""
        with self._alone(blob["digest"]):
            for tried in range(TRIES):
                try:
                    self._blob(repository, to, blob)
                    return
                except Away:
                    if tried + 1 == TRIES:
                        raise
                    self._clock.pause(0.5 * 2**tried)

    def _blob(self, repository: str, to: str, blob: Dict[str, Any]) -> None:
        digest, size = blob["digest"], blob["size"]
        if self._target.has_blob(to, digest):
            self._remember(digest, to)
            self._add(present=1)
            return
        media = str(blob.get("mediaType"))
        foreign = "foreign" in media or "nondistributable" in media
        if foreign and not self._source.has_blob(repository, digest):
            return  # it is where its urls say, not in a registry
        path = f"/v2/{to}/blobs/uploads/"
        other = self._known.get(digest) or (repository if self._one_registry else None)
        scope = push(to)
        if other and other != to:
            path += "?mount={}&from={}".format(digest, quote(other, safe=""))
            scope += " " + pull(other)
        answer = self._target.ask("POST", path, scope, b"")
        if answer.status == 201:
            self._remember(digest, to)
            self._add(mounted=1)
            return
        if answer.status != 202:
            what = f"{self._target.name}: POST {clean(path, 120)}: {answer.status}"
            what += f" {said(answer.body)}"
            if answer.status == 405:
                raise Away(what + READ_ONLY)
            raise Problem(what)
        place = self._target.upload_place(answer.headers.get("Location"))
        content = Download(self._source, repository, digest, size, self._clock)
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        pieces = iter(content)
        try:
            answer = self._target.ask("PUT", place + "digest=" + digest, push(to), pieces, headers)
        except BaseException:
            pieces.close()  # type: ignore[attr-defined] # a generator has it
            self._cancel(place, to)
            raise
        if answer.status != 201:
            self._cancel(place, to)
            raise Problem(f"{self._target.name}: PUT {digest}: {answer.status} {said(answer.body)}")
        self._remember(digest, to)
        self._add(blobs=1, bytes=size, resumed=content.cuts)

    def _cancel(self, place: str, to: str) -> None:
        """Forget an upload; what is left of it otherwise goes by the registry's own cleaning."""
        try:
            self._clock.check()
            self._target.ask("DELETE", place.rstrip("?&"), push(to))
        except (Problem, Stopped):
            pass

    def _remember(self, digest: str, to: str) -> None:
        with self._lock:
            if len(self._known) < MOST_KNOWN:
                self._known.setdefault(digest, to)
