"""What names, addresses, endpoints and URLs may look like. Pure; nothing is resolved."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from regfleet.fleet.findings import RefusedError
from regfleet.fleet.toml_text import shown

MAX_PORT = 65535
# Docker Hub under all of its names (distribution/reference, domains).
HUB = "docker.io"
HUB_HOSTS = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})
_LONGEST_NAME = 253  # RFC 1035, 2.3.4, in text form
# RFC 1123, 2.1. The underscore is not in it, but SSH aliases and container names have it, and
# Go's certificate check takes it too (crypto/x509 validHostname).
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+", re.ASCII)
# distribution/reference, domain-component: no underscore, upper case left out on purpose.
_ENDPOINT_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


def is_ipv6(text: str) -> bool:
    """Whether a text is an IPv6 address, without brackets."""
    address, percent, zone = text.partition("%")
    if ":" not in address or (percent and not _ZONE.fullmatch(zone)):
        return False
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def canonical(text: str) -> str:
    """One spelling for all of an address or a host's name: `2001:DB8::0:1` is `2001:db8::1`."""
    address, percent, zone = text.partition("%")
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return text.lower().removesuffix(".")
    return f"{getattr(found, 'ipv4_mapped', None) or found}{percent}{zone}"


def check_address(text: str) -> None:
    """Refuses a text that is neither an IP address nor a host name.

    Raises:
        RefusedError: with what is wrong.
    """
    if "@" in text:  # checked first: a password may stand before the @, and is never quoted
        raise RefusedError("has an @ in it", 'the login name is written ssh = { user = "…" }')
    if ":" in text:
        _check_colons(text)
        return
    _check_name(text, _LABEL)


def check_endpoint(text: str) -> None:
    """Refuses a text that clients cannot type as a registry, before a repository's name.

    Docker takes the first component of an image's name for a registry only if it has a dot or
    a colon or is `localhost` (distribution/reference, splitDockerDomain).

    Raises:
        RefusedError: with what is wrong.
    """
    if "@" in text:  # checked first: a password may stand beside the @, and is never quoted
        raise RefusedError("has an @ in it", "an endpoint is HOST or HOST:PORT; see users, login")
    if "://" in text:
        bare = text.partition("://")[2].strip("/")
        raise RefusedError("has a scheme", f"write {shown(bare)}: clients type no scheme")
    if "/" in text:
        raise RefusedError("has a path", f"write {shown(text.partition('/')[0])}")
    if text != text.lower():
        raise RefusedError("has upper case in it", f"write {shown(text.lower())}")
    host = _split_port(text)
    if host.startswith("["):
        if not (host.endswith("]") and is_ipv6(host[1:-1]) and "%" not in host):
            raise RefusedError(
                f"{shown(host)} is not an IPv6 address in brackets", "as in [2001:db8::10]:5000"
            )
    elif ":" in host:
        raise RefusedError("has an IPv6 address without brackets", f'write "[{host}]"')
    else:
        _check_name(host, _ENDPOINT_LABEL)
    if not re.search(r"[.:]", text) and text != "localhost":
        raise RefusedError(
            f"{shown(text)} would be taken for a repository on Docker Hub, not for a registry",
            f'give it a port ("{text}:5000") or a domain ("{text}.example.com")',
        )


def check_listen(text: str) -> None:
    """Refuses a text that is not an IP address and a port for a registry to listen on.

    Raises:
        RefusedError: with what is wrong.
    """
    host, _, port = text.rpartition(":")
    hint = "as in 10.0.0.5:5000, [2001:db8::10]:5000 or 127.0.0.1:5000"
    if not (_PORT.fullmatch(port) and 1 <= int(port) <= MAX_PORT):
        raise RefusedError(f"{shown(text)} has no port from 1 to {MAX_PORT}", hint)
    if host.startswith("[") and host.endswith("]") and is_ipv6(host[1:-1]) and "%" not in host:
        return
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        raise RefusedError(f"{shown(host)} is not an address of a host", hint) from None


def split_listen(text: str) -> tuple[str, int]:
    """The address (IPv6 without brackets) and the port of a text that `check_listen` accepts."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def check_mirror_url(text: str) -> None:
    """Refuses a URL that dockerd would not accept as a registry mirror.

    Raises:
        RefusedError: with what is wrong. It never quotes the URL, which may hold a password.
    """
    if _BLANK.search(text):
        raise RefusedError("has a blank or control character in it", "leave it out")
    scheme, _, rest = text.partition("://")
    if scheme not in ("http", "https"):
        raise RefusedError(f"has the scheme {shown(scheme)}", "write https:// or http://")
    authority = re.split(r"[/?#]", rest)[0]
    if "@" in authority:
        raise RefusedError(
            "has a user or password in it", "the Docker engine sends no login to a mirror"
        )
    for mark, name in (("?", "a query"), ("#", "a fragment")):
        if mark in rest:
            raise RefusedError(f"has {name} in it", "a mirror is https://HOST or https://HOST:PORT")
    host = _split_port(authority)
    if host.startswith("[") and host.endswith("]") and is_ipv6(host[1:-1]):
        return
    if not host or "[" in host or ":" in host:
        raise RefusedError(
            "has no valid host in it", "a mirror is https://HOST or https://HOST:PORT"
        )
    _check_name(host, _LABEL)
    try:
        urlsplit(text)
    except ValueError as error:
        raise RefusedError(f"is not a URL: {error}") from None


def check_tls_name(text: str) -> None:
    """Refuses a name that a certificate cannot hold.

    A certificate holds DNS names, `*.` before a DNS name, and IP addresses.

    Raises:
        RefusedError: with what is wrong.
    """
    if "%" in text:
        raise RefusedError(
            "has an IPv6 zone, which a certificate cannot name", "leave the zone out"
        )
    check_address(text.removeprefix("*."))


def _check_colons(text: str) -> None:
    if is_ipv6(text):
        return
    if text.startswith("[") and is_ipv6(text.strip("[]")):
        raise RefusedError("is an IPv6 address in brackets", f'write "{text.strip("[]")}"')
    host, _, port = text.rpartition(":")
    if ":" not in host and _NUMBER.fullmatch(port):
        raise RefusedError(
            "has a port in it",
            f"write {{ name = {shown(host)}, ssh = {{ port = {shown(port)[1:-1]} }} }}",
        )
    raise RefusedError(f"{shown(text)} is not an IPv6 address", "as in 2001:db8::10")


def _split_port(text: str) -> str:
    """The host of HOST:PORT or HOST; refuses a port that is not valid."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.endswith("]")):
        return text
    if not (_PORT.fullmatch(port) and 1 <= int(port) <= MAX_PORT):
        raise RefusedError(
            f"has the port {shown(port)[1:-1]}" if port else "has no port after its colon",
            f"a port is 1 to {MAX_PORT}",
        )
    return host


def _check_name(text: str, label: re.Pattern[str]) -> None:
    if not text:
        raise RefusedError("has no host name in it", "as in web1.example.com or 192.0.2.10")
    if len(text) > _LONGEST_NAME:
        raise RefusedError("is longer than a host name can be", f"{_LONGEST_NAME} characters")
    labels = text.split(".")
    for part in labels:
        if not label.fullmatch(part):
            raise RefusedError(
                f"{shown(text)} is not a host name",
                "letters, digits and hyphens, up to 63 between two dots (RFC 1123)",
            )
    if _NUMBER.fullmatch(labels[-1]):
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            raise RefusedError(
                f"{shown(text)} is not an IPv4 address", "as in 192.0.2.10"
            ) from None
