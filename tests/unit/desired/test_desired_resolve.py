"""A fleet and its materials become what each host should have."""

import json
from dataclasses import replace

import pytest
from making import client, fleet, host, material, materials, registry, with_login

from regfleet.desired.resolve import clients_of, emptied, registries_on, resolve
from regfleet.documents.interface import path
from regfleet.fleet.clients import Mirror
from regfleet.fleet.policies import Smoke
from regfleet.fleet.registries import Tls
from regfleet.model.desired import DesiredHost, WantedSettings
from regfleet.record import DAEMON_JSON


def daemon(want):
    return want.edits.get(DAEMON_JSON, WantedSettings())


PLAIN = {"tls": Tls("none"), "users": ()}


def resolved(registries=None, clients=None, **changes):
    made = fleet(registries, clients, **changes)
    return resolve(made, materials(made))


def test_every_host_once_in_the_fleets_order():
    assert list(resolved()) == ["reg1", "web1", "web2"]


def test_a_registrys_host():
    want = resolved()["reg1"]
    assert (want.engine, want.install) == ("docker", True)
    assert [each.name for each in want.services] == ["regfleet-main"]
    assert want.logins == ()
    assert DAEMON_JSON not in want.edits


def test_a_clients_host():
    want = resolved()["web1"]
    assert (want.engine, want.install) == ("docker", True)
    assert want.services == ()
    assert [file.path for file in want.files] == ["/etc/docker/certs.d/reg.example.com:5000/ca.crt"]
    assert want.images == ()


@pytest.mark.parametrize(
    ("runs", "installs", "install"),
    [(False, False, False), (False, True, True), (True, False, True)],
)
def test_an_engine_is_installed_for_a_registry_or_where_the_client_says_so(runs, installs, install):
    hosts = (host("reg1") if runs else host("web1"),)
    want = resolved(clients=[client(hosts=hosts, install=installs)])[hosts[0].name]
    assert want.install is install


def test_a_host_that_is_both_has_both():
    want = resolved(clients=[client(hosts=(host("reg1"),))])["reg1"]
    assert [each.name for each in want.services] == ["regfleet-main"]
    paths = [item.path for item in (*want.directories, *want.files)]
    assert "/etc/docker/certs.d/reg.example.com:5000/ca.crt" in paths
    assert len(paths) == len(set(paths))


def test_two_registries_on_one_host_share_their_parent():
    two = registry("two", "reg.example.com:5001", storage="/var/lib/two")
    want = resolved([registry(), two], [])["reg1"]
    assert [each.port for each in want.services] == [5000, 5001]
    paths = [directory.path for directory in want.directories]
    assert paths.count("/etc/regfleet") == 1


def trust_of(want):
    return {
        "insecure": daemon(want).lists.get(path("insecure-registries"), ()),
        "certs": [file.path.split("/")[4] for file in want.files],
    }


MAIN = "reg.example.com:5000"
OURS, PLAINLY = Mirror(f"https://{MAIN}", "main"), Mirror(f"http://{MAIN}", "main")
TRUSTS = {
    "the fleet's CA": ({}, {}, {"insecure": (), "certs": [MAIN]}),
    "plain": (PLAIN, {}, {"insecure": (MAIN,), "certs": []}),
    "not of the client": ({}, {"registries": ()}, {"insecure": (), "certs": []}),
    "a mirror of our own": (
        {}, {"registries": (), "mirrors": (OURS,)}, {"insecure": (), "certs": [MAIN]},
    ),
    "a plain mirror of our own": (
        PLAIN, {"registries": (), "mirrors": (PLAINLY,)}, {"insecure": (), "certs": []},
    ),
    "both": ({}, {"mirrors": (OURS,)}, {"insecure": (), "certs": [MAIN]}),
    "somebody else's mirror": (
        {}, {"mirrors": (Mirror("https://m.example"),)}, {"insecure": (), "certs": [MAIN]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRUSTS)
def test_trust(name):
    of_registry, of_client, expected = TRUSTS[name]
    made = fleet([registry(**of_registry)], [client(**of_client)])
    plain = of_registry.get("tls") == Tls("none")
    want = resolve(made, materials(made, main=material(ca=None if plain else b"CA\n")))["web1"]
    assert trust_of(want) == expected
    urls = tuple(mirror.url for mirror in of_client.get("mirrors", ()))
    assert daemon(want).lists.get(path("registry-mirrors"), ()) == urls


@pytest.mark.parametrize("order", [("declared", "mirrored"), ("mirrored", "declared")])
def test_a_plain_registry_is_trusted_though_another_group_only_mirrors_from_it(order):
    groups = {
        "declared": client("declared"),
        "mirrored": client("mirrored", registries=(), mirrors=(PLAINLY,)),
    }
    made = fleet([registry(**PLAIN)], [groups[name] for name in order])
    want = resolve(made, materials(made, main=material(ca=None)))["web1"]
    assert trust_of(want)["insecure"] == (MAIN,)
    assert daemon(want).reasons[path("insecure-registries")]


def test_settings_of_all_groups_come_together():
    a, b, c = Mirror("https://a"), Mirror("https://b"), Mirror("https://c")
    groups = [
        client("one", daemon={"debug": True}, mirrors=(a, b)),
        client("two", daemon={"live-restore": True}, mirrors=(b, c)),
    ]
    want = resolved(clients=groups)["web1"]
    assert daemon(want).values == {path("debug"): True, path("live-restore"): True}
    assert daemon(want).lists[path("registry-mirrors")] == ("https://a", "https://b", "https://c")


def test_logins_of_all_accounts_each_once():
    groups = [
        client("one", logins=with_login(accounts=("root", "ops"))),
        client("two", logins=with_login(accounts=("root",))),
    ]
    want = resolved(clients=groups)["web1"]
    assert [(each.account, each.endpoint, each.user) for each in want.logins] == [
        ("root", MAIN, "ci"),
        ("ops", MAIN, "ci"),
    ]


def test_the_smoke_image_is_looked_for_where_it_can_be_sent(tmp_path):
    (tmp_path / "busybox.tar").write_bytes(b"x")
    found = resolved(smoke=Smoke("busybox:latest", tmp_path / "busybox.tar"))
    assert [image.reference for image in found["web1"].images] == ["busybox:latest"]
    assert found["reg1"].images == ()


# ---- nothing ----


@pytest.mark.parametrize(("delete", "storage"), [(True, ("/var/lib/registry",)), (False, ())])
def test_an_emptied_fleet_wants_nothing_and_data_go_when_that_is_said(delete, storage):
    found = emptied(fleet(), delete_data=delete)
    why = "regfleet put it there"
    assert found["reg1"] == DesiredHost("reg1", "acme", delete_storage=storage, why_gone=why)
    assert found["web1"] == DesiredHost("web1", "acme", why_gone=why)


# ---- who is where ----


def test_groups_and_registries_of_a_host():
    made = fleet([registry()], [client("one"), client("two", hosts=(host("web2"), host("reg1")))])
    assert [each.name for each in clients_of(made, "web2")] == ["one", "two"]
    assert [each.name for each in clients_of(made, "reg1")] == ["two"]
    assert clients_of(made, "nowhere") == []
    assert [each.name for each in registries_on(made, "reg1")] == ["main"]
    assert registries_on(made, "web1") == []


def test_the_same_fleet_gives_the_same_hosts():
    made = fleet()
    given_ = materials(made)
    assert resolve(made, given_) == resolve(made, given_)
    assert json.dumps([repr(each) for each in resolve(made, given_).values()])
    other = replace(given_, registries={"main": material(htpasswd="x")})
    assert resolve(made, other)["reg1"] != resolve(made, given_)["reg1"]
