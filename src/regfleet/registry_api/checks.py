"""Tests, from this machine, that a registry refuses what it must; part of the smoke test.

A check passes only when it saw the refusal. When the registry cannot be reached, or refuses for
another reason, the check fails and its detail says what it saw. A closed connection counts as a
refusal only when a correct TLS connection works: Docker's port proxy or sshd may accept
connections for a registry that is down.
"""

from __future__ import annotations

import re
import secrets
import ssl
import warnings
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial

from regfleet.model.checks import Check, Verdict
from regfleet.pki.authority import new_authority
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError, cut, explain, only_registry_errors
from regfleet.registry_api.target import Credentials, Target, trusting
from regfleet.secret import Secret

Finding = tuple[Verdict, str]

_TLS_1_1 = b"\x03\x02"  # ProtocolVersion, RFC 4346


def negative_checks(
    registry: str,
    target: Target,
    user: str | None,
    *,
    retired: Mapping[str, Secret] | None = None,
    pushes: bool = True,
    credentials: Credentials | None = None,
) -> tuple[Check, ...]:
    """Run every check that applies to a registry, in a fixed order.

    Args:
        registry: its name, for the checks' names: `main/anonymous-refused`.
        target: the registry and the way to it.
        user: an existing user, whose password is not needed; None when the registry has no users.
            Then the checks of logins are left out.
        retired: passwords of users who are no longer declared, by user.
        pushes: whether the registry accepts pushes; a pull-through cache does not, nor does what
            serves a registry read-only.
        credentials: the login for the push that it must refuse.
    """
    checks: list[tuple[str, Callable[[], Finding]]] = []
    if user is not None:
        name = user
        checks.append(("anonymous-refused", lambda: anonymous_refused(target)))
        checks.append(("wrong-password-refused", lambda: wrong_password_refused(target, name)))
    for name, password in (retired or {}).items():
        gone = Credentials(name, password)
        checks.append(("removed-user-refused", partial(removed_user_refused, target, gone)))
    if not pushes:
        checks.append(("push-refused", lambda: push_refused(target, credentials)))
    if target.tls:
        checks.append(("untrusted-ca-refused", lambda: untrusted_ca_refused(target)))
        checks.append(("plain-http-refused", lambda: plain_http_refused(target)))
        checks.append(("old-tls-refused", lambda: old_tls_refused(target)))
    return tuple(Check(f"{registry}/{name}", *_run_check(check, target)) for name, check in checks)


def anonymous_refused(target: Target) -> Finding:
    """Without a login, `/v2/` answers 401 with a challenge (RFC 9110, 11.6.1)."""
    return _expect_401(target, None, "without a login")


def wrong_password_refused(target: Target, user: str) -> Finding:
    """An existing user with a random password gets 401."""
    credentials = Credentials(user, Secret(secrets.token_urlsafe(24)))
    return _expect_401(target, credentials, "with a wrong password")


def removed_user_refused(target: Target, credentials: Credentials) -> Finding:
    """A user who is no longer declared gets 401 with the password that was valid before.

    distribution keeps its old users when it cannot read a new htpasswd file (registry/auth/
    htpasswd/access.go), so a written file proves nothing.
    """
    return _expect_401(target, credentials, f"as {credentials.user}, who is no longer declared,")


def push_refused(target: Target, credentials: Credentials | None) -> Finding:
    """Uploads get 405: of a pull-through cache (registry/proxy/proxyblobstore.go), or read-only."""
    with RegistryClient(target, credentials) as client:
        answer = client.request("POST", "/v2/regfleet-smoke/refused/blobs/uploads/")
    if answer.status == 405:  # noqa: PLR2004
        return "passed", "405"
    return "failed", f"an upload was answered with {answer.status}"


def untrusted_ca_refused(target: Target) -> Finding:
    """A client that trusts only an unrelated CA refuses the registry's certificate."""
    stranger = new_authority("nobody", datetime.now(timezone.utc))
    try:
        target.connect_tls(trusting(stranger.certificate_pem)).close()
    except (ssl.SSLError, OSError) as error:
        said = explain(error, target.endpoint)
        if said.kind == "untrusted":
            return "passed", "unknown authority"
        return "failed", f"could not be tried: {said.message}"
    return "failed", "a client that trusts another CA was connected"


def plain_http_refused(target: Target) -> Finding:
    """Plain HTTP on the TLS port gets no answer of the registry API; Go's server answers 400."""
    stream = target.connect()
    try:
        stream.sendall(
            f"GET /v2/ HTTP/1.1\r\nHost: {target.endpoint}\r\nConnection: close\r\n\r\n".encode()
        )
        with stream.makefile("rb") as file:
            line = file.readline(200)
    except TimeoutError:
        return _refusal_by_silence(target, "no answer")
    except OSError:
        return _refusal_by_silence(target, "connection closed")
    finally:
        stream.close()
    if not line.startswith(b"HTTP/"):
        return _refusal_by_silence(target, "no HTTP answer" if line else "connection closed")
    status = line.split()[1].decode("ascii", "replace") if len(line.split()) > 1 else "?"
    if status.startswith("2") or status == "401":
        return "failed", f"/v2/ is served without TLS: {cut(status)}"
    if not re.fullmatch(r"[34]\d\d", status):  # an error of the server is no refusal
        return "failed", f"could not be tried: the answer was {cut(status)}"
    return "passed", f"status {status}"


def old_tls_refused(target: Target) -> Finding:
    """TLS 1.1 (deprecated by RFC 8996) is refused; skipped when this machine cannot offer it."""
    context = _tls_1_1_context()
    if context is None:
        return "skipped", f"{ssl.OPENSSL_VERSION} here cannot offer TLS 1.1"
    try:
        transport = target.connect_tls(context)
    except TimeoutError:
        return "failed", "could not be tried: no answer in time"
    except ssl.SSLError as error:
        return _refusal_by_silence(target, (error.reason or "refused").lower().replace("_", " "))
    except OSError:
        return _refusal_by_silence(target, "connection closed")
    version = transport.version()
    transport.close()
    return "failed", f"{version} was accepted"


def _refusal_by_silence(target: Target, seen: str) -> Finding:
    """Whether a closed or silent connection is a refusal: only if correct TLS works."""
    try:
        target.connect_tls().close()
    except (ssl.SSLError, OSError) as error:
        return "failed", f"could not be tried: {explain(error, target.endpoint).message}"
    return "passed", seen


def _run_check(check: Callable[[], Finding], target: Target) -> Finding:
    try:
        with only_registry_errors(target.endpoint):
            return check()
    except RegistryError as error:
        return "failed", f"could not be tried: {error.message}"


def _expect_401(target: Target, credentials: Credentials | None, how: str) -> Finding:
    with RegistryClient(target, credentials) as client:
        answer = client.request("GET", "/v2/")
    if answer.status != 401:  # noqa: PLR2004
        return "failed", f"/v2/ {how} answers {answer.status}"
    if "www-authenticate" not in answer.headers:
        return "failed", f"/v2/ {how} answers 401 without WWW-Authenticate"
    return "passed", "401"


def _tls_1_1_context() -> ssl.SSLContext | None:
    """A context for TLS 1.1 alone without checks; None when the local OpenSSL cannot offer it.

    The ClientHello that it would send shows whether it can: distributions turn TLS 1.1 off in
    several ways, and some show only there.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        hello = ssl.MemoryBIO()
        dry = context.wrap_bio(ssl.MemoryBIO(), hello)
        try:
            dry.do_handshake()
        except ssl.SSLWantReadError:
            # 5 bytes of record header, 4 of handshake header, client_version (RFC 5246, 7.4.1.2)
            return context if hello.read()[9:11] == _TLS_1_1 else None
    except (ssl.SSLError, ValueError, AttributeError):
        return None
    return None
