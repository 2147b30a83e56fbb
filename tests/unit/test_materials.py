"""What a fleet needs beside its file: made once, kept, and nothing kept by a plan."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from making import NOW, client, fleet, registry, with_login

from regfleet.errors import PasswordError
from regfleet.fleet.model import PasswordSource, Smoke, Tls, User
from regfleet.materials import gather
from regfleet.state import StateDirectory
from regfleet.touch import archive

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
    monkeypatch.setattr(archive, "_known", {})
    path = tmp_path / "image.tar"
    path.write_bytes(b"one")
    return path


def test_archives_are_read_once_for_all_runs(state, image, monkeypatch):
    declared = fleet(smoke=Smoke("busybox:latest", image))
    gather(declared, state, save=True, now=NOW)
    monkeypatch.setattr(archive, "_known", {})  # another process
    monkeypatch.setattr(archive, "hashlib", None)  # whoever read it again would need that
    gather(declared, state, save=True, now=NOW)
    assert archive.digest(image) == ONE


def test_an_archive_that_was_changed_is_read_again(state, image):
    declared = fleet(smoke=Smoke("busybox:latest", image))
    gather(declared, state, save=True, now=NOW)
    before = image.stat()
    image.write_bytes(b"two")
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    gather(declared, state, save=True, now=NOW)
    assert archive.digest(image) == hashlib.sha256(b"two").hexdigest()
    image.unlink()
    image.write_bytes(b"one")
    assert archive.digest(image) == ONE
    assert len(json.loads(state.read_text("archives.json"))) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}'])
def test_what_is_kept_of_archives_may_be_lost(state, image, text):
    state.write_text("archives.json", text)
    gather(fleet(smoke=Smoke("busybox:latest", image)), state, save=True, now=NOW)
    assert list(json.loads(state.read_text("archives.json")).values()) == [ONE]


def test_a_plan_keeps_no_digest(state, image):
    gather(fleet(smoke=Smoke("busybox:latest", image)), state, save=False, now=NOW)
    assert kept(state) == set()


ONE = hashlib.sha256(b"one").hexdigest()
