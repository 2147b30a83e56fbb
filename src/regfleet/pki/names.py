"""The names that a registry's certificate needs, and the names that a certificate covers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from cryptography import x509

from regfleet.errors import CertificateError
from regfleet.fleet.registries import Registry

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
    """An address in its shortest form, or a DNS name in lower case; None for any other text.

    A zone (`fe80::1%eth0`) is dropped: an iPAddress has 4 or 16 octets (RFC 5280, 4.2.1.6). A
    wildcard may replace only the whole leftmost label (RFC 6125, 6.4.3).
    """
    address = address_of(name)
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

    These are the endpoint's host, each machine's name and address, the gateways' common
    address, and `tls.names`. A host's name
    that is no DNS name (`@local`) is left out.

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
    of_hosts = (name for host in registry.machines for name in (host.name, host.address))
    vip = registry.gateway.vip.partition("/")[0] if registry.gateway else ""
    every = (wanted[0], *of_hosts, *filter(None, [vip]), *wanted[1:])
    return tuple(dict.fromkeys(found for name in every if (found := canonical(name)) is not None))


def general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    """Canonical names as subjectAltName entries: iPAddress for addresses, dNSName for the rest."""
    return [
        x509.DNSName(name) if (address := address_of(name)) is None else x509.IPAddress(address)
        for name in names
    ]


def constraints(permitted: Iterable[str]) -> x509.NameConstraints:
    """Name constraints: a CA may sign for these domains and networks alone (RFC 5280, 4.2.1.10).

    A constraint does not restrict names of another kind. So without a network all addresses are
    excluded, and without a domain all DNS names.
    """
    subtrees: list[x509.GeneralName] = [
        x509.IPAddress(ip_network(text)) if "/" in text else x509.DNSName(text.lower())
        for text in sorted(permitted)
    ]
    excluded: list[x509.GeneralName] = []
    if not any(isinstance(each, x509.IPAddress) for each in subtrees):
        excluded = [x509.IPAddress(ip_network(every)) for every in ("0.0.0.0/0", "::/0")]
    if not any(isinstance(each, x509.DNSName) for each in subtrees):
        excluded.append(x509.DNSName(""))
    return x509.NameConstraints(subtrees, excluded or None)


def name_constraints_of(certificate: x509.Certificate) -> x509.NameConstraints | None:
    """The name constraints of a CA certificate; None when it has none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def certificate_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and addresses of the subjectAltName, in canonical form when they have one.

    The subject's common name is left out: Go ignores it since 1.15, and so does RFC 9525, which
    replaced RFC 6125. An address that is written as a DNS name serves no client that asks for the
    address (RFC 6125, 6.4; Go's crypto/x509, VerifyHostname): it is `DNS:192.0.2.10` here.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        f"DNS:{name.value}"
        if isinstance(name, x509.DNSName) and address_of(name.value) is not None
        else canonical(str(name.value)) or str(name.value)
        for name in extension.value
        if isinstance(name, (x509.DNSName, x509.IPAddress))
    )


def covers(names: Iterable[str], wanted: str) -> bool:
    """Whether a certificate with these names is valid for the name or address `wanted`.

    An address needs its own entry; a wildcard covers exactly one label (RFC 6125, 6.4.3).
    """
    name = canonical(wanted)
    if name is None:
        return False
    have = set(names)
    if name in have:
        return True
    _, dot, rest = name.partition(".")
    return bool(dot) and address_of(name) is None and f"*.{rest}" in have


def address_of(name: str) -> IPv4Address | IPv6Address | None:
    """A name as an IP address, without its zone; None when it is no address."""
    try:
        return ip_address(name.partition("%")[0])
    except ValueError:
        return None
