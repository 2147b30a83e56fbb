"""Tokens that a real registry must not take, and keys that follow one another."""

import base64
import hashlib
import hmac
import json
import re
import time
from datetime import datetime, timezone
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

import registry_3
from regfleet.doctor.causes import recognise
from regfleet.pki import tokens
from regfleet.pki.authority import token_certificate

NOW = datetime.now(timezone.utc)
ACCESS = [{"type": "repository", "name": "team-a/secret", "actions": ["pull", "push", "delete"]}]


def url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def made(stand, *, key=None, certificate=None, algorithm="ES256", header=None, **claims):
    """A token as the gateway makes them, unless told otherwise; a claim of None is left out."""
    keys = stand.material.tokens
    key = key or load_pem_private_key(keys.key_pem.reveal().encode(), None)
    shown = keys.certificate_der if certificate is None else certificate
    heading = {"typ": "JWT", "alg": algorithm, "x5c": [base64.b64encode(shown).decode()]}
    heading = {**heading, **(header or {})}
    now = int(time.time())
    body = {
        "iss": "regfleet",
        "sub": "carol",
        "aud": f"localhost:{stand.port}",
        "iat": now,
        "nbf": now - 30,
        "exp": now + 300,
        "jti": "x",
        "access": ACCESS,
        **claims,
    }
    body = {name: value for name, value in body.items() if value is not None}
    text = f"{url(json.dumps(heading).encode())}.{url(json.dumps(body).encode())}"
    if algorithm == "none":
        return f"{text}."
    if algorithm == "HS256":  # with what everybody knows of the key
        return f"{text}.{url(hmac.digest(shown, text.encode(), hashlib.sha256))}"
    first, second = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{url(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"


def foreign():
    """Another key, with a certificate that says what ours says."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = token_certificate("regfleet tokens of main", key, NOW)
    return key, certificate.public_bytes(Encoding.DER)


def test_all_of_these_run_before_a_registry_of_version_3(tmp_path):
    """If there is one; see `registry_program`."""
    assert registry_3.program(tmp_path).exists()


def test_one_made_like_the_gateways_is_taken(stand):
    assert stand.pull("team-a/secret", token=made(stand)).status == 200


@pytest.mark.parametrize("behind", [30, 45])
def test_clocks_may_differ_by_less_than_a_minute(stand, behind):
    """The gateway gives 30 s and the registry 60 s to one that is behind, 60 s to one ahead."""
    now = int(time.time())
    ahead = made(stand, iat=now + behind, nbf=now - 30 + behind, exp=now + 300 + behind)
    assert stand.pull("team-a/secret", token=ahead).status == 200
    late = made(stand, iat=now - 300 - behind, nbf=now - 330 - behind, exp=now - behind)
    assert stand.pull("team-a/secret", token=late).status == 200


LONG = 3600
REFUSED = {
    "expired": {"exp": -90, "nbf": -LONG, "iat": -LONG},
    "not yet": {"nbf": LONG, "iat": LONG, "exp": 2 * LONG},
    "wrong issuer": {"iss": "somebody"},
    "no issuer": {"iss": None},
    "wrong audience": {"aud": "other.test:5000"},
    "no audience": {"aud": None},
    "no end": {"exp": None},
    "unsigned": {"algorithm": "none"},
    "signed with the certificate": {"algorithm": "HS256"},
    "no certificate": {"header": {"x5c": []}},
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(stand, what):
    now = int(time.time())
    how = {
        name: now + value if name in ("exp", "nbf", "iat") and value is not None else value
        for name, value in REFUSED[what].items()
    }
    refused(stand, made(stand, **how))


def refused(stand, token):
    for method, path in (
        ("GET", "/v2/"),
        ("GET", "/v2/team-a/secret/manifests/1"),
        ("POST", "/v2/team-a/secret/blobs/uploads/"),
        ("GET", "/v2/_catalog"),
    ):
        answer = stand.ask(method, path, token=token)
        assert answer.status == 401, (method, path)
        assert answer.said == "authentication required"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_forged(stand):
    key, certificate = foreign()
    refused(stand, made(stand, key=key))
    refused(stand, made(stand, key=key, certificate=certificate))
    # A registry's own certificate is under the fleet's CA, which nobody may sign tokens with.
    served, own = stand.authority.issue("main", ["localhost"], NOW)
    refused(stand, made(stand, key=own, certificate=served.public_bytes(Encoding.DER)))
    good = made(stand).split(".")
    other = made(
        stand, sub="root", access=[{"type": "registry", "name": "catalog", "actions": ["*"]}]
    )
    refused(stand, ".".join((good[0], other.split(".")[1], good[2])))
    refused(stand, ".".join(good[:2]) + ".")
    for rubbish in ("", ".", "..", "a.b.c", "a.b.c.d", f"{'A' * 9000}.e30.A", '{"sub":"root"}'):
        refused(stand, rubbish)


def test_a_forged_token_strips_nothing_but_gets_nothing(stand):
    """Whose it says it is decides what becomes of a mount; the registry decides on the rest."""
    key, certificate = foreign()
    token = made(stand, key=key, certificate=certificate, sub="root")
    digest = "sha256:" + "0" * 64
    path = f"/v2/team-b/x/blobs/uploads/?mount={digest}&from=team-a/secret"
    assert stand.ask("POST", path, token=token).status == 401


def test_another_key_without_a_failed_pull(stands):
    """Both are known first, then the other one signs, then the first is forgotten."""
    stand = stands()
    assert stand.push("team-a/app", user="root").status == 201
    before = stand.token("repository:team-a/app:pull", user="bob")
    assert tokens.step(stand.state, "main") == "one key"
    tokens.accept_next(stand.state, "main", NOW)
    assert tokens.step(stand.state, "main") == "both accepted"
    restarted(stand)
    assert stand.pull("team-a/app", token=before).status == 200
    tokens.sign_with_next(stand.state, "main")
    assert tokens.step(stand.state, "main") == "next one signs"
    stand.reload()
    after = stand.token("repository:team-a/app:pull", user="bob")
    for token in (before, after):
        assert stand.pull("team-a/app", token=token).status == 200
    tokens.forget_former(stand.state, "main")
    assert tokens.step(stand.state, "main") == "one key"
    restarted(stand)
    assert stand.pull("team-a/app", token=after).status == 200
    assert stand.pull("team-a/app", token=before).status == 401


def restarted(stand):
    stand.write()
    stand.end("registry")
    stand.start_registry()
    stand.reload()


def test_a_key_that_does_not_match_is_said(stands):
    stand = stands()
    other = tokens.token_keys(stand.state, "other", NOW, save=True)
    (stand.directory / "registry" / "tokens.crt").write_bytes(other.bundle_pem)
    stand.end("registry")
    stand.start_registry()
    for _ in range(800):  # the machine may be busy
        answer = stand.ask("GET", stand.needs.ready)
        if answer.json.get("registry") == 401:
            break
        time.sleep(0.05)
    assert (answer.status, answer.json) == (503, {"ready": False, "registry": 401})
    assert "the registry refuses the tokens of this gateway" in stand.log("nginx")
    # Whoever asks learns it, and not that a password is wrong or a right is missing.
    for who in ({"user": "root"}, {"user": "bob"}, {}):
        for path in ("/v2/", "/v2/open/app/tags/list"):
            answer = stand.ask("GET", path, **who)
            if who or path != "/v2/":
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5"), (who, path)
                assert recognise(answer.said).cause.name == "gateway-tokens"


def test_a_token_that_ends_in_the_middle_of_a_push(stand):
    """The upload goes on where it was, by another token: the registry says that it wants one."""
    now = int(time.time())
    access = [{"type": "repository", "name": "team-a/long", "actions": ["pull", "push"]}]
    good = made(stand, sub="alice", access=access)
    ended = made(stand, sub="alice", access=access, iat=now - 400, nbf=now - 430, exp=now - 90)
    begun = stand.ask("POST", "/v2/team-a/long/blobs/uploads/", token=good)
    where = urlsplit(begun.headers["Location"])
    where = f"{where.path}?{where.query}"
    refused = stand.ask("PATCH", where, token=ended, body=b"half")
    assert refused.status == 401
    challenge = refused.headers["WWW-Authenticate"]
    assert challenge.startswith(f'Bearer realm="https://localhost:{stand.port}/auth/token"')
    # The registry puts the actions in any order (a map in its registry/auth).
    assert re.search(r'scope="repository:team-a/long:(pull,push|push,pull)"', challenge)
    fresh = stand.token("repository:team-a/long:pull,push", user="alice")
    went_on = stand.ask("PATCH", where, token=fresh, body=b"whole")
    assert went_on.status == 202
    where = urlsplit(went_on.headers["Location"])
    digest = hashlib.sha256(b"whole").hexdigest()
    end = f"{where.path}?{where.query}&digest=sha256:{digest}"
    assert stand.ask("PUT", end, token=fresh).status == 201


def test_after_five_minutes_no_registry_takes_one(stand):
    """Who was taken out of a project pulls no longer with what he had; where clocks are right."""
    text = stand.token("repository:team-a/secret:pull", user="carol").split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    for age, status in ((240, 200), (302, 401)):
        past = {name: claims[name] - age for name in ("iat", "nbf", "exp")}
        token = made(stand, **past)
        assert stand.pull("team-a/secret", token=token).status == status


@pytest.mark.parametrize(("ahead", "status"), [(-90, 200), (-30, 200), (30, 200), (120, 401)])
def test_a_fresh_token_of_a_gateway_whose_clock_is_off(stand, ahead, status):
    """One that is behind gives tokens that end early; one far ahead, such as are not good yet."""
    now = int(time.time()) + ahead
    token = made(stand, iat=now, nbf=now - 30, exp=now + 300)
    assert stand.pull("team-a/secret", token=token).status == status
