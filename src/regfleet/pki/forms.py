"""Recognises files that are not the PEM that was looked for, and names the command that makes it.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key

# In DER (X.690): what a PFX begins with (RFC 7292, 4), and the object identifier of signedData
# (RFC 2315, 14).
_VERSION_3 = b"\x02\x01\x03"
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_SEQUENCE = 0x30
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # the byte order marks (RFC 2781, 3.2)
_JAVA = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")  # JKS and JCEKS
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"


class _Form(NamedTuple):
    """A kind of file; its command has {file}, {result} and, of PKCS #12, {part}."""

    holds: Callable[[bytes], bool]
    what: str
    command: str


def instead(content: bytes, where: Path, *, key: bool = False) -> tuple[str, str] | None:
    """What a file is in which the PEM of a certificate or key was not found, and what to do.

    Args:
        where: its path, for the command.
        key: whether a private key is looked for, and no certificate.

    Returns:
        What it is, and a command; None for a file that is nothing known.
    """
    values = {
        "file": quote(str(where)),
        "result": quote(f"{where.stem}.{'key' if key else 'pem'}"),
        "part": "-nocerts -nodes" if key else "-nokeys",
    }
    for form in _FORMS:
        if form.holds(content):
            return form.what, form.command.format(**values)
    return None


def is_trusted(content: bytes) -> bool:
    """Whether a certificate is in OpenSSL's own form (openssl-x509(1), -trustout)."""
    return b"-----BEGIN TRUSTED CERTIFICATE-----" in content


def _inside_sequence(content: bytes) -> bytes:
    """The beginning of what is in a file's DER SEQUENCE (X.690, 8.1.3); empty if it has none."""
    if len(content) < len(_SIGNED_DATA) or content[0] != _SEQUENCE:
        return b""
    count = content[1] & 0x7F if content[1] & 0x80 else 0
    return content[2 + count : 64]


def _is_certificate(content: bytes) -> bool:
    if not _inside_sequence(content):
        return False
    try:
        x509.load_der_x509_certificate(content)
    except ValueError:
        return False
    return True


def _is_key(content: bytes) -> bool:
    if not _inside_sequence(content):
        return False
    try:
        load_der_private_key(content, password=None)
    except TypeError:  # it is encrypted
        return True
    except Exception:  # noqa: BLE001 - any failure, of whatever backend, means that it is none
        return False
    return True


_FORMS = (
    _Form(
        is_trusted,
        "it has a TRUSTED CERTIFICATE, which is OpenSSL's own form",
        "openssl x509 -in {file} -out {result}",
    ),
    _Form(
        lambda content: b"-----BEGIN PKCS7-----" in content,
        "it is PKCS #7",
        "openssl pkcs7 -in {file} -print_certs -out {result}",
    ),
    _Form(
        lambda content: _inside_sequence(content).startswith(_VERSION_3),
        "it is PKCS #12",
        "openssl pkcs12 -in {file} {part} -out {result}",
    ),
    _Form(
        lambda content: _inside_sequence(content).startswith(_SIGNED_DATA),
        "it is PKCS #7 in DER form",
        "openssl pkcs7 -inform DER -in {file} -print_certs -out {result}",
    ),
    _Form(
        _is_certificate,
        "it is a certificate in DER form",
        "openssl x509 -inform DER -in {file} -out {result}",
    ),
    _Form(
        _is_key,
        "it is a private key in DER form",
        "openssl pkey -inform DER -in {file} -out {result}",
    ),
    _Form(
        lambda content: content.startswith(_JAVA),
        "it is a Java keystore",
        "keytool -importkeystore -srckeystore {file} -deststoretype PKCS12 -destkeystore STORE.p12;"
        " openssl pkcs12 -in STORE.p12 {part} -out {result}",
    ),
    _Form(
        lambda content: content.startswith(_UTF_16),
        "it is text in UTF-16, as PowerShell writes it",
        "iconv -f UTF-16 -t UTF-8 {file} >{result}",
    ),
    _Form(
        lambda content: b"-----BEGIN CERTIFICATE REQUEST-----" in content,
        "it is a request, which a CA has to sign",
        "openssl req -in {file} -noout -text",
    ),
    _Form(
        lambda content: _KEY in content and CERTIFICATE not in content,
        "it is a private key",
        "openssl pkey -in {file} -noout -text_pub",
    ),
    _Form(
        lambda content: CERTIFICATE in content and _KEY not in content,
        "it is a certificate",
        "openssl x509 -in {file} -noout -text",
    ),
)
