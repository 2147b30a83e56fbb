"""Reading certificates and keys in PEM (RFC 7468), with errors that name the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from regfleet.errors import CertificateError

ServerKey: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey"


def read(path: Path) -> bytes:
    """A file's content.

    Raises:
        CertificateError: it is missing, unreadable or no file.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CertificateError(
            f"cannot read {path}: {reason}", "relative paths start at the fleet file's directory"
        ) from error


def certificates(content: bytes, where: Path) -> list[x509.Certificate]:
    """Every certificate of a PEM file, in its order; other blocks (keys) are left out.

    Raises:
        CertificateError: there is none, or one cannot be parsed.
    """
    try:
        found = x509.load_pem_x509_certificates(content)
        for certificate in found:
            _ = certificate.extensions  # parsed late, fails late
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise CertificateError(
            f"{where}: no certificate in PEM form can be read from it: {error}",
            f"look at it with: openssl x509 -in {where} -noout -text",
        ) from error
    return found


def private_key(content: bytes, where: Path) -> ServerKey:
    """The private key of a PEM file.

    Raises:
        CertificateError: there is none, it is encrypted, or of a kind that TLS servers in Go do
            not take (crypto/tls: RSA, ECDSA and Ed25519).
    """
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        raise CertificateError(
            f"{where}: the private key is encrypted, and a registry starts unattended",
            f"take the passphrase off: openssl pkey -in {where} -out PLAIN.key",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"{where}: no private key in PEM form can be read from it",
            f"look at it with: openssl pkey -in {where} -noout",
        ) from error
    if not isinstance(
        key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)
    ):
        raise CertificateError(
            f"{where}: a key of a kind that TLS servers do not take", "use an EC or RSA key"
        )
    return key


def of_certificates(*chain: x509.Certificate) -> bytes:
    """Certificates as one PEM file, in that order."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)


def of_key(key: ServerKey) -> str:
    """An unencrypted PKCS #8 PEM file, which every TLS server reads."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def same_key(certificate: x509.Certificate, key: ServerKey) -> bool:
    """Whether the certificate is for that private key."""
    return _public(certificate.public_key()) == _public(key.public_key())


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
