"""Names in certificates: which ones a registry needs, and which ones a certificate covers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509

from regfleet.errors import CertificateError
from regfleet.fleet.model import Registry

# Letters, digits, hyphens (RFC 5890, LDH) and the underscore that Go's verifier lets pass
# (crypto/x509, validHostname): 63 to a label, 253 in all (RFC 1035, 2.3.4).
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_MAX_LENGTH = 253


def endpoint_host(endpoint: str) -> str:
    """The host of `host`, `host:port`, `[v6]`, `[v6]:port`, without brackets."""
    if endpoint.startswith("["):
        return endpoint[1:].partition("]")[0]
    host, colon, port = endpoint.rpartition(":")
    return host if colon and port.isdigit() and ":" not in host else endpoint


def canonical(name: str) -> str | None:
    """An address in its shortest form, a DNS name in lower case; None where it is neither.

    A zone (`fe80::1%eth0`) is dropped: an iPAddress is 4 or 16 octets (RFC 5280, 4.2.1.6). A
    wildcard may stand for the whole leftmost label only (RFC 6125, 6.4.3).
    """
    address = _address(name)
    if address is not None:
        return str(address)
    dns = name.lower().removesuffix(".")
    labels = dns.split(".")
    if len(labels) > 1 and labels[0] == "*":
        labels = labels[1:]
    if len(dns) > _MAX_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return dns


def server_names(registry: Registry) -> tuple[str, ...]:
    """The names a registry's certificate must have, canonical, each once, the endpoint first.

    The endpoint's host, each host's name and address, `tls.names`. Names of hosts that are mere
    labels (`@local`) cannot be asked for by a client and are left out.

    Raises:
        CertificateError: the endpoint or one of `tls.names` is neither address nor DNS name.
    """
    wanted = (endpoint_host(registry.endpoint), *registry.tls.names)
    for name in wanted:
        if canonical(name) is None:
            raise CertificateError(
                f"registry {registry.name}: {name!r} cannot stand in a certificate",
                "give a DNS name (international ones in their xn-- form) or an IP address",
            )
    of_hosts = (name for host in registry.hosts for name in (host.name, host.address))
    every = (wanted[0], *of_hosts, *wanted[1:])
    return tuple(dict.fromkeys(found for name in every if (found := canonical(name)) is not None))


def general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    """Canonical names as subjectAltName entries: iPAddress for addresses, dNSName for the rest."""
    return [
        x509.DNSName(name) if (address := _address(name)) is None else x509.IPAddress(address)
        for name in names
    ]


def certificate_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """DNS names and addresses of the subjectAltName, canonical where they can be.

    The subject's common name does not count: Go ignores it since 1.15, and RFC 9525 (which
    replaced RFC 6125) no longer knows it.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    found = (
        str(name.value)
        for name in extension.value
        if isinstance(name, (x509.DNSName, x509.IPAddress))
    )
    return tuple(canonical(name) or name for name in found)


def covers(names: Iterable[str], wanted: str) -> bool:
    """Whether a certificate with these names may speak for `wanted`.

    An address needs its own entry; a wildcard covers exactly one label (RFC 6125, 6.4.3).
    """
    name = canonical(wanted)
    if name is None:
        return False
    have = set(names)
    if name in have:
        return True
    _, dot, rest = name.partition(".")
    return bool(dot) and _address(name) is None and f"*.{rest}" in have


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name.partition("%")[0])
    except ValueError:
        return None
