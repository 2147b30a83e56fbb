"""What can go wrong between this machine and a registry, in words. Pure."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Literal

from regfleet.errors import RegfleetError

Kind = Literal[
    "untrusted",  # the certificate's issuer is not trusted
    "wrong-name",  # the certificate is for other names
    "expired",  # the certificate is past its end, or before its start
    "tls",  # no TLS came about, for another reason
    "refused",  # nobody listens there
    "timeout",
    "unreachable",  # no way there, no such name, connection broke
    "unauthorized",  # 401
    "forbidden",  # 403
    "not-found",  # 404
    "unsupported",  # 405, deletion is off
    "not-a-registry",
    "protocol",  # a registry that answers what it should not
]

# X509_V_ERR_*, openssl/x509_vfy.h; Go says "certificate signed by unknown authority".
_UNTRUSTED = {2, 18, 19, 20, 21, 24, 79}
_DATES = {9: "is not valid yet", 10: "has expired"}
_NAMES = {62, 64}
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL)

_ERRORS: tuple[tuple[type[Exception], Kind, str, str], ...] = (
    (
        TimeoutError,
        "timeout",
        "no answer in time",
        "is the registry overloaded, or does a firewall drop the packets?",
    ),
    (
        ConnectionRefusedError,
        "refused",
        "connection refused, nobody listens there",
        "is the registry running, and is the port right?",
    ),
    (
        socket.gaierror,
        "unreachable",
        "the name cannot be resolved",
        "enter it in DNS or in /etc/hosts",
    ),
)


class RegistryError(RegfleetError):
    """A registry could not be talked to, or refused.

    Attributes:
        kind: what went wrong, for programs.
    """

    def __init__(self, kind: Kind, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.kind: Kind = kind


class BrokenConnectionError(RegistryError):
    """The connection ended before the answer did; on a kept connection worth one more try."""


def explain(error: Exception, endpoint: str) -> RegistryError:
    """An error of connecting, TLS or HTTP in the user's words.

    Args:
        error: as raised by socket, ssl, http.client, urllib3 or the tunnel.
        endpoint: the registry's, as clients type it.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error, endpoint)
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error, endpoint)
    for kind_of_error, kind, message, hint in _ERRORS:
        if isinstance(error, kind_of_error):
            return RegistryError(kind, f"{endpoint}: {message}", hint)
    if isinstance(error, OSError) and error.errno in _NO_WAY:
        return RegistryError("unreachable", f"{endpoint}: {error.strerror}", "is the host up?")
    said = (error.strerror if isinstance(error, OSError) else "") or str(error)
    return BrokenConnectionError(
        "unreachable",
        f"{endpoint}: the connection broke: {said or type(error).__name__}",
        "see the registry's log",
    )


def _explain_certificate(error: ssl.SSLCertVerificationError, endpoint: str) -> RegistryError:
    code, said = error.verify_code, error.verify_message
    if code in _UNTRUSTED:
        return RegistryError(
            "untrusted",
            f"{endpoint}: certificate signed by unknown authority ({said})",
            "is it this registry that answers, and does its declaration name its CA?",
        )
    if code in _DATES:
        return RegistryError(
            "expired",
            f"{endpoint}: the certificate {_DATES[code]}",
            "renew it, or check this machine's clock",
        )
    if code in _NAMES:
        return RegistryError(
            "wrong-name",
            f"{endpoint}: the certificate is for other names ({said})",
            "add the name to tls.names, or use an endpoint that the certificate covers",
        )
    return RegistryError("tls", f"{endpoint}: the certificate does not hold: {said}")


def _explain_tls(error: ssl.SSLError, endpoint: str) -> RegistryError:
    reason = error.reason or str(error)
    if reason in _NO_TLS:
        return RegistryError(
            "tls",
            f"{endpoint}: no TLS is spoken there",
            "is it plain HTTP (tls.source = 'none'), or another service on that port?",
        )
    if isinstance(error, ssl.SSLEOFError):
        return BrokenConnectionError(
            "tls", f"{endpoint}: the connection was closed in the middle of TLS"
        )
    words = reason.lower().replace("_", " ")
    return RegistryError("tls", f"{endpoint}: TLS failed: {words}", "see the registry's log")
