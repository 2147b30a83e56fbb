"""Connections, by an HTTP proxy where one is declared, until the run is to end."""

import base64
import http.client
import ipaddress
import re
import ssl
import threading
import time
from typing import Any, Callable, Dict, Optional, Tuple
from urllib.parse import urlsplit

from regfleet.replication.engine.problems import Problem, Stopped, clean

WAIT = 60.0  # seconds for one answer's next bytes
PROXY_LOGIN = "the HTTP proxy refuses the login, or wants one"
MOST_SMALL = 256 * 1024  # bytes of any other answer


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
        self._ways: Dict[bool, Tuple[str, int]] = {}
        for scheme in ("http", "https"):
            parts = urlsplit(settings.get(scheme) or "")
            if parts.hostname:
                if parts.scheme != "http":
                    raise Problem(f"http_proxy: {parts.netloc} is not http://HOST:PORT")
                self._ways[scheme == "https"] = (parts.hostname, parts.port or 80)
        self._direct = [each for each in (settings.get("no_proxy") or "").split(",") if each]
        self.login: Dict[str, str] = {}
        if settings.get("user"):
            pair = "{}:{}".format(settings["user"], settings["password"])
            told = base64.b64encode(pair.encode("utf-8")).decode("ascii")
            self.login["Proxy-Authorization"] = "Basic " + told

    def way(self, host: str, port: int, tls: bool) -> Optional[Tuple[str, int]]:
        """Host and port of the proxy for a host; None where that is reached directly."""
        host = host.lower().rstrip(".")
        try:
            address: Any = ipaddress.ip_address(host)
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
