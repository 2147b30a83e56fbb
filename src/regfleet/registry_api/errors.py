"""Turns errors between this machine and a registry into messages. Pure."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, cast

from regfleet.errors import RegfleetError

if TYPE_CHECKING:
    import ssl

Kind = Literal[
    "untrusted",  # the certificate's issuer is not trusted
    "wrong-name",  # the certificate is for other names
    "expired",  # the certificate is past its end, or before its start
    "tls",  # no TLS came about, for another reason
    "refused",  # no service listens there
    "timeout",
    "unreachable",  # no way there, no such name, connection broke
    "unauthorized",  # 401
    "forbidden",  # 403
    "not-found",  # 404
    "unsupported",  # 405, deletion is off
    "read-only",  # 405 of the router: no writing at all
    "not-a-registry",
    "protocol",  # an answer that no registry should give
]

# X509_V_ERR_*, openssl/x509_vfy.h; Go says "certificate signed by unknown authority".
_UNTRUSTED = {2, 18, 19, 20, 21, 24, 79}
_DATES = {9: "is not valid yet", 10: "has expired"}
_NAMES = {62, 64}
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL)

# By name, so that importing this module does not import these packages. gevent warns where `ssl` is
# imported before it (gevent/monkey).
_CERTIFICATE_ERROR = "ssl.SSLCertVerificationError"
_TLS_ERROR = "ssl.SSLError"
_TLS_END = "ssl.SSLEOFError"
_HTTP_ERROR = "http.client.HTTPException"
_INCOMPLETE = "http.client.IncompleteRead"
_URLLIB3_ERROR = "urllib3.exceptions.HTTPError"

_MOST_SAID = 200  # characters of a registry's text in a message

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
        "connection refused, no service listens there",
        "is the registry running, and is the port right?",
    ),
    (
        socket.gaierror,
        "unreachable",
        "the name cannot be resolved",
        "add it to DNS or /etc/hosts",
    ),
)


class RegistryError(RegfleetError):
    """A registry could not be reached, or refused a request.

    Attributes:
        kind: the kind of failure, for callers.
        broke: whether the registry itself failed at the request (500).
    """

    def __init__(self, kind: Kind, message: str, hint: str = "", *, broke: bool = False) -> None:
        super().__init__(message, hint)
        self.kind: Kind = kind
        self.broke = broke


class BrokenConnectionError(RegistryError):
    """The connection ended before the answer did; on a kept connection, retry once."""


def cut(said: object) -> str:
    """A registry's text, cut to fit into a message."""
    text = str(said)
    return text if len(text) <= _MOST_SAID else f"{text[: _MOST_SAID - 1]}…"


@contextmanager
def only_registry_errors(endpoint: str) -> Iterator[None]:
    """Turn every exception in the block into an error of this registry.

    A registry's data reaches parsers of Python and its libraries, which raise more than they
    document: RecursionError for nested JSON, ValueError for a number of 5000 digits,
    UnicodeEncodeError for a path.

    Raises:
        RegfleetError: as it was raised in the block, or by `explain` for another exception.
    """
    try:
        yield
    except RegfleetError:
        raise
    except Exception as error:
        raise explain(error, endpoint) from error


def explain(error: Exception, endpoint: str) -> RegistryError:
    """The RegistryError for an exception of connecting, TLS, HTTP or parsing.

    Args:
        error: as raised by socket, ssl, http.client, urllib3, the tunnel, or a parser.
        endpoint: the registry's endpoint, as clients type it.
    """
    cause = error.__cause__ or (error.args[-1] if error.args else None)
    if (
        _URLLIB3_ERROR in _class_names(error)
        and isinstance(cause, Exception)
        and (isinstance(cause, OSError) or _HTTP_ERROR in _class_names(cause))
    ):
        error = cause
    names = _class_names(error)
    if _CERTIFICATE_ERROR in names:
        return _explain_certificate(cast("ssl.SSLCertVerificationError", error), endpoint)
    if _TLS_ERROR in names:
        return _explain_tls(cast("ssl.SSLError", error), endpoint)
    for kind_of_error, kind, message, hint in _ERRORS:
        if isinstance(error, kind_of_error):
            return RegistryError(kind, f"{endpoint}: {message}", hint)
    if isinstance(error, OSError) and error.errno in _NO_WAY:
        return RegistryError("unreachable", f"{endpoint}: {error.strerror}", "is the host up?")
    said = cut((error.strerror if isinstance(error, OSError) else "") or error)
    if isinstance(error, (OSError, EOFError)) or _INCOMPLETE in names:
        return BrokenConnectionError(
            "unreachable",
            f"{endpoint}: the connection broke: {said or type(error).__name__}",
            "see the registry's log",
        )
    is_http = {_HTTP_ERROR, _URLLIB3_ERROR} & names
    what = "is not HTTP" if is_http else "cannot be read"
    return RegistryError(
        "protocol",
        f"{endpoint}: the answer {what}: {type(error).__name__}: {said}",
        "is another service on that port, or a proxy in between?",
    )


def _class_names(error: Exception) -> set[str]:
    """The full names of an error's classes."""
    return {f"{each.__module__}.{each.__qualname__}" for each in type(error).__mro__}


def _explain_certificate(error: ssl.SSLCertVerificationError, endpoint: str) -> RegistryError:
    code, said = error.verify_code, error.verify_message
    if code in _UNTRUSTED:
        return RegistryError(
            "untrusted",
            f"{endpoint}: certificate signed by unknown authority ({said})",
            "does this registry answer there, and is its tls.ca right?",
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
    return RegistryError("tls", f"{endpoint}: the certificate is not valid: {said}")


def _explain_tls(error: ssl.SSLError, endpoint: str) -> RegistryError:
    reason = error.reason or str(error)
    if reason in _NO_TLS:
        return RegistryError(
            "tls",
            f"{endpoint}: no TLS is spoken there",
            "is it plain HTTP (tls.source = 'none'), or another service on that port?",
        )
    if _TLS_END in _class_names(error):
        return BrokenConnectionError(
            "tls", f"{endpoint}: the connection was closed in the middle of TLS"
        )
    words = reason.lower().replace("_", " ")
    return RegistryError("tls", f"{endpoint}: TLS failed: {words}", "see the registry's log")
