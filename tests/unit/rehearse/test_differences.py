from pathlib import Path

import pytest
from making import client, fleet, host, registry

from regfleet.fleet.clients import Login, Mirror
from regfleet.fleet.machines import LOCAL, Host, Ssh
from regfleet.fleet.registries import PasswordSource, Tls, User
from regfleet.rehearse.casting import cast
from regfleet.rehearse.differences import of_any_fleet, of_this_fleet
from regfleet.rehearse.likeness import SMOKE, ImageStandIn, StandIns, likeness

OUTSIDE = registry("out", "out.example:5000", hosts=(), external=True, smoke=False, tls=Tls("none"),
                   users=(User("me", PasswordSource("env", "ME")),))  # fmt: skip
PLAYED = "is played by one made of this distribution's packages: Docker Hub cannot be reached"
SEED = ImageStandIn("registry:2", Path("/seed.tar"), "Docker Hub cannot be reached")


def told(whole, stand_ins=None, **options):
    who = cast(whole, **options)
    found = stand_ins or StandIns()
    twin = likeness(whole, who, found, "caller")
    return [f"{each.topic}: {each.text}" for each in of_this_fleet(whole, who, found, twin)]


def numbered(count):
    return tuple(host(f"web{number:02}") for number in range(1, count + 1))


LOCAL_HOST = Host(LOCAL, "localhost", Ssh(None, 22, None, True, "strict", None))


@pytest.mark.parametrize(
    ("whole", "stand_ins", "options", "line"),
    [
        (fleet(clients=[client(hosts=numbered(12))]), None, {},
         "hosts: 10 hosts left out, declared like others that are here (--per-group 0 takes all)"),
        (fleet(), None, {"limit": ["web1"]},
         "hosts: reg1 came along: others use the registry there"),
        (fleet([registry(hosts=(LOCAL_HOST,))]), None, {},
         "hosts: this machine (@local) is played by local"),
        (fleet(clients=[client(logins=(Login("main", "ci", ("root", "jenkins")),))]), None, {},
         "accounts: jenkins made for the logins; real hosts have to have them"),
        (fleet(), None, {},
         "engines: docker is there already; installing it is not tried (build)"),
        (fleet(clients=[client(engine="podman", install=False)]), None, {},
         "engines: podman is installed here, though install is off (build)"),
        (fleet(clients=[client(), client("kube", hosts=(host("k1"),), engine="rke2")]), None, {},
         "engines: kube is left out: a rehearsal cannot set up rke2"),
        (fleet([registry(image="registry:3"), registry("two", "t:5000", hosts=(host("r2"),))]),
         StandIns(images={"main": SEED, "two": SEED}), {},
         f"images: registry:3 of main {PLAYED}"),
        (fleet([registry(), registry("two", "t:5000", hosts=(host("r2"),))]),
         StandIns(images={"main": SEED, "two": SEED}), {},
         f"images: registry:2 of main, two {PLAYED}"),
        (fleet(), StandIns(images={SMOKE: ImageStandIn("busybox:latest", None, "no archive")}), {},
         "images: busybox:latest of the smoke test is pulled: no archive"),
        (fleet(), StandIns(passwords={("main", "ci"): "X is not set"}), {},
         "passwords: ci of main has a generated one: X is not set"),
        (fleet(), StandIns(certificates={"main": "/c.crt is gone"}), {},
         "certificates: main has one of a CA made for the rehearsal: /c.crt is gone"),
        (fleet([registry(), OUTSIDE], [client(registries=("main", "out"))]),
         StandIns(certificates={"out": "/ca is gone"}), {},
         "certificates: out: clients get no CA for it: /ca is gone"),
        (fleet([registry(), OUTSIDE], [client(logins=(Login("out", "me"),))]), None, {},
         "external: out (out.example:5000) is trusted, but not contacted, nor logged in to as me"),
        (fleet([registry(), OUTSIDE], [client(registries=("out",))]), None, {},
         "external: out (out.example:5000) is trusted, but not contacted"),
        (fleet(clients=[client(mirrors=(Mirror("https://m.example"),))]), None, {},
         "mirrors: https://m.example is set on clients, but cannot be reached from them"),
        (fleet([registry(proxy="https://up.example")]), None, {},
         "caches: main asks an empty registry in place of https://up.example"),
    ],
)  # fmt: skip
def test_what_is_unlike_this_fleet_is_told(whole, stand_ins, options, line):
    assert line in told(whole, stand_ins, **options)


def test_a_fleet_that_can_be_had_as_it_is_has_nothing_to_tell():
    assert told(fleet(clients=[client(install=False)])) == []


@pytest.mark.parametrize(
    ("engines", "words"),
    [
        ({"a": "docker 20.10 on bookworm", "b": "docker 20.10 on bookworm"},
         "any but docker 20.10 on bookworm: --suite takes others"),
        ({"a": "docker 20.10 on bookworm", "b": "docker 26.1 on trixie"},
         "any but docker 20.10 on bookworm (a); docker 26.1 on trixie (b): --suite takes others"),
        ({}, "any but those here: --suite takes others"),
    ],
)  # fmt: skip
def test_what_no_twin_shows(engines, words):
    found = {each.topic: each.text for each in of_any_fleet(engines, "6.1.0 for x86_64")}
    assert found["versions"] == words
    assert "6.1.0 for x86_64" in found["kernel"]
    assert {"network", "data", "what is there", "resources", "SSH"} <= set(found)
    assert not any("\n" in text for text in found.values())
