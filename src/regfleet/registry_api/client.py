"""A client of the distribution HTTP API v2 (OCI distribution specification)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import final

from urllib3.connection import HTTPConnection

from regfleet.registry_api import answers, bounds
from regfleet.registry_api.answers import Answer, Manifest
from regfleet.registry_api.bounds import Allowance, Bounds
from regfleet.registry_api.errors import (
    BrokenConnectionError,
    RegistryError,
    cut,
    only_registry_errors,
)
from regfleet.registry_api.target import Credentials, Target
from regfleet.registry_api.tunnel import Stream

PAGE = 1000  # distribution: http.catalog.maxentries
_PART = 65536  # bytes of a body that are read at a time


@final
class RegistryClient:
    """One connection to a registry, opened at the first request and kept; not thread-safe.

    Args:
        target: the registry and the way to it.
        credentials: the user to log in as; None for no login.
        whole: the bounds of all requests of this client together, from now on.
    """

    def __init__(
        self,
        target: Target,
        credentials: Credentials | None = None,
        whole: Bounds = bounds.CONVERSATION,
    ) -> None:
        self._target = target
        self._credentials = credentials
        self._connection = _Connection(target)
        self._whole = Allowance(whole, f"{target.endpoint}: all requests")

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def ping(self) -> None:
        """Check that the target is a registry and accepts the credentials.

        Raises:
            RegistryError: `unauthorized`, `not-a-registry`, or as `request`.
        """
        answer = self.request("GET", "/v2/")
        if answer.status == 404:  # noqa: PLR2004
            raise RegistryError(
                "not-a-registry",
                f"{self._target.endpoint} is a web server without a registry: /v2/ is not found",
                "is another service on that port, or a proxy that does not forward /v2/?",
            )
        self.require_success(answer, "GET /v2/")
        if "docker-distribution-api-version" not in answer.headers:  # newer registries omit it
            answers.document(answer, self._target.endpoint)

    def catalog(self) -> tuple[str, ...]:
        """The name of every repository.

        Raises:
            RegistryError: as `request`; `unauthorized`, `unsupported` or `not-found` when the
                registry refuses its catalog; `protocol` for a list that exceeds its bounds or
                has a name that is not valid.
        """
        path = "/v2/_catalog"
        return self._read_pages(f"{path}?n={PAGE}", path, "repositories", answers.is_repository)

    def tags(self, repository: str) -> tuple[str, ...]:
        """A repository's tags; none when it does not exist.

        Raises:
            RegistryError: as `request`; `protocol` as `catalog`.
        """
        path = f"/v2/{_checked_repository(repository)}/tags/list"
        try:
            return self._read_pages(path, path, "tags", answers.is_tag)
        except RegistryError as error:
            if error.kind == "not-found":
                return ()
            raise

    def manifest(self, repository: str, reference: str) -> Manifest:
        """The manifest, or index, behind a tag or digest.

        Raises:
            RegistryError: `not-found`; `protocol` for a wrong digest; as `request`.
        """
        path = _manifest_path(repository, reference)
        answer = self.request("GET", path, {"Accept": ", ".join(answers.MANIFEST_TYPES)})
        self.require_success(answer, f"GET {path}")
        return answers.manifest(answer, self._target.endpoint, reference)

    def blob(self, repository: str, digest: str) -> bytes:
        """A blob's content: for configurations, as a layer may exceed an answer's bounds.

        Raises:
            RegistryError: `not-found`; `protocol` for content that does not match the digest and
                for a redirect, which is not followed; as `request`.
        """
        if not answers.is_digest(digest):
            raise RegistryError("protocol", f"{digest!r} is not a digest")
        path = f"/v2/{_checked_repository(repository)}/blobs/{digest}"
        answer = self.request("GET", path)
        self.require_success(answer, f"GET {path}")
        answers.require_digest(answer.body, digest, self._target.endpoint)
        return answer.body

    def digest(self, repository: str, reference: str) -> str | None:
        """The digest behind a tag or digest; None when there is none.

        Raises:
            RegistryError: as `request`; `protocol` for an answer without a valid digest.
        """
        path = _manifest_path(repository, reference)
        answer = self.request("HEAD", path, {"Accept": ", ".join(answers.MANIFEST_TYPES)})
        if answer.status == 404:  # noqa: PLR2004
            return None
        self.require_success(answer, f"HEAD {path}")
        found = answer.headers.get("docker-content-digest", "")
        if not answers.is_digest(found):
            raise RegistryError("protocol", f"{self._target.endpoint}: HEAD {path}: no digest")
        return found

    def raw_manifest(self, repository: str, reference: str) -> tuple[bytes, str] | None:
        """The bytes and the media type behind a tag or digest; None when there is none.

        Raises:
            RegistryError: as `request`.
        """
        path = _manifest_path(repository, reference)
        answer = self.request("GET", path, {"Accept": ", ".join(answers.MANIFEST_TYPES)})
        if answer.status == 404:  # noqa: PLR2004
            return None
        self.require_success(answer, f"GET {path}")
        return answer.body, answer.headers.get("content-type", "")

    def put_manifest(self, repository: str, tag: str, content: bytes, media_type: str) -> None:
        """Store a manifest under a tag, which moves there if it exists.

        Raises:
            RegistryError: `read-only`, `unsupported`; as `request`.
        """
        path = _manifest_path(repository, tag)
        answer = self.request("PUT", path, {"Content-Type": media_type}, content)
        self.require_success(answer, f"PUT {path}")

    def untag(self, repository: str, tag: str) -> bool | None:
        """Delete one tag, where the registry can: distribution 3, but not 2.

        Returns:
            Whether the tag existed; None if this registry deletes by digest only.

        Raises:
            RegistryError: `unsupported` when deletion is off, `read-only`; as `request`.
        """
        path = _manifest_path(repository, tag)
        answer = self.request("DELETE", path)
        if answer.status == 404:  # noqa: PLR2004
            return False
        if answer.status == 400:  # noqa: PLR2004 - distribution 2: DIGEST_INVALID
            return None
        self.require_success(answer, f"DELETE {path}")
        return True

    def delete(self, repository: str, digest: str) -> bool:
        """Delete a manifest, and with it every tag that points to it.

        Args:
            repository: the manifest's repository.
            digest: the manifest's digest; a registry refuses tags here (distribution, spec/api).

        Returns:
            Whether the manifest existed.

        Raises:
            RegistryError: `unsupported` when deletion is off (405); as `request`.
        """
        if not answers.is_digest(digest):
            raise RegistryError(
                "protocol", f"{digest!r} is not a digest; delete takes digests only"
            )
        path = f"/v2/{_checked_repository(repository)}/manifests/{digest}"
        answer = self.request("DELETE", path)
        if answer.status == 404:  # noqa: PLR2004
            return False
        self.require_success(answer, f"DELETE {path}")
        return True

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send one request. Redirects are not followed.

        Raises:
            RegistryError: no answer, an answer that exceeds its bounds, or one that is not HTTP.
        """
        return self._request_with_retry(method, path, headers or {}, self._whole, body)

    def _request_with_retry(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        within: Allowance,
        body: bytes | None = None,
    ) -> Answer:
        what = f"{self._target.endpoint}: {method} {cut(path)}"
        allowance = Allowance(bounds.REQUEST, what, within)
        used_before = self._connection.sock is not None
        with only_registry_errors(self._target.endpoint):
            try:
                return self._request_once(method, path, headers, allowance, body)
            except BrokenConnectionError:
                # A server may close a kept connection at any time (RFC 9112, 9.3.1 and 9.3.2).
                if not used_before or method == "DELETE":
                    raise
                return self._request_once(method, path, headers, allowance, body)

    def _request_once(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        allowance: Allowance,
        body: bytes | None,
    ) -> Answer:
        """Send a request once; the body is not decompressed, so that it cannot grow."""
        connection = self._connection
        every = {
            "Host": self._target.endpoint,
            "User-Agent": "regfleet",
            "Accept-Encoding": "identity",
            **headers,
        }
        if self._credentials is not None:
            every["Authorization"] = self._credentials.header()
        finished = False
        try:
            with only_registry_errors(self._target.endpoint):
                connection.allow(allowance)
                connection.request(
                    method, path, body, every, preload_content=False, decode_content=False
                )
                response = connection.getresponse()
                # Read to the end: only there urllib3 reports a body that is too short. The
                # allowance bounds it.
                content = b"".join(iter(lambda: response.read(_PART), b""))
            finished = True
        finally:
            if not finished:
                connection.close()
        lower = {name.lower(): value for name, value in response.headers.items()}
        if lower.get("content-encoding", "identity").lower() != "identity":
            raise RegistryError(
                "protocol",
                f"{self._target.endpoint}: {cut(path)}: the answer is compressed, although the "
                "request forbids it",
                "does a proxy in between compress answers?",
            )
        return Answer(response.status, lower, content)

    def _read_pages(
        self, path: str, fallback: str, key: str, is_one: Callable[[str], bool]
    ) -> tuple[str, ...]:
        """All names of a paged list; a `Link` is followed on this endpoint alone."""
        what = f"{self._target.endpoint}: the list {fallback}"
        allowance = Allowance(bounds.LIST, what, self._whole)
        names: list[str] = []
        seen = {path}
        answer = self._request_with_retry("GET", path, {}, allowance)
        if answer.status == 400:  # noqa: PLR2004 - the registry allows fewer names in a page
            answer = self._request_with_retry("GET", fallback, {}, allowance)
        page = path
        while True:
            self.require_success(answer, f"GET {cut(page)}")
            more = answers.strings_of(answers.document(answer, self._target.endpoint).get(key))
            impossible = next((name for name in more if not is_one(name)), None)
            if impossible is not None:
                raise RegistryError(
                    "protocol", f"{what} has {cut(impossible)!r}, which is not valid"
                )
            names += more
            if len(names) > bounds.MOST_NAMES:
                raise bounds.endless(what, f"more than {bounds.MOST_NAMES} names")
            try:
                following = answers.next_page(answer.headers.get("link"), page)
            except ValueError as error:
                raise RegistryError(
                    "protocol", f"{what}: its next page has no address: {cut(error)}"
                ) from error
            if following is None:
                return tuple(names)
            if following in seen:
                raise RegistryError(
                    "protocol",
                    f"{self._target.endpoint}: {cut(page)} names a page before it as the next page",
                )
            if len(seen) >= bounds.MOST_PAGES:
                raise bounds.endless(what, f"more than {bounds.MOST_PAGES} pages")
            page = following
            seen.add(page)
            answer = self._request_with_retry("GET", page, {}, allowance)

    def require_success(self, answer: Answer, asked: str) -> None:
        """Refuse an answer that is no success.

        Args:
            asked: method and path.

        Raises:
            RegistryError: what it says.
        """
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            user = self._credentials.user if self._credentials else None
            raise answers.refusal(answer, self._target.endpoint, asked, user)


class _Connection(HTTPConnection):
    """urllib3's connection over the target's streams; TLS is made by `Tls`."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, timeout=target.timeout)
        self._target = target
        self._allowance: Allowance | None = None
        self._stream: Stream | None = None

    def allow(self, allowance: Allowance) -> None:
        """Set the allowance of the next request and of the connection that it may open."""
        self._allowance = allowance
        if self._stream is not None:
            self._stream.allow(allowance)

    def connect(self) -> None:
        self._stream = self._target.connect(self._allowance)
        self.sock = self._stream
        if self._target.tls:
            self.sock = self._target.wrap(self._stream)
            self.is_verified = True


def _manifest_path(repository: str, reference: str) -> str:
    if not answers.is_reference(reference):
        raise RegistryError("protocol", f"{cut(reference)!r} is neither a tag nor a digest")
    return f"/v2/{_checked_repository(repository)}/manifests/{reference}"


def _checked_repository(name: str) -> str:
    if not answers.is_repository(name):
        raise RegistryError("protocol", f"{cut(name)!r} cannot be a repository's name")
    return name
