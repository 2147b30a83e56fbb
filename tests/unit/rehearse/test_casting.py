import pytest
from making import client, fleet, host, registry

from regfleet.errors import UsageError
from regfleet.fleet.clients import Login, Mirror
from regfleet.fleet.registries import Tls
from regfleet.rehearse.casting import MOST_HOSTS, cast


def hosts(*names):
    return tuple(map(host, names))


def numbered(count, prefix="web"):
    return hosts(*(f"{prefix}{number:03}" for number in range(1, count + 1)))


def build(**changes):
    return client(**{"hosts": numbered(40), **changes})


@pytest.mark.parametrize(
    ("per_group", "names"),
    [
        (1, ["web001"]),
        (2, ["web001", "web040"]),
        (3, ["web001", "web020", "web040"]),
        (39, [f"web{number:03}" for number in range(1, 40 + 1) if number != 39]),
        (40, [f"web{number:03}" for number in range(1, 41)]),
        (0, [f"web{number:03}" for number in range(1, 41)]),
    ],
)
def test_large_groups_are_sampled_from_end_to_end(per_group, names):
    found = cast(fleet(clients=[build()]), per_group=per_group)
    assert list(found.suites) == ["reg1", *names]
    assert found.represented == 40 - len(names)


def test_what_is_declared_alike_is_in_the_same_groups_and_on_the_same_suite():
    special = client("gpu", hosts=numbered(40)[-3:])
    found = cast(fleet(clients=[build(), special]), suites=["web00*=sid"], per_group=1)
    assert found.suites == {
        "reg1": "bookworm",
        "web001": "sid",
        "web010": "bookworm",
        "web038": "bookworm",
    }


def test_every_registry_plays():
    many = [registry(f"r{n}", f"r{n}:5000", hosts=hosts(f"reg{n}")) for n in range(9)]
    assert len(cast(fleet(many, [client(registries=())])).suites) == 9 + 2


@pytest.mark.parametrize(
    "uses",
    [
        {"registries": ("main",)},
        {"registries": (), "mirrors": (Mirror("https://reg.example.com:5000", "main"),)},
        {"registries": (), "logins": (Login("main", "ci"),)},
    ],
)
def test_registries_that_are_used_come_along(uses):
    other = registry("other", "o:5000", hosts=hosts("reg9"))
    found = cast(fleet([registry(), other], [client(**uses)]), limit=["web1"])
    assert list(found.suites) == ["reg1", "web1"]
    assert found.came_along == ("reg1",)
    assert found.represented == 0


def test_what_comes_along_brings_what_it_uses_itself():
    two = registry("two", "two:5000", hosts=hosts("reg2"))
    infra = client("infra", hosts=hosts("reg1"), registries=("two",))
    assert cast(fleet([registry(), two], [client(), infra]), limit=["web1"]).came_along == (
        "reg1",
        "reg2",
    )


def test_an_external_registry_brings_nobody():
    outside = registry("main", "outside.example", hosts=(), external=True, tls=Tls("public"))
    assert list(cast(fleet([outside])).suites) == ["web1", "web2"]


def test_suites_by_group_host_and_pattern_the_last_one_wins():
    found = cast(fleet(), suites=["trixie", "client_build=sid", "web2=bookworm"])
    assert found.suites == {"reg1": "trixie", "web1": "sid", "web2": "bookworm"}


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"suites": ["trixi"]}, "no hosts of trixi", "trixie"),
        ({"suites": ["web1="]}, "no hosts of an unnamed suite", "bookworm, trixie, sid"),
        ({"suites": ["buidl=sid"]}, "--suite buidl: there is no such", ""),
        ({"exclude": ["reg1"]}, "reg1 is excluded", "exclude its clients"),
        ({"limit": ["nobody"]}, "--limit nobody", ""),
        ({"exclude": ["web*", "reg1"]}, "no host is left", ""),
    ],
)
def test_what_cannot_be_chosen(options, message, hint):
    with pytest.raises(UsageError) as caught:
        cast(fleet(), **options)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_engines_that_no_package_has_are_left_out():
    kube = client("kube", hosts=hosts("k1", "reg1"), engine="k3s")
    found = cast(fleet(clients=[client(), kube]))
    assert list(found.suites) == ["reg1", "web1", "web2"]
    assert (found.without, found.represented) == (("kube",), 0)
    with pytest.raises(UsageError, match="a rehearsal cannot set up k3s"):
        cast(fleet([], [client("kube", engine="k3s")]))


def test_more_hosts_than_a_network_has_room_for():
    whole = fleet(clients=[build(hosts=numbered(MOST_HOSTS))])
    with pytest.raises(UsageError, match=f"{MOST_HOSTS + 1} hosts are too many"):
        cast(whole, per_group=0)
