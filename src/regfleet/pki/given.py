"""Checks the certificate, key and CA of `tls.source = "files"` before a registry serves them.

It refuses what Go's crypto/tls (the server) and crypto/x509 (verifying clients) refuse, and what
OpenSSL refuses for clients in other languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from regfleet.errors import CertificateError
from regfleet.fleet.registries import Registry
from regfleet.pki import pem
from regfleet.pki.names import certificate_names, covers, endpoint_host

MIN_RSA_BITS = 2048  # NIST SP 800-57 part 1, and OpenSSL at its usual security level 2
_CURVES = ("secp256r1", "secp384r1", "secp521r1")  # what Go's crypto/tls negotiates


@dataclass(frozen=True, slots=True)
class GivenPair:
    """A checked pair: leaf and intermediates in the file's order, key, CA (may be empty)."""

    chain: tuple[x509.Certificate, ...]
    key: pem.ServerKey
    ca: tuple[x509.Certificate, ...]


def read_pair(registry: Registry, now: datetime) -> GivenPair:
    """Read and check the files of a registry with `tls.source = "files"`.

    Raises:
        CertificateError: names the file, what is wrong in it, and what to do.
    """
    tls = registry.tls
    if tls.certificate is None or tls.key is None:
        raise CertificateError(
            f"registry {registry.name}: tls.source = 'files' needs a certificate and a key",
            "set tls.certificate and tls.key",
        )
    chain = pem.certificates(pem.read(tls.certificate), tls.certificate)
    key = pem.private_key(pem.read(tls.key), tls.key)
    ca = pem.certificates(pem.read(tls.ca), tls.ca) if tls.ca else []
    leaf = chain[0]
    _check_match(chain, key, tls.certificate, tls.key)
    _check_strength(key, tls.key)
    _check_dates(leaf, tls.certificate, now)
    _check_purpose(leaf, tls.certificate)
    _check_names(leaf, tls.certificate, (endpoint_host(registry.endpoint), *tls.names))
    _check_chain(chain, ca, tls.certificate, tls.ca, now)
    return GivenPair(tuple(chain), key, tuple(ca))


def read_ca(path: Path, now: datetime) -> bytes:
    """The CA certificates of a file that clients are to trust, without the file's other contents.

    Raises:
        CertificateError: there is none, or none that is valid now.
    """
    found = pem.certificates(pem.read(path), path)
    if not any(_is_valid(certificate, now) for certificate in found):
        _check_dates(found[0], path, now)
    return pem.certificates_to_pem(*found)


def _check_match(
    chain: Sequence[x509.Certificate], key: pem.ServerKey, path: Path, key_path: Path
) -> None:
    if pem.same_key(chain[0], key):
        return
    if any(pem.same_key(certificate, key) for certificate in chain[1:]):
        raise CertificateError(
            f"{path}: the server's own certificate is not the first one in it",
            "put it first, then its intermediates (RFC 8446, 4.4.2)",
        )
    raise CertificateError(
        f"{key_path} is not the key of the certificate in {path} ({_title(chain[0])})",
        "set tls.key to the key that the certificate was requested with",
    )


def _check_strength(key: pem.ServerKey, path: Path) -> None:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise CertificateError(
            f"{path}: an RSA key of {key.key_size} bits is too weak",
            f"use {MIN_RSA_BITS} bits or more, or EC P-256",
        )
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVES:
        raise CertificateError(
            f"{path}: TLS servers do not take keys on the curve {key.curve.name}",
            "use P-256, P-384 or P-521",
        )


def _check_dates(certificate: x509.Certificate, path: Path, now: datetime) -> None:
    if now < certificate.not_valid_before_utc:
        raise CertificateError(
            f"{path}: {_title(certificate)} is not valid before "
            f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            "wait, or check this machine's clock",
        )
    if now > certificate.not_valid_after_utc:
        raise CertificateError(
            f"{path}: {_title(certificate)} expired on "
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            "renew it",
        )


def _check_purpose(leaf: x509.Certificate, path: Path) -> None:
    """RFC 5280, 4.2.1.3 and 4.2.1.12; an absent extension allows everything."""
    if not _is_for_servers(leaf):
        raise CertificateError(
            f"{path}: {_title(leaf)} is not for servers (extendedKeyUsage without serverAuth)",
            "have one issued with serverAuth",
        )
    usage = _key_usage(leaf)
    if usage and not (usage.digital_signature or usage.key_encipherment or usage.key_agreement):
        raise CertificateError(
            f"{path}: {_title(leaf)} is not for TLS (keyUsage without digitalSignature)",
            "have one issued with digitalSignature",
        )


def _check_names(leaf: x509.Certificate, path: Path, wanted: Sequence[str]) -> None:
    have = certificate_names(leaf)
    if not have:
        raise CertificateError(
            f"{path}: {_title(leaf)} has no subjectAltName, and Go has ignored the common name "
            "since 1.15",
            f"have one issued with subjectAltName {', '.join(wanted)}",
        )
    missing = [name for name in wanted if not covers(have, name)]
    if missing:
        hint = "have one issued for that name, or use one it covers as the endpoint"
        if any(f"DNS:{name}" in have for name in missing):
            hint = f"an address needs an entry of its own kind: IP:{missing[0]}, not DNS:"
        raise CertificateError(
            f"{path}: {_title(leaf)} does not cover {', '.join(missing)}, only {', '.join(have)}",
            hint,
        )


def _check_chain(
    chain: Sequence[x509.Certificate],
    ca: Sequence[x509.Certificate],
    path: Path,
    ca_path: Path | None,
    now: datetime,
) -> None:
    """Look for a chain from the leaf to a trusted certificate, as clients do: in any order.

    Without a CA file, clients trust the last issuer on their own: the chain is followed as far
    as the file goes.
    """
    links = [chain[0]]
    while links[-1] not in ca:
        link = links[-1]
        issuers = [
            found for found in (*ca, *chain[1:]) if found not in links and _has_issued(found, link)
        ]
        if not issuers:
            break
        links.append(next((found for found in issuers if _is_valid(found, now)), issuers[0]))
    for below, link in enumerate(links[1:]):
        where = ca_path if ca_path and link in ca else path
        _check_dates(link, where, now)
        _check_issuer(link, below, where)
    for link in links:
        if link not in ca:
            _check_signature(link, path)
    last = links[-1]
    if ca_path is not None and last not in ca:
        raise CertificateError(
            f"{path}: no certificate in {ca_path} issued {_title(last)}; its issuer is "
            f"{last.issuer.rfc4514_string() or 'nameless'}",
            "give the CA that issued it as tls.ca, and put missing intermediates after the "
            "server's certificate",
        )
    if ca_path is None and len(links) == 1:
        if _has_issued(last, last):
            raise CertificateError(
                f"{path}: {_title(last)} is self-signed, so no client trusts it",
                "set tls.ca to the same file to have clients trust it",
            )
        if len(chain) > 1:
            raise CertificateError(
                f"{path}: none of the other certificates in it issued {_title(last)}",
                "put the intermediates of this certificate after it",
            )


def _check_issuer(issuer: x509.Certificate, below: int, path: Path) -> None:
    """Whether a certificate may sign others (RFC 5280, 4.2.1.3, 4.2.1.9 and 6.1.4)."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = x509.BasicConstraints(ca=False, path_length=None)
    usage = _key_usage(issuer)
    if not constraints.ca or (usage and not usage.key_cert_sign):
        raise CertificateError(
            f"{path}: {_title(issuer)} signed the certificate before it and is not a CA",
            "have it issued by a certificate with basicConstraints CA:TRUE and keyCertSign",
        )
    if constraints.path_length is not None and below > constraints.path_length:
        raise CertificateError(
            f"{path}: {_title(issuer)} allows {constraints.path_length} CAs below it, but there "
            f"are {below}",
            "use a shorter chain",
        )
    if not _is_for_servers(issuer):
        raise CertificateError(
            f"{path}: {_title(issuer)} may not issue servers' certificates (extendedKeyUsage)",
            "use a CA that may",
        )


def _check_signature(certificate: x509.Certificate, path: Path) -> None:
    if isinstance(certificate.signature_hash_algorithm, (hashes.SHA1, hashes.MD5)):
        raise CertificateError(
            f"{path}: {_title(certificate)} is signed with "
            f"{certificate.signature_hash_algorithm.name}, which Go refuses since 1.18",
            "have it issued anew with SHA-256",
        )


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - any failure, of whatever backend, means it did not
        return False
    return True


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _is_for_servers(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    either = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    return any(usage in either for usage in usages)


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _title(certificate: x509.Certificate) -> str:
    return f"certificate {certificate.subject.rfc4514_string() or hex(certificate.serial_number)}"
