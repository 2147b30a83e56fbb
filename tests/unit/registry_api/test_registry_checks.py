"""Each negative check, where it passes and where it must not."""

import contextlib
import http.server
import socket
import ssl
import threading

import pytest

from regfleet.registry_api import checks
from regfleet.registry_api.channel import through
from regfleet.registry_api.target import Target
from regfleet.registry_api.tunnel import direct

OLD_TLS = checks._tls_1_1_context() is not None
needs_old_tls = pytest.mark.skipif(
    not OLD_TLS, reason=f"{ssl.OPENSSL_VERSION} cannot offer TLS 1.1"
)


def verdicts(found):
    return {check.name: check.verdict for check in found}


@pytest.mark.parametrize("way", ["direct", "tunnel"])
def test_a_registry_as_it_should_be(registry, way, request):
    dial = direct("127.0.0.1", registry.port)
    if way == "tunnel":
        dial = through(request.getfixturevalue("transport"), registry.port)
    found = checks.negative_checks("main", registry.target(dial=dial), "ci")
    assert verdicts(found) == {
        "main/anonymous-refused": "passed",
        "main/wrong-password-refused": "passed",
        "main/untrusted-ca-refused": "passed",
        "main/plain-http-refused": "passed",
        "main/old-tls-refused": "passed" if OLD_TLS else "skipped",
    }
    assert all("\n" not in check.detail and check.detail for check in found)


def test_only_what_makes_sense(registry, plain_registry):
    assert checks.negative_checks("main", plain_registry.target(), None) == ()
    assert [check.name for check in checks.negative_checks("main", registry.target(), None)] == [
        "main/untrusted-ca-refused",
        "main/plain-http-refused",
        "main/old-tls-refused",
    ]
    assert [
        check.name for check in checks.negative_checks("main", plain_registry.target(), "ci")
    ] == ["main/anonymous-refused", "main/wrong-password-refused"]


def test_an_open_registry_fails(plain_registry):
    target = plain_registry.target()
    assert checks.anonymous_refused(target) == ("failed", "/v2/ without a login answers 200")
    assert checks.wrong_password_refused(target, "ci") == (
        "failed",
        "/v2/ with a wrong password answers 200",
    )


@pytest.mark.parametrize(("users", "status"), [(False, 200), (True, 401)])
def test_plain_http_fails_where_it_is_served(start_registry, users, status):
    target = start_registry(tls=False, users=users).target(tls=True)
    assert checks.plain_http_refused(target) == (
        "failed",
        f"/v2/ is served without TLS: {status}",
    )


def test_a_bare_401_is_no_challenge():
    """A web server that is no registry, as a portal in between would be."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        target = Target("r:5000", direct("127.0.0.1", server.server_port), tls=False)
        found = checks.anonymous_refused(target)
        thread.join()
    assert found == ("failed", "/v2/ without a login answers 401 without WWW-Authenticate")


def test_untrusted_ca_fails_where_there_is_no_tls(plain_registry):
    verdict, detail = checks.untrusted_ca_refused(plain_registry.target(tls=True))
    assert verdict == "failed"
    assert "no TLS is spoken" in detail


def test_untrusted_ca_fails_where_the_stranger_is_believed(registry, authority, monkeypatch):
    monkeypatch.setattr(checks, "new_authority", lambda *_: authority)
    verdict, _ = checks.untrusted_ca_refused(registry.target())
    assert verdict == "failed"


@needs_old_tls
@pytest.mark.usefixtures("version_2")
def test_old_tls_fails_where_it_is_accepted(start_registry):
    registry = start_registry(minimum="tls1.0")
    assert checks.old_tls_refused(registry.target()) == ("failed", "TLSv1.1 was accepted")


@needs_old_tls
def test_old_tls_fails_where_there_is_no_tls(plain_registry):
    verdict, detail = checks.old_tls_refused(plain_registry.target(tls=True))
    assert verdict == "failed"
    assert "no TLS is spoken" in detail


def test_old_tls_is_skipped_where_it_cannot_be_offered(registry, monkeypatch):
    monkeypatch.setattr(checks, "_TLS_1_1", b"\x03\x00")
    verdict, detail = checks.old_tls_refused(registry.target())
    assert verdict == "skipped"
    assert ssl.OPENSSL_VERSION in detail


def test_nobody_listening_shows_nothing():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        target = Target("r:5000", direct("127.0.0.1", reserved.getsockname()[1]))
        found = checks.negative_checks("main", target, "ci")
    assert {check.verdict for check in found} - {"skipped"} == {"failed"}
    assert len(found) == 5
    assert all("no service listens" in check.detail for check in found if check.verdict == "failed")


def test_a_proxy_for_a_registry_that_is_down_shows_nothing():
    """It accepts and closes, as Docker's port proxy does: no refusal by any registry."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    proxy.accept()[0].close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        target = Target("r:5000", direct("127.0.0.1", proxy.getsockname()[1]), timeout=5)
        found = checks.negative_checks("main", target, "ci")
        proxy.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert {check.verdict for check in found} - {"skipped"} == {"failed"}
