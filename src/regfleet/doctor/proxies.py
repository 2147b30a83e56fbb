"""The proxy that a Go program uses for a registry. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping


def proxy_of(proxies: Mapping[str, str], host: str, port: int, *, tls: bool) -> str:
    """The proxy that the engine uses for a registry; empty for a direct connection.

    golang.org/x/net/http/httpproxy, proxy.go: `HTTPS_PROXY` for https only, never for this
    machine itself, nor for what `NO_PROXY` names.

    Args:
        proxies: `http`, `https` and `no`, as `docker info` shows them.
        host: name or address, without brackets.
    """
    proxy = proxies.get("https" if tls else "http", "")
    if not proxy or host == "localhost" or _is_loopback(host):
        return ""
    excepted = (each.strip().lower() for each in proxies.get("no", "").split(","))
    return "" if any(_matches(each, host.lower(), port) for each in excepted if each) else proxy


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


def _matches(entry: str, host: str, port: int) -> bool:
    """Whether an entry of `NO_PROXY` matches: `*`, a network, a name or address, with any port."""
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        return address is not None and _in_network(address, entry)
    name, entry_port = _split(entry)
    if entry_port and entry_port != str(port):
        return False
    if address is not None:
        return _address(name) == address
    return _in_domain(host, name.removeprefix("*") if name.startswith("*.") else name)


def _in_domain(host: str, name: str) -> bool:
    """A name matches itself and its subdomains; with a leading dot only its subdomains."""
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _in_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _split(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
