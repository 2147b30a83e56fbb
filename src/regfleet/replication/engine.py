#!/usr/bin/env python3
"""Copy images from one registry to another: only what differs, byte for byte, again and again.

Managed by regfleet. It needs Python 3.6 or later and its standard library, nothing else.

    python3 engine.py SETTINGS.json [--dry-run]

prints one JSON document. Exit code: 0 done, 1 something failed, 2 the settings are wrong, 75 a
registry is away or another run of the same copy is at work.

How it works, with a class for each part:

* `Registry` speaks the registry's HTTP API (OCI Distribution Specification 1.1) with bounds on
  everything that a registry may answer, and with a login by Basic or by token.
* `Ledger` is the file that holds what was common to both registries. Deletions touch only what it
  says was brought, and only while the target still has that digest.
* `Copier` copies one image: children before parents, blobs that the target has by mount, the
  manifest's own bytes last, so that the target never shows an image that is not whole.
* `Run` compares by HEAD, lets a few threads copy what differs (signatures before what they sign),
  then follows deletions.
"""

import argparse
import base64
import contextlib
import fcntl
import fnmatch
import hashlib
import http.client
import ipaddress
import json
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple
from urllib.parse import quote, urlencode, urljoin, urlsplit

VERSION = 1

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

CHUNK = 256 * 1024
MOST_PAGE = 16 * 1024 * 1024  # bytes of one page of a list
MOST_MANIFEST = 4 * 1024 * 1024  # bytes; what distribution and Docker Hub accept at most
MOST_SMALL = 256 * 1024  # bytes of any other answer
MOST_PAGES = 20_000
MOST_TAGS = 2_000_000  # of one run
MOST_DEPTH = 8  # of indexes inside indexes
MOST_CHILDREN = 10_000  # manifests of one tag
MOST_BLOB = 1 << 42  # bytes
MOST_KNOWN = 200_000  # blobs that are remembered for mounts
MOST_ERRORS = 20  # told; all are counted
MOST_LINES = 1000  # of what a dry run would do
READ_ONLY = " (it takes no pushes: a collection at work, a cache, or set to read-only?)"
LOGIN = "the login is refused, or there is none: "
PROXY_LOGIN = "the HTTP proxy refuses the login, or wants one"
WAIT = 60.0  # seconds for one answer's next bytes
EVERY = 2.0  # seconds between lines of progress
TRIES = 5
CUTS = 50  # of one download


class Problem(Exception):
    """Something that cannot be done; the text is for people."""


class Away(Problem):
    """A registry that cannot be reached, or that fails again and again."""


class Gone(Problem):
    """What was there when the run began is not there now."""


class Going(Problem):
    """A tag whose deletion is under way, or was interrupted: there is no image any more."""


class Stopped(Exception):
    """The run's time is over, or it was told to stop."""


class Answer(NamedTuple):
    """A registry's answer, read to its end."""

    status: int
    headers: Any
    body: bytes


def clean(text: str, most: int = 300) -> str:
    """Text of a registry as one line without control characters."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: most + 1])
    return shown if len(shown) <= most else shown[:most] + "..."


def said(body: bytes) -> str:
    """What a registry says about an error (OCI Distribution Specification, "Error Codes")."""
    try:
        first = json.loads(body.decode("utf-8"))["errors"][0]
        return clean("{} {}".format(first.get("code", ""), first.get("message", "")))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return clean(body[:200].decode("utf-8", "replace"))


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


class Clock:
    """The run's deadline, and its end before that by a signal."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.reason = ""
        self._ended = threading.Event()

    def stop(self, reason: str) -> None:
        """End the run at the next step of each thread."""
        self.reason = self.reason or reason
        self._ended.set()

    def over(self) -> bool:
        """Whether the run is to end."""
        if time.monotonic() >= self.end:
            self.stop("deadline")
        return self._ended.is_set()

    def check(self) -> None:
        """Raise Stopped when the run is to end."""
        if self.over():
            raise Stopped(self.reason)

    def wait(self) -> float:
        """The seconds that one wait may last."""
        return max(0.1, min(WAIT, self.end - time.monotonic()))

    def pause(self, seconds: float) -> None:
        """Wait, at most until the run is to end."""
        self.check()
        self._ended.wait(max(0.0, min(seconds, self.end - time.monotonic())))
        self.check()


class Proxy:
    """The HTTP proxy by which other networks are reached.

    Args:
        settings: `http` and `https` (http://HOST:PORT, by the scheme of what is asked), `no_proxy`
            (names, domains, addresses and networks with commas between, as Go's httpproxy reads
            them), and, where there are, `user` and `password`.
    """

    def __init__(self, settings: Dict[str, Any]) -> None:
        self._ways = {}  # type: Dict[bool, Tuple[str, int]]
        for scheme in ("http", "https"):
            parts = urlsplit(settings.get(scheme) or "")
            if parts.hostname:
                if parts.scheme != "http":
                    raise Problem(f"http_proxy: {parts.netloc} is not http://HOST:PORT")
                self._ways[scheme == "https"] = (parts.hostname, parts.port or 80)
        self._direct = [each for each in (settings.get("no_proxy") or "").split(",") if each]
        self.login = {}  # type: Dict[str, str]
        if settings.get("user"):
            pair = "{}:{}".format(settings["user"], settings["password"])
            told = base64.b64encode(pair.encode("utf-8")).decode("ascii")
            self.login["Proxy-Authorization"] = "Basic " + told

    def way(self, host: str, port: int, tls: bool) -> Optional[Tuple[str, int]]:
        """Host and port of the proxy for a host; None where that is reached directly."""
        host = host.lower().rstrip(".")
        try:
            address = ipaddress.ip_address(host)  # type: Any
        except ValueError:
            address = None
        if host == "localhost" or (address and address.is_loopback):
            return None
        if any(meant(each.lower(), host, port, address) for each in self._direct):
            return None
        return self._ways.get(tls)

    def connect(self, made: Any, host: str, port: int, clock: Clock) -> None:
        """Ask it for a tunnel (RFC 9110, 9.3.6), through which TLS is spoken then."""
        there = "{}:{}".format(f"[{host}]" if ":" in host else host, port)
        lines = [f"CONNECT {there} HTTP/1.1", f"Host: {there}"]
        lines += ["{}: {}".format(*each) for each in self.login.items()]
        made.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        said = b""
        while b"\r\n\r\n" not in said:
            clock.check()
            try:
                piece = made.recv(4096)
            except OSError as error:
                raise OSError(f"the HTTP proxy gives no answer: {error}") from error
            said += piece
            if not piece or len(said) > MOST_SMALL:
                raise OSError("the HTTP proxy gives no answer of HTTP's")
        first = said.split(b"\r\n", 1)[0].decode("latin-1")
        # RFC 9110, 15.5.8; tinyproxy of Debian 12 says 401 where a login is wrong.
        if re.match(r"HTTP/1\.[01] 40[17]\b", first):
            raise Problem(PROXY_LOGIN)
        if not re.match(r"HTTP/1\.[01] 2\d\d\b", first):
            raise OSError(f"the HTTP proxy does not connect to {there}: {clean(first, 80)}")


def meant(entry: str, host: str, port: int, address: Any) -> bool:
    """Whether an entry of `no_proxy` names a host (golang.org/x/net/http/httpproxy, Config)."""
    if entry == "*":
        return True
    name, _, told = entry.rpartition(":")
    if name and told.isdigit() and (":" not in name or name.endswith("]")):
        if int(told) != port:
            return False
        entry = name
    entry = entry.strip("[]")
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    domain = entry[1:] if entry.startswith("*.") else entry
    return host.endswith(domain if domain.startswith(".") else "." + domain) or host == domain


class Connection(http.client.HTTPConnection):
    """One HTTP connection, opened as the registry's settings say.

    Args:
        proxy: the proxy that it leads to, without TLS behind that; None for none.
    """

    def __init__(
        self, netloc: str, tls: bool, dial: Callable[[], Any], proxy: Optional[Proxy] = None
    ) -> None:
        self.default_port = 443 if tls else 80
        super().__init__(netloc)
        self._dial = dial
        self._netloc, self._proxy = netloc, proxy

    def connect(self) -> None:
        """As http.client's; the socket may be one of TLS or a tunnel's."""
        self.sock = self._dial()

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        """As http.client's; a proxy is told the whole URL (RFC 9112, 3.2.2), and the login."""
        if self._proxy is None:
            super().putrequest(method, url, *args, **options)
            return
        super().putrequest(method, f"http://{self._netloc}{url}", *args, **options)
        for name, value in self._proxy.login.items():
            self.putheader(name, value)


def trusting(ca: Optional[str]) -> ssl.SSLContext:
    """TLS 1.2 or later that trusts this CA alone (PEM), or what the machine trusts."""
    context = ssl.create_default_context(cadata=ca)
    if hasattr(context, "minimum_version"):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    else:  # Python 3.6
        context.options |= ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    # An intermediate CA is trusted as it is, as in Go: X509_V_FLAG_PARTIAL_CHAIN, which ssl
    # names from Python 3.10 on.
    context.verify_flags |= getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)
    return context


class Registry:
    """A registry's HTTP API.

    Args:
        settings: `name` for messages, `url` (https://HOST:PORT or http://...), and, where there
            are, `connect` (HOST:PORT to connect to instead of the URL's), `ca` (PEM), `user` and
            `password`.
        clock: the run's.
        dial: opens a connection, TLS included; by default a socket of this machine.
        proxy: the HTTP proxy of other networks; not where `connect` or `dial` is given.
    """

    def __init__(
        self,
        settings: Dict[str, Any],
        clock: Clock,
        dial: Optional[Callable[[], Any]] = None,
        proxy: Optional[Proxy] = None,
    ) -> None:
        parts = urlsplit(settings["url"])
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise Problem("url: {} is not https://HOST:PORT".format(clean(settings["url"])))
        self.name = settings.get("name") or parts.netloc
        self.netloc = parts.netloc
        self.tls = parts.scheme == "https"
        self.requests = 0
        self.received = 0
        self.retries = 0
        self._clock = clock
        self._own_dial = dial
        self._connect = settings.get("connect") or parts.netloc
        self._proxy = None if settings.get("connect") or dial else proxy
        self._context = trusting(settings.get("ca")) if self.tls else None
        self._basic = None  # type: Optional[str]
        if settings.get("user"):
            pair = "{}:{}".format(settings["user"], settings["password"])
            self._basic = "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
        self._challenge = None  # type: Optional[Dict[str, str]]
        self._tokens = {}  # type: Dict[str, Tuple[float, str]]
        self._idle = []  # type: List[Connection]
        self._open = set()  # type: Set[Connection]
        self._lock = threading.Lock()
        self._deleting = threading.Lock()

    # -- connections

    def _dial(self, netloc: str, context: Optional[ssl.SSLContext]) -> Any:
        parts = urlsplit("//" + netloc)
        host, port = parts.hostname or "", parts.port or (443 if context else 80)
        by = self._proxy.way(host, port, context is not None) if self._proxy else None
        try:
            made = socket.create_connection(by or (host, port), self._clock.wait())
        except OSError as error:
            if by:
                raise OSError("the HTTP proxy {}:{}: {}".format(*by, error)) from error
            raise
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._proxy and by and context:
                self._proxy.connect(made, host, port, self._clock)
            if context:
                name = urlsplit("//" + self.netloc).hostname if netloc == self._connect else None
                return context.wrap_socket(made, server_hostname=name or parts.hostname)
        except BaseException:
            made.close()
            raise
        return made

    def _told(self, netloc: str, tls: bool) -> Optional[Proxy]:
        """The proxy that is told whole URLs of a host; None where there is none, or TLS behind."""
        parts = urlsplit("//" + netloc)
        if tls or not self._proxy:
            return None
        by = self._proxy.way(parts.hostname or "", parts.port or 80, False)
        return self._proxy if by else None

    def _take(self) -> Tuple[Connection, bool]:
        """A connection, and whether it was used before."""
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
        dial = self._own_dial or (lambda: self._dial(self._connect, self._context))
        made = Connection(self.netloc, self.tls, dial, self._told(self.netloc, self.tls))
        with self._lock:
            self._open.add(made)
        return made, False

    def _drop(self, connection: Connection) -> None:
        connection.close()
        with self._lock:
            self._open.discard(connection)

    def _keep(self, connection: Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def cut(self) -> None:
        """Cut all connections, so that no thread waits for an answer any longer."""
        with self._lock:
            connections = list(self._open)
        for each in connections:
            try:
                if each.sock:
                    each.sock.shutdown(socket.SHUT_RDWR)
            except (OSError, AttributeError):
                each.close()

    # -- requests

    def _send(
        self, method: str, path: str, headers: Dict[str, str], body: Any
    ) -> Tuple[Connection, http.client.HTTPResponse]:
        """Send one request; a connection that the other side has closed meanwhile is made anew."""
        while True:
            connection, used = self._take()
            with self._lock:
                self.requests += 1
            try:
                if connection.sock:
                    connection.sock.settimeout(self._clock.wait())
                connection.request(method, path, body, headers)
                return connection, connection.getresponse()
            except BaseException as error:
                self._drop(connection)
                fresh = isinstance(error, (ConnectionError, http.client.BadStatusLine))
                if used and fresh and (body is None or isinstance(body, bytes)):
                    self._clock.check()
                    continue
                raise

    def _read(self, answer: http.client.HTTPResponse, most: int) -> bytes:
        """The rest of an answer, in pieces, so that the deadline holds."""
        pieces = []  # type: List[bytes]
        size = 0
        while True:
            self._clock.check()
            piece = answer.read(min(CHUNK, most + 1 - size))
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise Problem(f"{self.name}: an answer of more than {most} bytes")

    def ask(
        self,
        method: str,
        path: str,
        scope: str,
        body: Any = None,
        headers: Optional[Dict[str, str]] = None,
        most: int = MOST_SMALL,
        tries: int = TRIES,
    ) -> Answer:
        """One request, repeated with a growing pause while the registry is away or overloaded.

        Args:
            scope: the right that it needs, as of the token's `scope`; several by blanks.
            body: bytes; or an iterable of them, which cannot be repeated.
            most: bytes of the answer.
            tries: how often at most.

        Raises:
            Away: the registry did not answer.
            Problem: the login is refused, or the answer is too long.
        """
        once = body is not None and not isinstance(body, bytes)
        tries = 1 if once else min(tries, TRIES)
        renewed = False
        tried = 0
        while True:
            self._clock.check()
            pause = min(30.0, 0.5 * 2**tried) * (0.75 + os.urandom(1)[0] / 512)
            try:
                sent = dict(headers or {}, **self._login(scope))
                connection, answer = self._send(method, path, sent, body)
                try:
                    content = self._read(answer, most)
                except BaseException:
                    self._drop(connection)
                    raise
                if answer.will_close:
                    self._drop(connection)
                else:
                    self._keep(connection)
                self.received += len(content)
                if answer.status == 401 and not renewed and not once:
                    renewed = True
                    if self._renew(answer.headers, scope):
                        continue
                if answer.status in (429, 500, 502, 503, 504):
                    told = answer.headers.get("Retry-After") or ""
                    if told.isdigit() and len(told) < 5:
                        pause = max(pause, min(60.0, float(told)))
                    failed = f"{answer.status} {said(content)}"
                elif answer.status in (401, 407):
                    refused = PROXY_LOGIN if answer.status == 407 else LOGIN + said(content)
                    raise Problem(f"{self.name}: {refused}")
                else:
                    return Answer(answer.status, answer.headers, content)
            except (OSError, http.client.HTTPException) as error:
                self._clock.check()
                failed = clean(str(error) or type(error).__name__)
            tried += 1
            if tried >= tries:
                raise Away(f"{self.name}: {method} {clean(path, 120)}: {failed}")
            self.retries += 1
            self._clock.pause(pause)

    # -- login

    def _login(self, scope: str) -> Dict[str, str]:
        if self._challenge is None:
            return {"Authorization": self._basic} if self._basic and self._pinged else {}
        with self._lock:
            end, token = self._tokens.get(scope, (0.0, ""))
        if time.monotonic() >= end:
            token = self._fetch_token(scope)
        return {"Authorization": "Bearer " + token}

    _pinged = False

    def _renew(self, headers: Any, scope: str) -> bool:
        """Learn from a 401 how to log in; whether another try makes sense."""
        told = headers.get("WWW-Authenticate") or ""
        if not told.lower().startswith("bearer "):
            tried, self._pinged = self._pinged, True
            return bool(self._basic) and not tried
        fields = dict(re.findall(r'([a-z_]+)="([^"]{0,2000})"', told[:8000]))
        if not fields.get("realm"):
            raise Problem(f"{self.name}: a token is wanted, but not told from where")
        self._challenge = fields
        with self._lock:
            self._tokens.pop(scope, None)
        return True

    def _fetch_token(self, scope: str) -> str:
        """A token for a scope (Distribution's "Token Authentication Specification")."""
        challenge = self._challenge or {}
        realm = urlsplit(challenge["realm"])
        if realm.scheme not in ("http", "https") or (self.tls and realm.scheme != "https"):
            raise Problem(
                "{}: tokens only without TLS: {}".format(self.name, clean(challenge["realm"]))
            )
        query = [("service", challenge["service"])] if challenge.get("service") else []
        query += [("scope", each) for each in scope.split() if each]
        path = (realm.path or "/") + "?" + (realm.query + "&" if realm.query else "")
        headers = {"Authorization": self._basic} if self._basic else {}
        for tried in range(TRIES):
            try:
                status, body = self._fetch(realm, path + urlencode(query), headers)
            except (OSError, http.client.HTTPException) as error:
                status, body = 0, str(error).encode("utf-8")
            if status == 200:
                parsed = parse_object(body, f"{self.name}: token")
                token = parsed.get("token") or parsed.get("access_token")
                if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,16000}", token):
                    raise Problem(f"{self.name}: no token in the answer of {realm.netloc}")
                told = parsed.get("expires_in")
                life = float(told) if isinstance(told, int) and 0 < told < 1 << 20 else 60.0
                with self._lock:
                    if len(self._tokens) > 1000:
                        self._tokens.clear()
                    self._tokens[scope] = (time.monotonic() + life * 0.75, token)
                return token
            if 400 <= status < 500 and status != 429:
                raise Problem(
                    f"{self.name}: {clean(realm.netloc)} gives no token: {status} {said(body)}"
                )
            if tried + 1 < TRIES:
                self._clock.pause(0.5 * 2**tried)
        raise Away(f"{self.name}: {clean(realm.netloc)} gives no token: {said(body)}")

    def _fetch(self, parts: Any, path: str, headers: Dict[str, str]) -> Tuple[int, bytes]:
        """One GET of the token's realm, which may be another host."""
        if parts.netloc == self.netloc:
            connection, answer = self._send("GET", path, headers, None)
        else:
            connection = self._elsewhere(parts)
            connection.request("GET", path, None, headers)
            answer = connection.getresponse()
        try:
            return answer.status, self._read(answer, MOST_SMALL)
        finally:
            self._drop(connection)

    def _elsewhere(self, parts: Any) -> Connection:
        """A connection to another host than the registry's own; it never gets the login."""
        tls = parts.scheme == "https"
        context = trusting(None) if tls else None
        told = self._told(parts.netloc, tls)
        return Connection(parts.netloc, tls, lambda: self._dial(parts.netloc, context), told)

    # -- the API

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


def digest_of(content: bytes, like: str) -> str:
    """The digest of some content, by the algorithm of another digest."""
    name = like.split(":", maxsplit=1)[0]
    return f"{name}:{hashlib.new(name, content).hexdigest()}"


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


class Entry(NamedTuple):
    """What the ledger knows of one tag of the target.

    Attributes:
        brought: whether this copy brought it; else it was seen to be equal.
        digest: the last one that both registries had; empty where there was none yet.
        pending: the digest that was about to be put when the line was written, or empty.
    """

    brought: bool
    digest: str
    pending: str


class Ledger:
    """What the target had in common with the source, tag by tag, in a file of lines.

    A line says `b`rought, `s`een, `w`ill put or `x` (no more), the name and the digest. Lines are
    appended while a run works, so a killed run loses nothing; the last line of a name counts.
    """

    def __init__(self, path: Optional[str], identity: str, writes: bool) -> None:
        self._path, self._identity, self._writes = path, identity, writes and bool(path)
        self.entries = {}  # type: Dict[str, Entry]
        self._lines = 0
        self._lock = threading.Lock()
        self._file = None  # type: Any
        if path:
            self._load(path)

    def _head(self) -> str:
        return f"regfleet-ledger 1 {self._identity}\n"

    def _load(self, path: str) -> None:
        try:
            file = open(path, encoding="ascii", newline="\n")
        except FileNotFoundError:
            return
        with file:
            head = file.readline(1000)
            if not head.startswith("regfleet-ledger 1 "):
                raise Problem(
                    f"{path} is not a ledger: move it away; then deletions no longer follow"
                    " for what was brought until now"
                )
            if head != self._head():  # the policy has got another source or target
                if self._writes:
                    os.replace(path, path + ".old")
                return
            for line in file:
                self._lines += 1
                fields = line.split()
                if not line.endswith("\n") or len(fields) != 3:
                    continue  # cut off while it was written
                self._apply(*fields)

    def _apply(self, what: str, name: str, digest: str) -> None:
        if what == "x":
            self.entries.pop(name, None)
        elif what == "w":
            before = self.entries.get(name) or Entry(False, "", "")
            self.entries[name] = before._replace(pending=digest)
        else:
            self.entries[name] = Entry(what == "b", digest, "")

    def note(self, what: str, name: str, digest: str = "-") -> None:
        """Remember one line, on disk too."""
        with self._lock:
            self._apply(what, name, digest)
            if not self._writes or not self._path:
                return
            if self._file is None:
                if not self._lines and not os.path.exists(self._path):
                    self._rewrite()
                self._file = open(self._path, "ab+", buffering=0)
                if self._file.seek(0, os.SEEK_END) and not self._ends_a_line():
                    self._file.write(b"\n")
            self._file.write((f"{what} {name} {digest}\n").encode("ascii"))
            self._lines += 1

    def _ends_a_line(self) -> bool:
        self._file.seek(-1, os.SEEK_END)
        return bool(self._file.read(1) == b"\n")

    def _rewrite(self) -> None:
        new = f"{self._path}.new"
        made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(made, "w", encoding="ascii", newline="\n") as file:
            file.write(self._head())
            self._lines = 0
            for name, entry in self.entries.items():
                if entry.digest:
                    file.write(
                        "{} {} {}\n".format("b" if entry.brought else "s", name, entry.digest)
                    )
                    self._lines += 1
                if entry.pending:
                    file.write(f"w {name} {entry.pending}\n")
                    self._lines += 1
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, str(self._path))

    def close(self) -> None:
        """Onto the disk; shortened where most lines are of the past."""
        with self._lock:
            if self._file is not None:
                os.fsync(self._file.fileno())
                self._file.close()
                self._file = None
                if self._lines > 2 * len(self.entries) + 100:
                    self._rewrite()


class Copier:
    """Copies images, with what they consist of, from one repository to another."""

    def __init__(
        self, source: Registry, target: Registry, clock: Clock, count: Dict[str, int]
    ) -> None:
        self._source, self._target, self._clock, self._count = source, target, clock, count
        self._known = {}  # type: Dict[str, str]
        self._busy = {}  # type: Dict[Any, threading.Event]
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
        done = set()  # type: Set[str]
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


class Item(NamedTuple):
    """A tag that differs."""

    repository: str
    tag: str
    digest: str


class Run:
    """One run of a copy.

    Args:
        settings: see `SETTINGS`.
        dry: compare, and change nothing.
        progress: called about once a second: tags that are done, all that are known so far, and
            the bytes that came from the source.
        dials: for the source and for the target, as of `Registry`.
    """

    def __init__(
        self,
        settings: Dict[str, Any],
        dry: bool = False,
        progress: Optional[Callable[[int, int, int], None]] = None,
        dials: Tuple[Any, Any] = (None, None),
    ) -> None:
        check_settings(settings)
        self.settings, self.dry, self._progress = settings, dry, progress
        self.clock = Clock(settings.get("deadline", 6 * 3600))
        proxy = Proxy(settings["http_proxy"]) if settings.get("http_proxy") else None
        self.source = Registry(settings["source"], self.clock, dials[0], proxy)
        self.target = Registry(settings["target"], self.clock, dials[1], proxy)
        names = (
            "repositories tags same copied kept left deleted failed manifests blobs mounted present"
            " bytes resumed"
        )
        self.count = dict.fromkeys(names.split(), 0)
        self.errors = []  # type: List[str]
        self.notices = []  # type: List[str]
        self.would = []  # type: List[str]
        self._copier = Copier(self.source, self.target, self.clock, self.count)
        self._parallel = int(settings.get("parallel", 8))
        self._lock = threading.Lock()
        self._incomplete = False  # the source was not compared as a whole
        self._repositories = patterns(settings.get("repositories", ["*"]))
        self._exclude = patterns(settings.get("exclude", []))
        self._tags = patterns(settings.get("tags", ["*"]))
        self._ledger = None  # type: Any

    # -- what is wanted

    def _wants_repository(self, name: str) -> bool:
        return any(p.match(name) for p in self._repositories) and not any(
            p.match(name) for p in self._exclude
        )

    def _wants_tag(self, tag: str) -> bool:
        return bool(ATTACHED.fullmatch(tag)) or any(p.match(tag) for p in self._tags)

    def _source_repositories(self) -> Iterator[str]:
        given = self.settings.get("repositories", ["*"])
        if any(set(each) & set("*?[") for each in given):
            return (name for name in self.source.catalog() if self._wants_repository(name))
        return (name for name in given if self._wants_repository(name))

    # -- threads

    def _each(self, function: Callable[[Any], None], items: Iterable[Any]) -> None:
        """Call a function for each item, in a few threads; the items are taken one by one."""
        iterator, lock, failures = iter(items), threading.Lock(), []  # type: Any, Any, List[Any]

        def work() -> None:
            while True:
                try:
                    with lock:
                        if failures or self.clock.over():
                            return
                        try:
                            item = next(iterator)
                        except StopIteration:
                            return
                    function(item)
                except BaseException as error:  # noqa: BLE001 - raised below, in the caller's thread
                    failures.append(error)
                    return

        threads = [threading.Thread(target=work, daemon=True) for _ in range(self._parallel)]
        for each in threads:
            each.start()
        for each in threads:
            while each.is_alive():
                each.join(1.0)
                if self._progress:
                    done = sum(self.count[each] for each in ("same", "copied", "kept", "left"))
                    done += self.count["failed"]
                    self._progress(done, self.count["tags"], self.source.received)
                if self.clock.over():
                    self.source.cut()
                    self.target.cut()
        if failures:
            raise failures[0]
        self.clock.check()

    def _fail(self, what: str, error: Any) -> None:
        with self._lock:
            self.count["failed"] += 1
            if len(self.errors) < MOST_ERRORS:
                self.errors.append(clean(f"{what}: {error}"))

    def _tell(self, text: str) -> None:
        with self._lock:
            if len(self.notices) < MOST_ERRORS:
                self.notices.append(clean(text))

    # -- the work

    def run(self) -> Dict[str, Any]:
        """Do it, and say what was done; see `result`. No failure of a registry is raised."""
        started = time.time()
        state = "ok"
        held = None
        try:
            if not self.dry:
                for key in ("lock", "ledger", "record"):
                    if self.settings.get(key):
                        os.makedirs(os.path.dirname(self.settings[key]), 0o700, exist_ok=True)
            if not self.dry and self.settings.get("lock"):
                held = take_lock(self.settings["lock"])
                if held is None:
                    return self.result("busy", started)
            self._ledger = Ledger(self.settings.get("ledger"), self._identity(), not self.dry)
            try:
                self.source.ping()
                self.target.ping()
                self._work()
            finally:
                self._ledger.close()
            state = "failed" if self.count["failed"] else "ok"
        except Stopped as stopped:
            state = str(stopped)
            if state == "deadline":
                told = self.settings.get("deadline", 6 * 3600)
                self._fail("deadline", f"not done within {told} s: the next run goes on from here")
        except Away as away:
            state = "away"
            self._fail("away", away)
        except (Problem, OSError) as problem:
            state = "failed"
            self._fail("run", problem)
        finally:
            if held is not None and state != "busy":
                self._record(state, started)
                os.close(held)
            self.source.cut()
            self.target.cut()
        return self.result(state, started)

    def _identity(self) -> str:
        return f"{self.source.netloc} {self.target.netloc}"

    def result(self, state: str, started: float) -> Dict[str, Any]:
        """The run as a JSON document.

        `state`: ok; failed (some images, see `errors`); away (a registry did not answer); busy
        (another run is at work); deadline; stopped (by a signal).
        """
        document = {
            "version": VERSION,
            "policy": self.settings["policy"],
            "source": self.source.name,
            "target": self.target.name,
            "state": state,
            "dry_run": self.dry,
            "started": int(started),
            "seconds": round(time.time() - started, 3),
            "counts": dict(self.count),
            "requests": {"source": self.source.requests, "target": self.target.requests},
            "retries": self.source.retries + self.target.retries,
            "errors": list(self.errors),
            "notices": list(self.notices),
        }  # type: Dict[str, Any]
        if self.dry:
            document["would"] = sorted(self.would)
        return document

    def _record(self, state: str, started: float) -> None:
        """The last run's result in a file, for `status`."""
        path = self.settings.get("record")
        if not path:
            return
        document = self.result(state, started)
        document["complete"] = int(started) if state == "ok" else last_run(path, "complete")
        with open(path + ".new", "w", encoding="ascii") as file:
            json.dump(document, file)
        os.replace(path + ".new", path)

    def _work(self) -> None:
        listed = {}  # type: Dict[str, List[str]]

        def list_one(repository: str) -> None:
            try:
                found = [tag for tag in self.source.tags(repository) if self._wants_tag(tag)]
            except Problem as error:
                self._incomplete = True
                self._fail(repository, error)
                return
            with self._lock:
                listed[repository] = found
                self.count["repositories"] += 1
                self.count["tags"] += len(found)
                if self.count["tags"] > MOST_TAGS:
                    raise Problem(f"more than {MOST_TAGS} tags in one run")

        self._each(list_one, self._source_repositories())
        attached, images = self._compare(listed)
        self._each(self._copy, attached)
        self._each(self._copy, images)
        if self.settings.get("delete"):
            self._follow_deletions(listed)

    def _compare(self, listed: Dict[str, List[str]]) -> Tuple[List[Item], List[Item]]:
        """What differs: signatures and the like, and images."""
        everything = self.settings.get("tags", ["*"]) == ["*"]
        chosen = set()  # type: Set[str]
        images = []  # type: List[Item]

        def plain(pair: Tuple[str, str]) -> None:
            found = self._compare_one(pair[0], pair[1])
            if found is None:
                return
            digest, differs = found
            below = {digest}
            if not everything and differs:
                below = self._children_or_none(pair[0], digest)
            with self._lock:
                if not everything:
                    chosen.update(below)
                if differs:
                    images.append(Item(pair[0], pair[1], digest))

        self._each(
            plain,
            (
                (repository, tag)
                for repository in sorted(listed)
                for tag in listed[repository]
                if not ATTACHED.fullmatch(tag)
            ),
        )
        attached = []  # type: List[Item]

        def other(pair: Tuple[str, str]) -> None:
            if not everything and not self._subject_chosen(pair, chosen):
                with self._lock:
                    self.count["tags"] -= 1
                return
            found = self._compare_one(pair[0], pair[1])
            if found is not None and found[1]:
                with self._lock:
                    attached.append(Item(pair[0], pair[1], found[0]))

        self._each(
            other,
            (
                (repository, tag)
                for repository in sorted(listed)
                for tag in listed[repository]
                if ATTACHED.fullmatch(tag)
            ),
        )
        return sorted(attached), sorted(images)

    def _children_or_none(self, repository: str, digest: str) -> Set[str]:
        try:
            return self._copier.children(repository, digest)
        except Problem:
            return {digest}  # the copy itself will say what is wrong

    def _subject_chosen(self, pair: Tuple[str, str], chosen: Set[str]) -> bool:
        """Whether a signature's image is one that this policy copies, or that the target has."""
        match = ATTACHED.fullmatch(pair[1])
        subject = f"{match.group(1)}:{match.group(2)}" if match else ""
        if subject in chosen:
            return True
        try:
            return self.target.digest(self._rename(pair[0]), subject) is not None
        except Problem:
            return True  # then the comparison says why

    def _rename(self, repository: str) -> str:
        """The target's repository for one of the source."""
        strip, add = self.settings.get("strip", ""), self.settings.get("add", "")
        return str(add + (repository[len(strip) :] if repository.startswith(strip) else repository))

    def _compare_one(self, repository: str, tag: str) -> Optional[Tuple[str, bool]]:
        """The source's digest of a tag, and whether it is to be copied; None: nothing to do."""
        to = self._rename(repository)
        name = f"{to}:{tag}"
        try:
            here = self.source.digest(repository, tag)
            there = self.target.digest(to, tag)
        except Problem as error:
            self._incomplete = True
            self._fail(f"{repository}:{tag}", error)
            return None
        if here is None:
            return None  # deleted since the list was read
        entry = self._ledger.entries.get(name)
        what = decide(
            here,
            there,
            entry,
            self.settings.get("conflict", "overwrite"),
            bool(self.settings.get("two_way")),
        )
        if what == "same":
            if entry is None or entry.digest != here or entry.pending:
                brought = entry is not None and (entry.pending == here or entry.brought)
                self._ledger.note("b" if brought else "s", name, here)
            with self._lock:
                self.count["same"] += 1
        elif what != "copy":
            with self._lock:
                self.count[what] += 1
            if what == "kept":
                self._tell(f"{name}: kept: the target has another image of that name")
        return here, what == "copy"

    def _copy(self, item: Item) -> None:
        to = self._rename(item.repository)
        name = f"{to}:{item.tag}"
        if self.dry:
            with self._lock:
                self.count["copied"] += 1
                if len(self.would) < MOST_LINES:
                    self.would.append(f"copy {name}")
            return
        for tried in range(3):
            try:
                self._ledger.note("w", name, item.digest)
                self._copier.image(item.repository, to, item.digest, item.tag)
                self._ledger.note("b", name, item.digest)
                with self._lock:
                    self.count["copied"] += 1
                return
            except (Going, Gone) as error:
                self._not_there(item, name, error)
                return
            except Away as error:
                if tried == 2:
                    self._fail(name, error)
                    return
                self.clock.pause(2.0**tried)
            except Problem as error:
                self._fail(name, error)
                return

    def _not_there(self, item: Item, name: str, error: Problem) -> None:
        try:
            if self.source.digest(item.repository, item.tag) != item.digest:
                return  # moved or deleted meanwhile: the next run's
        except Problem:
            pass
        if isinstance(error, Going):
            self._tell(f"{name}: not copied: {error}")
        else:
            self._fail(name, error)

    def _follow_deletions(self, listed: Dict[str, List[str]]) -> None:
        """Delete at the target what this copy brought and the source no longer has."""
        if self._incomplete:
            self._tell("nothing deleted: the source was not compared as a whole")
            return
        back = {self._rename(repository): repository for repository in listed}
        there = {to: set(listed[repository]) for to, repository in back.items()}
        brought, gone = 0, []  # type: int, List[Tuple[str, str, str]]
        for name, entry in self._ledger.entries.items():
            to, tag = name.rsplit(":", 1)
            repository = back.get(to) or self._source_name(to)
            if not (entry.brought or entry.pending) or not self._wants_tag(tag):
                continue
            if not self._wants_repository(repository):
                continue
            brought += 1
            if tag not in there.get(to, ()):
                gone.append((repository, to, tag))
        most = most_deletions(self.settings.get("max_delete", "20%"), brought)
        if len(gone) > most:
            self._fail(
                "delete",
                (
                    "nothing deleted: {} of the {} tags that were brought are gone from the source,"
                    " more than max_delete = {} allows".format(
                        len(gone), brought, self.settings.get("max_delete", "20%")
                    )
                ),
            )
            return
        # Images first: one without its signature must not be left.
        gone.sort(key=lambda each: (bool(ATTACHED.fullmatch(each[2])), each))
        for images in (False, True):
            part = [each for each in gone if bool(ATTACHED.fullmatch(each[2])) == images]
            self._each(self._delete_one, part)

    def _source_name(self, to: str) -> str:
        strip, add = self.settings.get("strip", ""), self.settings.get("add", "")
        return str(strip + (to[len(add) :] if to.startswith(add) else to))

    def _delete_one(self, gone: Tuple[str, str, str]) -> None:
        repository, to, tag = gone
        name = f"{to}:{tag}"
        try:
            if self.source.digest(repository, tag) is not None:
                return  # the list was wrong or is old
            there = self.target.digest(to, tag)
            entry = self._ledger.entries[name]
            # What both had before, and nothing was put over, is the target's own.
            ours = {entry.digest, entry.pending} if entry.brought else {entry.pending}
            if there is not None and there not in ours:
                other = "an image of its own" if there == entry.digest else "another image"
                self._tell(f"{name}: not deleted: the target has {other} of that name")
                if not self.dry:
                    self._ledger.note("x", name)
                return
            if self.dry:
                self.would.append(f"delete {name}")
            elif there is not None and there == entry.pending and self._is_empty_index(to, there):
                if not self.target.delete_manifest(to, there):  # a killed run had begun it
                    raise Problem("it moved meanwhile: the next run's")
                self._ledger.note("x", name)
            elif there is not None:
                self.target.delete_tag(to, tag, lambda empty: self._ledger.note("w", name, empty))
                self._ledger.note("x", name)
            else:
                self._ledger.note("x", name)
            with self._lock:
                self.count["deleted"] += 1
        except Problem as error:
            self._fail(name, error)

    def _is_empty_index(self, to: str, digest: str) -> bool:
        """Whether a manifest is one of `delete_tag`, that no other tag can have."""
        raw, _ = self.target.manifest(to, digest)
        try:
            refuse_what_goes(to, parse_object(raw, digest))
        except Going:
            return True
        return False


def decide(here: str, there: Optional[str], entry: Any, conflict: str, two_way: bool) -> str:
    """What to do with a tag. Pure.

    Args:
        here: the source's digest.
        there: the target's, or None.
        entry: what the ledger knows.
        conflict: `overwrite` or `keep`.
        two_way: whether the target is also copied to the source.

    Returns:
        `same`; `copy`; `kept` (the target has one of its own, and keeps it); `left` (only the
        target's has changed since both were equal: the copy the other way brings it).
    """
    if here == there:
        return "same"
    if there is None or (entry is not None and there in (entry.digest, entry.pending)):
        return "copy"
    if two_way and entry is not None and here == entry.digest:
        return "left"
    return "copy" if conflict == "overwrite" else "kept"


def most_deletions(limit: Any, brought: int) -> int:
    """How many tags a run may delete: a number, or percent of what was brought, at least one."""
    if isinstance(limit, int):
        return limit
    return max(1, brought * int(limit.rstrip("%")) // 100)


def patterns(texts: List[str]) -> List[Any]:
    """Shell patterns; `*` also stands for slashes."""
    return [re.compile(fnmatch.translate(text)) for text in texts]


def last_run(path: Optional[str], key: str) -> Optional[int]:
    """A time of the last run's record: `started`, or `complete` of the last that copied all."""
    if not path:
        return None
    try:
        with open(path, encoding="ascii") as file:
            found = json.loads(file.read(1 << 20)).get(key)
        return found if isinstance(found, int) else None
    except (OSError, ValueError, AttributeError):
        return None


def take_lock(path: str) -> Optional[int]:
    """The lock of a copy, as a descriptor to close; None when another run has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


SETTINGS = {
    "version": int,  # 1
    "policy": str,  # the name
    "source": dict,  # see `Registry`
    "target": dict,
    "http_proxy": dict,  # see `Proxy`
    "repositories": list,  # patterns of the source's names
    "exclude": list,
    "tags": list,
    "strip": str,  # taken from the beginning of a repository's name
    "add": str,  # put there instead
    "delete": bool,
    "max_delete": (int, str),  # a number, or "20%" of what was brought
    "conflict": str,  # overwrite | keep
    "two_way": bool,
    "parallel": int,
    "deadline": (int, float),  # seconds
    "ledger": str,  # paths
    "lock": str,
    "record": str,
}


def check_settings(settings: Any) -> None:
    """Raise Problem when the settings are none."""
    if not isinstance(settings, dict) or settings.get("version") != VERSION:
        raise Problem(f"settings: not of version {VERSION}")
    for key in ("policy", "source", "target"):
        if key not in settings:
            raise Problem(f"settings: no {key}")
    for key, value in settings.items():
        if key not in SETTINGS:
            raise Problem(f"settings: unknown key {clean(key, 40)}")
        if not isinstance(value, SETTINGS[key]):  # type: ignore[arg-type]
            raise Problem(f"settings: {key}: wrong type")


def progress_lines(descriptor: int) -> Callable[[int, int, int], None]:
    """A `progress` of a run that writes lines, as regfleet's shell/how_far.py reads them."""
    last = [time.monotonic()]

    def tell(done: int, of: int, size: int) -> None:
        if time.monotonic() - last[0] >= EVERY:
            last[0] = time.monotonic()
            with contextlib.suppress(OSError):  # nobody listens any more
                os.write(descriptor, f"@progress tags {done} {of} {size} 0\n".encode("ascii"))

    return tell


def main(arguments: Optional[List[str]] = None) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description="Copy images from one registry to another.")
    parser.add_argument("settings", help="a JSON file")
    parser.add_argument("--dry-run", action="store_true", help="compare, change nothing")
    parser.add_argument(
        "--every", type=int, default=0, help="do nothing when the last run began less seconds ago"
    )
    parser.add_argument("--progress", type=int, help="a descriptor for lines of progress")
    options = parser.parse_args(arguments)
    tell = None if options.progress is None else progress_lines(options.progress)
    try:
        with open(options.settings, encoding="utf-8") as file:
            run = Run(json.load(file), options.dry_run, tell)
        began = last_run(run.settings.get("record"), "started") or 0
        if options.every and began <= time.time() < began + options.every - 30:
            return 0
    except (OSError, ValueError, KeyError, Problem) as error:
        sys.stderr.write(f"{options.settings}: {clean(str(error))}\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: run.clock.stop("stopped"))
    result = run.run()
    sys.stdout.write(json.dumps(result) + "\n")
    return {"ok": 0, "away": 75, "busy": 75}.get(result["state"], 1)


if __name__ == "__main__":
    sys.exit(main())
