"""A client of the distribution HTTP API v2 (OCI distribution specification)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.client import HTTPException
from types import TracebackType
from typing import final

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from regfleet.registry_api import answers
from regfleet.registry_api.answers import Answer, Manifest
from regfleet.registry_api.errors import BrokenConnectionError, RegistryError, explain
from regfleet.registry_api.target import Credentials, Target

PAGE = 1000  # distribution: http.catalog.maxentries
MAX_BODY = 16 * 1024 * 1024  # distribution takes manifests of up to 4 MiB


@final
class RegistryClient:
    """One connection to a registry, opened at the first request and kept; not for two threads.

    Args:
        target: which registry, and which way.
        credentials: as whom; None for nobody.
    """

    def __init__(self, target: Target, credentials: Credentials | None = None) -> None:
        self._target = target
        self._credentials = credentials
        self._connection = _Connection(target)

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
        """Ask whether this is a registry, and whether it lets us in.

        Raises:
            RegistryError: `unauthorized`, `not-a-registry`, or as `request`.
        """
        answer = self.request("GET", "/v2/")
        if answer.status == 404:  # noqa: PLR2004
            raise RegistryError(
                "not-a-registry",
                f"{self._target.endpoint} is a web server without a registry: /v2/ is not found",
                "is another service on that port, or a proxy that does not pass /v2/ on?",
            )
        self._require(answer, "GET /v2/")
        if "docker-distribution-api-version" not in answer.headers:  # newer ones leave it out
            answers.document(answer, self._target.endpoint)

    def catalog(self) -> Iterator[str]:
        """Every repository's name, page by page.

        Raises:
            RegistryError: as `request`; `unauthorized`, `unsupported` or `not-found` where the
                registry has no catalog for us.
        """
        yield from self._pages(f"/v2/_catalog?n={PAGE}", "/v2/_catalog", "repositories")

    def tags(self, repository: str) -> tuple[str, ...]:
        """A repository's tags; none where it does not exist.

        Raises:
            RegistryError: as `request`.
        """
        path = f"/v2/{_repository(repository)}/tags/list"
        try:
            return tuple(self._pages(path, path, "tags"))
        except RegistryError as error:
            if error.kind == "not-found":
                return ()
            raise

    def manifest(self, repository: str, reference: str) -> Manifest:
        """The manifest, or index, behind a tag or digest.

        Raises:
            RegistryError: `not-found`; `protocol` for a wrong digest; as `request`.
        """
        if not answers.is_reference(reference):
            raise RegistryError("protocol", f"{reference!r} is neither a tag nor a digest")
        path = f"/v2/{_repository(repository)}/manifests/{reference}"
        answer = self.request("GET", path, {"Accept": ", ".join(answers.MANIFEST_TYPES)})
        self._require(answer, f"GET {path}")
        return answers.manifest(answer, self._target.endpoint, reference)

    def blob(self, repository: str, digest: str) -> bytes:
        """A blob's content: for configurations; layers may be larger than `MAX_BODY`.

        Raises:
            RegistryError: `not-found`; `protocol` for another content than the digest's, and
                where the registry sends elsewhere for it (redirects are not followed); as
                `request`.
        """
        if not answers.is_digest(digest):
            raise RegistryError("protocol", f"{digest!r} is no digest")
        path = f"/v2/{_repository(repository)}/blobs/{digest}"
        answer = self.request("GET", path)
        self._require(answer, f"GET {path}")
        answers.require_digest(answer.body, digest, self._target.endpoint)
        return answer.body

    def delete(self, repository: str, digest: str) -> bool:
        """Delete a manifest, and with it every tag that points to it.

        Args:
            repository: its repository.
            digest: its digest; a registry refuses tags here (distribution, spec/api).

        Returns:
            Whether it was there.

        Raises:
            RegistryError: `unsupported` where the registry has deletion off (405); as `request`.
        """
        if not answers.is_digest(digest):
            raise RegistryError("protocol", f"{digest!r} is no digest; only those can be deleted")
        path = f"/v2/{_repository(repository)}/manifests/{digest}"
        answer = self.request("DELETE", path)
        if answer.status == 404:  # noqa: PLR2004
            return False
        self._require(answer, f"DELETE {path}")
        return True

    def request(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One request. Redirects are not followed.

        Raises:
            RegistryError: no answer came, or an endless one.
        """
        used_before = self._connection.sock is not None
        try:
            return self._request(method, path, headers or {})
        except BrokenConnectionError:
            # The registry may close a kept connection at any time (RFC 9112, 9.3.1 and 9.3.2).
            if not used_before or method == "DELETE":
                raise
            return self._request(method, path, headers or {})

    def _request(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        connection = self._connection
        every = {"Host": self._target.endpoint, "User-Agent": "regfleet", **headers}
        if self._credentials is not None:
            every["Authorization"] = self._credentials.header()
        finished = False
        try:
            connection.request(method, path, headers=every, preload_content=False)
            response = connection.getresponse()
            body = response.read(MAX_BODY + 1)
            finished = len(body) <= MAX_BODY
        except (OSError, EOFError, HTTPException, HTTPError) as error:
            raise explain(_cause(error), self._target.endpoint) from error
        finally:
            if not finished:
                connection.close()
        if not finished:
            raise RegistryError("protocol", f"{self._target.endpoint}: {path}: an endless answer")
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, lower, body)

    def _pages(self, path: str, fallback: str, key: str) -> Iterator[str]:
        seen = {path}
        answer = self.request("GET", path)
        if answer.status == 400:  # noqa: PLR2004 - more a page than this registry allows
            answer = self.request("GET", fallback)
        page: str | None = path
        while page is not None:
            self._require(answer, f"GET {page}")
            yield from answers.strings(answers.document(answer, self._target.endpoint).get(key))
            page = answers.next_page(answer.headers.get("link"), page)
            if page is None:
                return
            if page in seen:
                raise RegistryError(
                    "protocol", f"{self._target.endpoint}: {page} leads to itself as the next page"
                )
            seen.add(page)
            answer = self.request("GET", page)

    def _require(self, answer: Answer, asked: str) -> None:
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            user = self._credentials.user if self._credentials else None
            raise answers.refusal(answer, self._target.endpoint, asked, user)


class _Connection(HTTPConnection):
    """urllib3's connection over the target's streams, with TLS by `SSLTransport` in either case."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, timeout=target.timeout)
        self._target = target

    def connect(self) -> None:
        if not self._target.tls:
            self.sock = self._target.connect()
            return
        self.sock = self._target.connect_tls()
        self.is_verified = True


def _repository(name: str) -> str:
    if not answers.is_repository(name):
        raise RegistryError("protocol", f"{name!r} cannot be a repository's name")
    return name


def _cause(error: Exception) -> Exception:
    """The socket's or TLS's own error, where urllib3 has wrapped it."""
    cause = error.__cause__
    return cause if isinstance(error, HTTPError) and isinstance(cause, OSError) else error
