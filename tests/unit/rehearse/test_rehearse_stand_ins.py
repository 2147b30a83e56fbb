from datetime import timedelta
from pathlib import Path

import pytest
from making import NOW, client, fleet, host, registry

from regfleet.errors import RegfleetError
from regfleet.fleet.policies import Smoke
from regfleet.fleet.registries import PasswordSource, Tls, User
from regfleet.pki import pem
from regfleet.pki.authority import new_authority
from regfleet.rehearse import stand_ins
from regfleet.rehearse.images import Seeds
from regfleet.rehearse.likeness import SMOKE, ImageStandIn
from regfleet.state import StateDirectory

SEEDS = Seeds(Path("/seeds/registry.tar"), Path("/seeds/busybox.tar"), Path("/seeds/nginx.tar"))
NO_HUB = "Docker Hub cannot be reached"


@pytest.fixture
def find(tmp_path):
    """`find(fleet, hub=True, now=)`: what is lacking; Docker Hub is there or not."""

    def call(whole, *, hub=False, now=NOW, seeds=lambda: SEEDS):
        state = StateDirectory(tmp_path / "state")
        found = stand_ins.find(whole, state, seeds, now, lambda: hub)
        assert not state.path.exists()  # nothing is kept
        return found

    return call


def users(**sources):
    return tuple(User(name, PasswordSource(*source)) for name, source in sources.items())


def test_passwords(find, tmp_path, monkeypatch):
    monkeypatch.setenv("THERE", "x")
    monkeypatch.delenv("GONE", raising=False)
    (tmp_path / "pw").write_text("x\n")
    wanted = users(
        a=("env", "THERE"), b=("env", "GONE"), c=("file", str(tmp_path / "pw")),
        d=("file", str(tmp_path / "none")), e=("command", "echo x"), f=("command", "false"),
        g=("generate",),
    )  # fmt: skip
    outside = registry("out", "o.example", hosts=(), external=True, tls=Tls("none"), users=wanted)
    found = find(fleet([registry(users=wanted), outside])).passwords
    assert {user for _, user in found} == {"b", "d", "f"}
    assert {name for name, _ in found} == {"main"}  # nobody logs in to an external one
    assert found["main", "b"] == "the environment variable GONE is not set"


@pytest.fixture
def pair(tmp_path):
    """Certificate, key and CA for reg.example.com, as Tls."""
    authority = new_authority("x", NOW)
    certificate, key = authority.issue("reg", ["reg.example.com"], NOW)
    for name, content in (
        ("c", pem.certificates_to_pem(certificate)),
        ("k", pem.key_to_pem(key).encode()),
        ("ca", authority.certificate_pem),
    ):
        (tmp_path / name).write_bytes(content)
    return Tls("files", (), tmp_path / "c", tmp_path / "k", tmp_path / "ca")


def test_a_certificate_that_can_serve_is_used(find, pair):
    assert find(fleet([registry(tls=pair)])).certificates == {}


@pytest.mark.parametrize("name", ["c", "k", "ca"])
def test_a_certificate_that_is_not_there(find, pair, tmp_path, name):
    (tmp_path / name).unlink()
    assert str(tmp_path / name) in find(fleet([registry(tls=pair)])).certificates["main"]


def test_a_certificate_that_has_expired(find, pair):
    later = NOW + timedelta(days=500)
    assert "expired" in find(fleet([registry(tls=pair)]), now=later).certificates["main"]


def test_the_ca_of_an_external_registry(find, pair, tmp_path):
    outside = registry("out", "o.example", hosts=(), external=True, smoke=False,
                       tls=Tls("files", ca=pair.ca))  # fmt: skip
    whole = fleet([registry(), outside])
    assert find(whole).certificates == {}
    (tmp_path / "ca").unlink()
    assert set(find(whole).certificates) == {"out"}


def test_images_without_docker_hub(find):
    found = find(fleet([registry(image="registry:3")])).images
    assert found == {
        "main": ImageStandIn("registry:2", SEEDS.registry, NO_HUB),
        SMOKE: ImageStandIn("busybox:latest", SEEDS.busybox, NO_HUB),
    }


def test_images_that_can_be_pulled_need_nothing(find):
    def never():
        raise AssertionError("no archive is needed")

    assert find(fleet(), hub=True, seeds=never).images == {}


def test_archives(find, tmp_path):
    (tmp_path / "there.tar").touch()
    there = fleet(
        [registry(image_archive=tmp_path / "there.tar")],
        smoke=Smoke("busybox:latest", tmp_path / "there.tar"),
    )
    assert find(there).images == {}
    gone = fleet([registry(image_archive=tmp_path / "gone.tar")])
    why = f"its archive {tmp_path / 'gone.tar'} cannot be read"
    assert find(gone, hub=True).images == {"main": ImageStandIn("registry:2", None, why)}
    assert find(gone).images["main"].reason == f"{why}, and {NO_HUB}"


def test_other_registries_than_docker_hub_are_not_asked(find):
    found = find(fleet([registry(image="quay.io/x/registry:2")]), hub=True).images
    assert found["main"].archive == SEEDS.registry
    assert "another registry" in found["main"].reason


def test_no_smoke_image_where_nothing_is_pushed(find):
    assert SMOKE not in find(fleet([registry(smoke=False)])).images
    assert SMOKE not in find(fleet([], [client(hosts=(host("w"),), registries=())])).images


def test_what_can_neither_be_pulled_nor_made(find):
    def never():
        raise RegfleetError("images can be made from packages on Debian and Ubuntu only")

    with pytest.raises(RegfleetError, match="Debian and Ubuntu only"):
        find(fleet(), seeds=never)


@pytest.mark.parametrize(
    ("image", "there"),
    [
        ("busybox", True), ("library/busybox:1", True), ("docker.io/library/busybox", True),
        ("quay.io/busybox", False), ("reg:5000/busybox", False), ("localhost/busybox", False),
    ],
)  # fmt: skip
def test_images_of_docker_hub(image, there):
    assert stand_ins.on_hub(image) is there
