"""What a fleet needs beside its file: made once, kept, and nothing kept by a plan."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from making import NOW, client, fleet, host, registry, with_login

from regfleet import archives
from regfleet.desired.resolve import resolve
from regfleet.errors import CertificateError, PasswordError, StateError
from regfleet.fleet.policies import Smoke
from regfleet.fleet.registries import S3, Gateway, PasswordSource, Project, Tls, User
from regfleet.materials import gather
from regfleet.report.resource_text import resource_text
from regfleet.run import known
from regfleet.state import StateDirectory

EXTERNAL = registry(
    "outside",
    "outside.example",
    external=True,
    hosts=(),
    tls=Tls("public"),
    users=(User("ci", PasswordSource("generate")), User("bob", PasswordSource("generate"))),
)


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


def kept(state):
    if not state.path.exists():
        return set()
    return {str(path.relative_to(state.path)) for path in state.path.rglob("*") if path.is_file()}


def shown(found):
    """All of some materials, secrets included."""
    return [
        (
            name,
            each.pair and (each.pair.certificate_pem, each.pair.key_pem.reveal()),
            each.ca,
            each.htpasswd,
            each.http_secret.reveal(),
            {user: password.reveal() for user, password in each.passwords.items()},
        )
        for name, each in found.registries.items()
    ] + [found.salt]


def test_a_plan_keeps_nothing(state, tmp_path):
    found = gather(fleet(), state, save=False, now=NOW)
    assert found.registries["main"].pair
    assert list(tmp_path.rglob("*")) == []


def test_a_plan_behind_an_apply_keeps_nothing_more_and_finds_the_same(state):
    saved = gather(fleet(), state, save=True, now=NOW)
    before = {path: (state.path / path).read_bytes() for path in kept(state)}
    assert shown(gather(fleet(), state, save=False, now=NOW)) == shown(saved)
    assert {path: (state.path / path).read_bytes() for path in kept(state)} == before


def test_what_was_kept_is_found_again(state):
    one = gather(fleet(), state, save=True, now=NOW)
    files = kept(state)
    assert shown(gather(fleet(), state, save=True, now=NOW)) == shown(one)
    assert kept(state) == files


def test_two_fleets_share_nothing(tmp_path):
    one = gather(fleet(), StateDirectory(tmp_path / "one"), save=True, now=NOW)
    two = gather(fleet(), StateDirectory(tmp_path / "two"), save=True, now=NOW)
    for first, second in zip(shown(one)[0][1:], shown(two)[0][1:], strict=True):
        assert first != second
    assert one.salt != two.salt


def test_a_registry_without_tls_and_users_has_neither(state):
    plain = registry(tls=Tls("none"), users=())
    found = gather(fleet([plain]), state, save=True, now=NOW).registries["main"]
    assert (found.pair, found.ca, found.htpasswd, found.passwords) == (None, None, None, {})
    assert not any("ca" in Path(path).name for path in kept(state))


@pytest.mark.parametrize(("logins", "users"), [((), set()), (with_login("outside"), {"ci"})])
def test_of_an_external_registry_only_what_a_client_logs_in_with(state, logins, users):
    clients = [client(registries=("outside",), logins=logins)]
    found = gather(fleet([EXTERNAL], clients), state, save=True, now=NOW).registries["outside"]
    assert set(found.passwords) == users
    assert found.pair is None
    assert found.htpasswd is None


def test_every_user_of_ours_has_a_hash(state):
    users = (User("ci", PasswordSource("generate")), User("bob", PasswordSource("generate")))
    found = gather(fleet([registry(users=users)]), state, save=True, now=NOW).registries["main"]
    assert [line.split(":")[0] for line in found.htpasswd.splitlines()] == ["ci", "bob"]
    assert set(found.passwords) == {"ci", "bob"}


def test_a_password_that_cannot_be_had_is_an_error(state, monkeypatch):
    monkeypatch.delenv("NO_SUCH_PASSWORD", raising=False)
    users = (User("ci", PasswordSource("env", "NO_SUCH_PASSWORD")),)
    with pytest.raises(PasswordError, match="NO_SUCH_PASSWORD"):
        gather(fleet([registry(users=users)]), state, save=True, now=NOW)


def test_the_keys_of_a_gateway_are_kept(state):
    whole = fleet([registry(projects=(Project("a"),), gateway=Gateway("nginx:stable"))])
    assert gather(fleet(), state, save=True, now=NOW).registries["main"].tokens is None
    gather(whole, state, save=False, now=NOW)
    assert state.read("registry/main.token-key") is None
    first = gather(whole, state, save=True, now=NOW).registries["main"].tokens
    assert gather(whole, state, save=False, now=NOW).registries["main"].tokens == first
    assert "PRIVATE KEY" in first.key_pem.reveal()


def test_no_secret_prints(state):
    found = gather(fleet(), state, save=True, now=NOW)
    material = found.registries["main"]
    text = repr(found)
    for secret in (
        material.htpasswd,
        material.http_secret.reveal(),
        material.passwords["ci"].reveal(),
        material.pair.key_pem.reveal(),
    ):
        assert secret not in text


# ---- image archives ----


@pytest.fixture
def image(tmp_path, monkeypatch):
    """An archive, and nothing known from other tests."""
    monkeypatch.setattr(archives, "_known", {})
    path = tmp_path / "image.tar"
    path.write_bytes(b"one")
    return path


def test_archives_are_read_once_for_all_runs(state, image, monkeypatch):
    declared = fleet(smoke=Smoke("busybox:latest", image))
    gather(declared, state, save=True, now=NOW)
    monkeypatch.setattr(archives, "_known", {})  # another process
    monkeypatch.setattr(archives, "hashlib", None)  # whoever read it again would need that
    gather(declared, state, save=True, now=NOW)
    assert archives.digest(image) == ONE


def test_an_archive_that_was_changed_is_read_again(state, image):
    declared = fleet(smoke=Smoke("busybox:latest", image))
    gather(declared, state, save=True, now=NOW)
    before = image.stat()
    image.write_bytes(b"two")
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    gather(declared, state, save=True, now=NOW)
    assert archives.digest(image) == hashlib.sha256(b"two").hexdigest()
    image.unlink()
    image.write_bytes(b"one")
    assert archives.digest(image) == ONE
    assert len(json.loads(state.read_text("archives.json"))) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"x": 1}', '{"MARK": 1}', '{"MARK": "x"}', "[" * 100_000, "9" * 5000]
)
def test_what_is_kept_of_archives_may_be_lost_or_nonsense(state, image, text, monkeypatch):
    monkeypatch.setattr(archives, "_known", {})
    state.write_text("archives.json", text.replace("MARK", archives.mark_of(image)))
    gather(fleet(smoke=Smoke("busybox:latest", image)), state, save=True, now=NOW)
    assert list(json.loads(state.read_text("archives.json")).values()) == [ONE]


def test_a_plan_keeps_no_digest(state, image):
    gather(fleet(smoke=Smoke("busybox:latest", image)), state, save=False, now=NOW)
    assert kept(state) == set()


ONE = hashlib.sha256(b"one").hexdigest()


@pytest.mark.parametrize("name", ["salt", "registry/main.http-secret"])
@pytest.mark.parametrize("planted", ["", "short", "a" * 10_000, "x\n" * 20, "' ; touch /x #" * 4])
def test_what_should_be_random_and_is_not_is_refused_by_its_place(state, name, planted):
    gather(fleet(), state, save=True, now=NOW)
    state.write_text(name, planted)
    with pytest.raises(StateError) as caught:
        gather(fleet(), state, save=False, now=NOW)
    assert str(state.path_of(name)) in caught.value.message
    with pytest.raises(StateError):
        known.read(fleet(), state, NOW)


PLANTED = pytest.mark.parametrize("planted", [b"", b"nonsense", b"\xff" * 100, "server"])


@pytest.fixture
def content(state, planted):
    """What is planted; `server` stands for a certificate that is no CA's."""
    served = gather(fleet(), state, save=True, now=NOW).registries["main"]
    return served.pair.certificate_pem if planted == "server" else planted


@PLANTED
@pytest.mark.parametrize("name", ["ca.key", "ca.crt"])
def test_a_ca_that_is_none_is_told_by_its_place(state, name, content):
    state.write(name, content)
    with pytest.raises(CertificateError) as caught:
        gather(fleet(), state, save=False, now=NOW)
    assert str(state.path_of(name)) in caught.value.message
    assert caught.value.hint


@PLANTED
def test_what_a_registry_serves_is_made_anew(state, content, planted):
    state.write("registry/main.crt", content)
    reason = gather(fleet(), state, save=False, now=NOW).registries["main"].pair.reason
    assert (reason is None) == (planted == "server")


def test_only_the_secrets_of_the_runs_hosts_are_asked_for(state, tmp_path):
    """Those of all others may be out of reach: in CI, or with another team."""
    missing = User("bob", PasswordSource("file", str(tmp_path / "not-there")))
    files = Tls("files", certificate=tmp_path / "no.crt", key=tmp_path / "no.key")
    other = registry("other", "o.example:5000", hosts=(host("reg2"),), users=(missing,), tls=files)
    clients = [
        client("mine", hosts=(host("web1"),), logins=with_login()),
        client("theirs", hosts=(host("web2"),), logins=with_login("other", "bob")),
    ]
    declared = fleet([registry(), other], clients)
    for part in (["reg1", "web1"], ["web1"]):
        found = gather(declared, state, save=True, now=NOW, hosts=part)
        assert set(resolve(declared, found, part)) == set(part)
        assert set(found.registries["main"].passwords) == {"ci"}
    for part in (None, ["reg2"], ["web2"]):
        with pytest.raises((PasswordError, CertificateError), match=r"not-there|no\.crt"):
            gather(declared, state, save=False, now=NOW, hosts=part)


def test_of_a_part_the_same_comes_as_of_the_whole(state):
    clients = [client(logins=with_login())]
    all_of_it = gather(fleet(clients=clients), state, save=True, now=NOW)
    part = gather(fleet(clients=clients), state, save=True, now=NOW, hosts=["web1"])
    whole = resolve(fleet(clients=clients), all_of_it)["web1"]
    assert resolve(fleet(clients=clients), part, ["web1"]) == {"web1": whole}


UPSTREAM = User("me", PasswordSource("env", "UP"))
CACHES = [
    registry(users=()),
    registry("cache", "cache.example:5001", users=(), hosts=(host("web9"),),
             proxy="https://REG.example.com:5000", proxy_user=UPSTREAM),
    registry("hub", "hub.example:5002", users=(), hosts=(host("web9"),),
             proxy="https://registry-1.docker.io"),
    EXTERNAL,
    registry("outer", "outer.example:5003", users=(), proxy="https://outside.example",
             hosts=(host("web9"),)),
]  # fmt: skip


def test_a_cache_gets_its_login_and_the_ca_of_a_declared_upstream(state, monkeypatch):
    monkeypatch.setenv("UP", "x" * 2000)  # longer than bcrypt takes: tokens are
    found = gather(fleet(CACHES), state, save=True, now=NOW).registries
    assert found["cache"].upstream_password.reveal() == "x" * 2000
    assert found["cache"].upstream_ca == found["main"].ca
    for name in ("main", "hub", "outer"):  # the last one's upstream has a public certificate
        assert (found[name].upstream_password, found[name].upstream_ca) == (None, None)


def test_the_upstreams_password_is_asked_for_only_where_the_cache_is_in_the_run(state, monkeypatch):
    monkeypatch.delenv("UP", raising=False)
    gather(fleet(CACHES), state, save=True, now=NOW, hosts=["reg1"])
    with pytest.raises(PasswordError, match=r"'me' at the upstream of registry 'cache': .* UP is"):
        gather(fleet(CACHES), state, save=True, now=NOW)


def test_the_keys_of_a_bucket_are_read_and_unknown_ones_are_compared_with_nothing(
    state, monkeypatch
):
    keys = tuple(PasswordSource("env", name) for name in ("S3_KEY", "S3_SECRET"))
    bucket = registry(storage="", s3=S3("images", "us-east-1", keys=keys))
    monkeypatch.setenv("S3_KEY", "AKIA")
    monkeypatch.setenv("S3_SECRET", "secret")
    found = gather(fleet([bucket]), state, save=True, now=NOW).registries["main"]
    assert [each.reveal() for each in found.s3_keys] == ["AKIA", "secret"]
    monkeypatch.delenv("S3_SECRET")
    with pytest.raises(PasswordError, match=r"secret key of bucket 'images' of registry 'main'"):
        gather(fleet([bucket]), state, save=True, now=NOW)
    read = known.read(fleet([bucket]), state, NOW)
    assert "secret key of bucket" in next(iter(read.errors())).message
    unknown = set(map(resource_text, read.wanted().unknown["reg1"]))
    assert "file /etc/regfleet/main/config.yml" in unknown


def test_an_unknown_password_of_an_upstream_makes_the_configuration_unknown(state, monkeypatch):
    """As in `status` on a machine without the password: nothing is claimed of that file."""
    monkeypatch.setenv("UP", "secret")
    gather(fleet(CACHES), state, save=True, now=NOW)
    assert not known.read(fleet(CACHES), state, NOW).wanted().unknown["web9"]
    monkeypatch.delenv("UP")
    found = known.read(fleet(CACHES), state, NOW)
    assert "file /etc/regfleet/cache/config.yml" in set(
        map(resource_text, found.wanted().unknown["web9"])
    )
    assert "at the upstream of registry 'cache'" in next(iter(found.errors())).message
    assert found.registries["cache"].credentials() is None  # it asks nobody for a login
