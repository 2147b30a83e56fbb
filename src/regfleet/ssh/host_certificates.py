"""Host certificates of OpenSSH (openssh-portable, PROTOCOL.certkeys; sshkey.c)."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass

import paramiko
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)
from paramiko.pkey import UnknownKeyType

CERTIFICATE = "-cert-v01@openssh.com"  # at the end of a certificate's type
_SHA1 = "ssh-rsa"  # a signature that CASignatureAlgorithms leaves out


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """A certificate that a host showed, not checked yet.

    Attributes:
        authority: the key that signed it.
        signature: the type of its signature.
        inner: the certificate.
    """

    authority: paramiko.PKey
    signature: str
    inner: SSHCertificate

    def refused(self, name: str) -> str:
        """Why it does not count for a host; empty if it does.

        Args:
            name: the host's name without a port, or its HostKeyAlias.
        """
        inner = self.inner
        names = [each.decode("utf-8", "replace").lower() for each in inner.valid_principals]
        faults = (
            (inner.type is not SSHCertificateType.HOST, "it is not a host's certificate"),
            (
                not inner.valid_after <= time.time() < inner.valid_before,
                "it is not valid at this time",
            ),
            (
                bool(names) and name.lower() not in names,
                f"it is for {', '.join(names[:3])}, not for {name}",
            ),
            (bool(inner.critical_options), "it has critical options"),
            (self.signature == _SHA1, "it is signed with SHA-1"),
            (not self._is_signed(), "its signature is wrong"),
        )
        return next((fault for found, fault in faults if found), "")

    def _is_signed(self) -> bool:
        try:
            self.inner.verify_cert_signature()
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return True


def read(key: paramiko.PKey) -> HostCertificate | None:
    """The certificate that came with a host's key; None if the host showed a plain key.

    Raises:
        SSHException: it cannot be read.
    """
    blob = key.public_blob
    if blob is None:
        return None
    try:
        text = f"{blob.key_type} {base64.b64encode(blob.key_blob).decode()}"
        inner = load_ssh_public_identity(text.encode())
        if not isinstance(inner, SSHCertificate):
            return None
        signed = inner.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        kind, encoded = signed.decode().split()[:2]
        authority = paramiko.PKey.from_type_string(kind, base64.b64decode(encoded))
        return HostCertificate(authority, _signature_type(blob.key_type, blob.key_blob), inner)
    except (ValueError, UnsupportedAlgorithm, UnknownKeyType, IndexError) as error:
        raise paramiko.SSHException(f"the host's certificate cannot be read: {error}") from error


def _signature_type(kind: str, blob: bytes) -> str:
    """The type of a certificate's signature, such as `rsa-sha2-512` (PROTOCOL.certkeys)."""
    message = paramiko.Message(blob)
    for _ in range(3 if "ed25519" in kind else 4):  # type, nonce, numbers of the key
        message.get_string()
    message.get_int64()  # serial number
    message.get_int()  # host or user
    for _ in range(2):  # id, names
        message.get_string()
    for _ in range(2):  # valid from, valid to
        message.get_int64()
    for _ in range(4):  # critical options, extensions, reserved, authority
        message.get_string()
    return paramiko.Message(message.get_string()).get_string().decode("ascii", "replace")
