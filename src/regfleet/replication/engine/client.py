"""HTTP with one registry: connections that are kept, requests that are repeated, the login."""

import base64
import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple
from urllib.parse import urlencode, urlsplit

from regfleet.replication.engine.manifests import parse_object
from regfleet.replication.engine.problems import Away, Problem, clean
from regfleet.replication.engine.transport import (
    MOST_SMALL,
    PROXY_LOGIN,
    Clock,
    Connection,
    Proxy,
    trusting,
)

CHUNK = 256 * 1024
TRIES = 5
LOGIN = "the login is refused, or there is none: "


class Answer(NamedTuple):
    """A registry's answer, read to its end."""

    status: int
    headers: Any
    body: bytes


def said(body: bytes) -> str:
    """What a registry says about an error (OCI Distribution Specification, "Error Codes")."""
    try:
        first = json.loads(body.decode("utf-8"))["errors"][0]
        return clean("{} {}".format(first.get("code", ""), first.get("message", "")))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return clean(body[:200].decode("utf-8", "replace"))


class Client:
    """HTTP with one registry: connections, repeated requests, the login by Basic or by token.

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
        self._basic: Optional[str] = None
        if settings.get("user"):
            pair = "{}:{}".format(settings["user"], settings["password"])
            self._basic = "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")
        self._challenge: Optional[Dict[str, str]] = None
        self._tokens: Dict[str, Tuple[float, str]] = {}
        self._idle: List[Connection] = []
        self._open: Set[Connection] = set()
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
        pieces: List[bytes] = []
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
