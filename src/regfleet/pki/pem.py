"""Reads certificates and keys in PEM (RFC 7468), with errors that name the file."""

from __future__ import annotations

import os
import warnings
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
from cryptography.utils import CryptographyDeprecationWarning

from regfleet.errors import CertificateError
from regfleet.pki import forms

MAX_BYTES = 4 << 20  # a bundle of all public CAs is a quarter of a megabyte

ServerKey: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey"


def read(path: Path) -> bytes:
    """A file's content.

    Raises:
        CertificateError: it is missing, unreadable, no file, or longer than `MAX_BYTES`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CertificateError(
            f"cannot read {path}: {reason}", "relative paths start at the fleet file's directory"
        ) from error
    if len(content) > MAX_BYTES:
        raise CertificateError(
            f"{path} is longer than {MAX_BYTES >> 20} MiB", "is it a certificate or a key?"
        )
    return content


def certificates(content: bytes, where: Path) -> list[x509.Certificate]:
    """Every certificate of a PEM file, in its order, without other blocks such as keys.

    Raises:
        CertificateError: there is none, or one cannot be parsed.
    """
    if forms.is_trusted(content):
        raise _in_another_form(content, where)
    try:
        with warnings.catch_warnings():
            # Some public CAs are older than the rules that cryptography warns of.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            found = x509.load_pem_x509_certificates(content)
            for certificate in found:  # these properties are parsed at their first use
                _ = certificate.extensions, certificate.subject, certificate.issuer
                _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
                _ = certificate.public_key(), certificate.signature_hash_algorithm
    except (
        ValueError,
        TypeError,
        OverflowError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        if forms.CERTIFICATE not in content:
            raise _in_another_form(content, where) from error
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
        raise _in_another_form(content, where, key=True) from error
    if not isinstance(
        key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)
    ):
        raise CertificateError(
            f"{where}: TLS servers do not take a key of this kind", "use an EC or RSA key"
        )
    return key


def _in_another_form(content: bytes, where: Path, *, key: bool = False) -> CertificateError:
    """The error for a file that is something else, with the command that converts it."""
    what = "private key" if key else "certificate"
    found = forms.instead(content, where, key=key)
    if found is None:
        command = f"openssl {'pkey' if key else 'x509'} -in {where} -noout"
        return CertificateError(
            f"{where}: no {what} in PEM form can be read from it", f"look at it with: {command}"
        )
    is_what, command = found
    return CertificateError(
        f"{where}: no {what} in PEM form can be read from it: {is_what}",
        f"{'look at it with' if '-noout' in command else 'convert it with'}: {command}",
    )


def certificates_to_pem(*chain: x509.Certificate) -> bytes:
    """Certificates as one PEM file, in that order."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)


def key_to_pem(key: ServerKey) -> str:
    """An unencrypted PKCS #8 PEM file, which every TLS server reads."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def same_key(certificate: x509.Certificate, key: ServerKey) -> bool:
    """Whether the certificate is for that private key."""
    return _public(certificate.public_key()) == _public(key.public_key())


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
