"""What a registry may say, and what the copy makes of it; and logins by token."""

import base64
import hashlib
import json
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from regfleet.pki.authority import new_authority
from regfleet.replication import engine


@pytest.fixture
def serve():
    """Start HTTP servers that answer from a function of method and path: status, headers, body."""
    servers = []

    def launch(answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, body = answer(self.command, self.path, self.headers)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = reply  # noqa: N815

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return {"name": "hostile", "url": f"http://127.0.0.1:{server.server_port}"}

    yield launch
    for server in servers:
        server.shutdown()
        server.server_close()


def answers(table):
    """Answers by path; else 200 and an empty object."""

    def answer(method, path, headers):
        found = table.get(f"{method} {path}", table.get(path, (200, {}, b"{}")))
        return found(method, path, headers) if callable(found) else found

    return answer


BOMB = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"/v2/_catalog?n=1000": (200, {}, b'{"repositories": ["../../etc"]}')}, "no name"),
        ({"/v2/_catalog?n=1000": (200, {}, b'{"repositories": ["a\\u001b[2J"]}')}, "no name"),
        ({"/v2/_catalog?n=1000": (200, {}, b" " * (17 << 20))}, "more than 16777216 bytes"),
        ({"/v2/_catalog?n=1000": (200, {}, BOMB)}, "no JSON"),
        (
            {"/v2/_catalog?n=1000": (200, {"Link": '<http://10.0.0.1/v2/x>; rel="next"'}, b"{}")},
            "the next page is elsewhere",
        ),
        (
            {"/v2/_catalog?n=1000": (200, {"Link": '</v2/_catalog?n=1000>; rel="next"'}, b"{}")},
            "its own next page",
        ),
        (
            {"/v2/_catalog?n=1000": (200, {}, b'{"repositories": ["a"]}'),
             "/v2/a/tags/list?n=1000": (200, {}, b'{"tags": ["x y"]}')},
            "no name",
        ),
        (
            {"/v2/_catalog?n=1000": (200, {}, b'{"repositories": ["a"]}'),
             "/v2/a/tags/list?n=1000": (200, {}, b'{"tags": ["1"]}'),
             "/v2/a/manifests/1": (200, {"Docker-Content-Digest": "sha256:../../x"}, b"")},
            "no digest",
        ),
        ({"/v2/": (401, {"WWW-Authenticate": 'Bearer service="x"'}, b"")}, "not told from where"),
        ({"/v2/": (404, {}, b"<html>")}, "404 <html>"),
    ],
)  # fmt: skip
def test_a_source_that_lies_ends_the_run_and_deletes_nothing(serve, start, copy, table, said):
    target = start()
    target.image("a", "1", b"1")
    ended = copy(serve(answers(table)), target, delete=True, deadline=30)
    assert ended["state"] in ("failed", "away")
    assert said in ended["errors"][0]
    assert all(error.isprintable() for error in ended["errors"])
    assert target.tags("a") == {"1"}


def image_of(manifest, more=None):
    """Answers of a registry with one image a:1."""
    raw = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    told = {"Docker-Content-Digest": digest, "Content-Type": engine.MANIFESTS[2]}
    return answers({
        "/v2/_catalog?n=1000": (200, {}, b'{"repositories": ["a"]}'),
        "/v2/a/tags/list?n=1000": (200, {}, b'{"tags": ["1"]}'),
        "/v2/a/manifests/1": (200, told, raw),
        f"/v2/a/manifests/{digest}": (200, told, raw),
    } | (more or {}))  # fmt: skip


BLOB = f"sha256:{hashlib.sha256(b'blob').hexdigest()}"
ONE = {"schemaVersion": 2, "mediaType": engine.MANIFESTS[2],
       "config": {"digest": BLOB, "size": 4}}  # fmt: skip


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (image_of({"schemaVersion": 1, "name": "a"}), "schema 1"),
        (image_of(ONE | {"layers": [{"digest": "../x", "size": 1}]}), "without a digest"),
        (image_of(ONE | {"layers": [{"digest": BLOB, "size": -1}]}), "a size that cannot be"),
        (image_of(ONE | {"layers": [{"digest": BLOB, "size": 1 << 60}]}), "a size that cannot be"),
        (image_of(ONE | {"layers": {"a": 1}}), "is no list"),
        (image_of(b" " * (5 << 20)), "more than 4194304 bytes"),
        (image_of(ONE, {f"/v2/a/blobs/{BLOB}": (200, {}, b"other")}), "longer than"),
        (image_of(ONE, {f"/v2/a/blobs/{BLOB}": (200, {}, b"BLOB")}), "DIGEST_INVALID"),
        (image_of(ONE, {f"/v2/a/blobs/{BLOB}": (404, {}, b"")}), "not there"),
        (
            image_of(ONE, {f"/v2/a/blobs/{BLOB}": (307, {"Location": "file:///etc/passwd"}, b"")}),
            "leads away",
        ),
    ],
)
def test_an_image_that_cannot_be_is_told_and_not_stored(serve, start, copy, source, said):
    target = start()
    ended = copy(serve(source), target, deadline=30)
    assert ended["state"] == "failed"
    assert said in ended["errors"][0], ended["errors"]
    assert target.digest("a", "1") is None


def test_a_manifest_with_other_content_than_its_digest(serve, start, copy):
    target = start()
    lie = (200, {"Docker-Content-Digest": BLOB, "Content-Type": engine.MANIFESTS[2]}, b"{}")
    source = image_of(ONE, {"/v2/a/manifests/1": lie, f"/v2/a/manifests/{BLOB}": lie})
    ended = copy(serve(source), target)
    assert "damaged" in ended["errors"][0]
    assert target.digest("a", "1") is None


def test_a_target_that_wants_the_upload_elsewhere(serve, start, copy):
    source = start()
    source.image("a", "1", b"1")

    def answer(method, _path, _headers):
        if method == "POST":
            return 202, {"Location": "http://192.0.2.1/v2/a/blobs/uploads/1"}, b""
        return 200 if method == "GET" else 404, {}, b"{}"

    ended = copy(source, serve(answer))
    assert "uploads would go to 192.0.2.1" in ended["errors"][0]


def test_an_answer_that_trickles_ends_with_the_deadline(serve, start, copy):
    def slow(*_):
        time.sleep(20)
        return 200, {}, b"{}"

    ended = copy(serve(answers({"/v2/_catalog?n=1000": slow})), start(), deadline=1)
    assert ended["state"] == "deadline"


def test_overload_is_waited_for(serve, start, copy):
    busy = [429, 503, 502]

    def often(*_):
        if busy:
            return busy.pop(), {"Retry-After": "1"}, b""
        return 200, {}, b'{"repositories": []}'

    ended = copy(serve(answers({"/v2/_catalog?n=1000": often})), start())
    assert (ended["state"], ended["retries"]) == ("ok", 3)


def test_a_blob_behind_a_redirect_goes_without_the_login(serve, start, copy):
    seen = []

    def store(_method, _path, headers):
        seen.append(headers.get("Authorization"))
        return 200, {}, b"blob"

    elsewhere = serve(store)["url"]
    source = image_of(ONE, {f"/v2/a/blobs/{BLOB}": (307, {"Location": f"{elsewhere}/x"}, b"")})
    target = start()
    ended = copy(serve(source) | {"user": "u", "password": "p"}, target)
    assert ended["errors"] == []
    assert seen == [None]
    target.whole("a", "1")


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=")


@pytest.fixture
def token_registry(start, serve, tmp_path):
    """A registry that wants tokens, and the tokens' issuer: what was asked for is in `asked`."""
    authority = new_authority("tokens", datetime.now(timezone.utc))
    certificate, key = authority.issue("tokens", ["tokens"], datetime.now(timezone.utc))
    chain = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    (tmp_path / "bundle.pem").write_bytes(authority.certificate_pem)
    asked = []

    def issue(_method, path, headers):
        query = parse_qs(urlsplit(path).query)
        user = base64.b64decode((headers.get("Authorization") or "")[6:]).decode()
        asked.append((user, query.get("scope", [])))
        if user != "ci:right":
            return 401, {}, b'{"errors": [{"code": "UNAUTHORIZED", "message": "no"}]}'
        now = int(time.time())
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        head = base64url(json.dumps({"typ": "JWT", "alg": "ES256", "x5c": [chain]}).encode())
        claims = base64url(json.dumps({
            "iss": "test", "sub": "ci", "aud": "registry", "exp": now + 300, "nbf": now - 10,
            "iat": now, "jti": str(len(asked)), "access": access}).encode())  # fmt: skip
        r, s = decode_dss_signature(key.sign(head + b"." + claims, ec.ECDSA(hashes.SHA256())))
        signed = base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        body = json.dumps({"token": b".".join((head, claims, signed)).decode(), "expires_in": 300})
        return 200, {}, body.encode()

    realm = serve(issue)["url"] + "/token?x=1"
    place = start(auth={"token": {
        "realm": realm, "service": "registry", "issuer": "test",
        "rootcertbundle": str(tmp_path / "bundle.pem")}})  # fmt: skip
    place.asked = asked
    return place


def test_a_login_by_token_at_either_end(token_registry, start, copy):
    source, end = start(), start()
    for number in range(30):
        source.image("a/b", f"v{number}", str(number).encode())
    there = token_registry.settings(user="ci", password="right")
    ended = copy(source, there, delete=True)
    assert ended["errors"] == []
    assert {user for user, _ in token_registry.asked} == {"ci:right"}
    # A token for each right, not for each request; threads that start at once may ask for one each.
    assert len(token_registry.asked) <= 1 + 3 * 8
    assert copy(there, end)["counts"]["copied"] == 30
    assert end.everything() == source.everything()
    refused = copy(there | {"password": "wrong"}, end)
    assert "gives no token: 401" in refused["errors"][0]
