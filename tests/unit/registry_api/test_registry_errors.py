"""Errors of sockets, TLS and HTTP in words."""

import errno
import http.client
import socket
import ssl

import paramiko
import pytest

from regfleet.registry_api.channel import explain_channel
from regfleet.registry_api.errors import BrokenConnectionError, explain


def certificate(code, message):
    error = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    error.verify_code, error.verify_message = code, message
    return error


def tls(reason, kind=ssl.SSLError):
    error = kind(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (certificate(18, "self-signed certificate"), "untrusted", "unknown authority"),
        (certificate(19, "self-signed in chain"), "untrusted", "unknown authority"),
        (certificate(20, "no local issuer"), "untrusted", "(no local issuer)"),
        (certificate(21, "first certificate"), "untrusted", "unknown authority"),
        (certificate(10, "x"), "expired", "has expired"),
        (certificate(9, "x"), "expired", "is not valid yet"),
        (certificate(62, "Hostname mismatch"), "wrong-name", "other names (Hostname mismatch)"),
        (certificate(64, "IP address mismatch"), "wrong-name", "other names"),
        (certificate(26, "unsuitable purpose"), "tls", "is not valid: unsuitable purpose"),
        (tls("WRONG_VERSION_NUMBER"), "tls", "no TLS is spoken"),
        (tls("TLSV1_ALERT_PROTOCOL_VERSION"), "tls", "tlsv1 alert protocol version"),
        (tls("x", ssl.SSLEOFError), "tls", "in the middle of TLS"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused", "no service listens"),
        (TimeoutError(), "timeout", "no answer in time"),
        (socket.gaierror(-2, "Name or service not known"), "unreachable", "resolved"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "unreachable", "No route to host"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "unreachable", "broke: reset"),
        (http.client.RemoteDisconnected("ended"), "unreachable", "broke: ended"),
        (http.client.BadStatusLine("SSH-2.0"), "protocol", "SSH-2.0"),
        (RecursionError("too deep"), "protocol", "RecursionError: too deep"),
        (EOFError(), "unreachable", "broke: EOFError"),
    ],
)
def test_explain(error, kind, message):
    found = explain(error, "r:5000")
    assert found.kind == kind
    assert "r:5000" in found.message
    assert message in found.message


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ConnectionResetError(), True),
        (http.client.RemoteDisconnected(), True),
        (tls("x", ssl.SSLEOFError), True),
        (TimeoutError(), False),
        (ConnectionRefusedError(), False),
        (certificate(20, "x"), False),
    ],
)
def test_only_a_broken_connection_is_worth_another_try(error, again):
    assert isinstance(explain(error, "r"), BrokenConnectionError) is again


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (paramiko.ChannelException(1, "prohibited"), "unreachable", "sshd refuses to forward"),
        (paramiko.ChannelException(2, "failed"), "refused", "no service listens on h:5000"),
        (paramiko.ChannelException(4, "short"), "unreachable", "no SSH channel"),
        (paramiko.SSHException("SSH session not active"), "unreachable", "not active"),
        (EOFError(), "unreachable", "EOFError"),
    ],
)
def test_explain_channel(error, kind, message):
    found = explain_channel(error, "h:5000")
    assert found.kind == kind
    assert message in found.message
