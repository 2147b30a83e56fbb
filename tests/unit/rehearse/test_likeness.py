"""What a twin has of a fleet, and what plays the rest."""

from dataclasses import replace
from pathlib import Path

import pytest
from making import client, fleet, host, registry

from regfleet.errors import RegfleetError
from regfleet.fleet.clients import Login, Mirror
from regfleet.fleet.machines import LOCAL, Host, Ssh
from regfleet.fleet.registries import Gateway, PasswordSource, Tls, User
from regfleet.rehearse.casting import cast
from regfleet.rehearse.likeness import SMOKE, ImageStandIn, StandIns, likeness, settled

NOTHING = StandIns()
EXTERNAL = registry(
    "out",
    "outside.example:5000",
    hosts=(),
    external=True,
    smoke=True,
    tls=Tls("files", ca=Path("/ca.crt")),
    users=(User("me", PasswordSource("env", "ME")),),
)


def made(whole, stand_ins=NOTHING, **options):
    return likeness(whole, cast(whole, **options), stand_ins, "caller")


def at(name, address, **ssh):
    return Host(name, address, host(name, **ssh).ssh)


def part(twin, name):
    return next(each for each in twin.parts if each.name == name)


def test_names_groups_and_users_are_the_fleets():
    whole = fleet()
    twin = made(whole)
    assert (twin.fleet.name, twin.fleet.groups()) == (whole.name, whole.groups())
    assert [each.name for each in twin.parts] == list(whole.hosts())
    assert twin.fleet.registries["main"].users == whole.registries["main"].users
    assert twin.fleet.rollout == whole.rollout


def test_the_way_in_is_the_twins():
    odd = at("reg1", "gate", port=2222, key=Path("/k"), host_key_checking="off")
    twin = made(fleet([registry(hosts=(odd,))], [client(hosts=(host("web1", sudo=False),))]))
    inside = twin.fleet.hosts()["reg1"].ssh
    assert inside == Ssh("ops", 22, None, True, "strict", None)
    assert (part(twin, "reg1").login, part(twin, "reg1").sudo) == ("ops", True)
    assert part(twin, "web1").sudo is False


def test_who_calls_logs_in_where_the_file_has_no_user():
    twin = made(fleet(clients=[client(hosts=(host("web1", user=None),))]))
    assert part(twin, "web1").login == "caller"


def test_accounts_are_made_for_logins():
    login = Login("main", "ci", ("root", "ops", "jenkins"))
    twin = made(fleet(clients=[client(logins=(login,))]))
    assert part(twin, "web1").accounts == ("jenkins",)
    assert part(twin, "reg1").accounts == ()


def test_this_machine_is_played_by_a_host():
    local = Host(LOCAL, "localhost", Ssh(None, 22, None, True, "strict", None))
    neighbour = host("local")
    whole = fleet(
        [registry(endpoint="localhost:5000", hosts=(local,))], [client(hosts=(local, neighbour))]
    )
    twin = made(whole)
    assert twin.names == {LOCAL: "local-2", "local": "local"}
    assert list(twin.fleet.hosts()) == ["local-2", "local"]
    assert (part(twin, "local-2").login, part(twin, "local-2").sudo) == ("root", False)
    assert part(twin, "local-2").spec.aliases == ()  # localhost is everybody's own


def test_names_lead_to_the_hosts_of_registries():
    tls = Tls("fleet-ca", ("Registry.Internal", "*.wild.example", "192.0.2.7"))
    twin = made(fleet([registry(hosts=(at("reg1", "gate.example"),), tls=tls)]))
    found = part(twin, "reg1")
    assert found.spec.aliases == ("reg.example.com", "registry.internal", "gate.example")
    assert found.addresses == ("192.0.2.7",)
    assert twin.fleet.registries["main"].tls.names == (*tls.names, "gate.example")
    assert part(twin, "web1").spec.aliases == ()


@pytest.mark.parametrize("endpoint", ["192.0.2.10:5000", "[2001:db8::10]:5000"])
def test_an_address_that_clients_type_is_the_hosts(endpoint):
    address = endpoint.rpartition(":")[0].strip("[]")
    twin = made(fleet([registry(endpoint=endpoint, hosts=(at("reg1", address),))]))
    assert part(twin, "reg1").addresses == (address,)
    assert twin.fleet.registries["main"].endpoint == endpoint


def test_hosts_behind_one_address_are_no_contradiction():
    behind = tuple(at(name, "gate", port=port) for name, port in (("web1", 2201), ("web2", 2202)))
    twin = made(fleet(clients=[client(hosts=behind)]))
    assert part(twin, "web1").spec.aliases == ("gate",)
    assert part(twin, "web2").spec.aliases == ()


def test_one_name_for_registries_on_two_hosts_is_refused():
    two = registry("two", "reg.example.com:5001", hosts=(host("reg2"),))
    with pytest.raises(RegfleetError, match=r"leads to registries on reg1 and on reg2"):
        made(fleet([registry(), two]))


def test_real_registries_and_mirrors_are_left_alone():
    mirrors = (
        Mirror("https://mirror.example"),
        Mirror("https://reg.example.com:5000", "main"),
        Mirror("http://192.0.2.9:5000"),
    )
    login = Login("out", "me")
    whole = fleet(
        [registry(), EXTERNAL],
        [client(registries=("main", "out"), mirrors=mirrors, logins=(login,))],
    )
    twin = made(whole)
    assert twin.away == ("outside.example", "mirror.example", "192.0.2.9")
    outside, group = twin.fleet.registries["out"], twin.fleet.clients["build"]
    assert (outside.smoke, outside.users, outside.tls) == (False, (), EXTERNAL.tls)
    assert (group.registries, group.mirrors, group.logins) == (("main", "out"), mirrors, ())


def test_an_external_registry_beside_one_of_ours_is_not_made_unreachable():
    beside = replace(EXTERNAL, endpoint="reg.example.com:9999")
    twin = made(fleet([registry(), beside], [client(registries=("main", "out"))]))
    assert twin.away == ()


def test_what_is_used_by_nobody_is_not_in_play():
    twin = made(fleet([registry(), EXTERNAL], [client(), client("rest", hosts=(host("w9"),))]),
                limit=["client_build"])  # fmt: skip
    assert set(twin.fleet.registries) == {"main"}
    assert set(twin.fleet.clients) == {"build"}


def test_stand_ins():
    users = (User("a", PasswordSource("env", "A")), User("b", PasswordSource("env", "B")))
    pair = Tls("files", ("more.example",), Path("/c"), Path("/k"), Path("/ca"))
    image = ImageStandIn("registry:2", Path("/seed.tar"), "no Hub")
    smoke = ImageStandIn("busybox:latest", None, "no archive")
    whole = fleet([registry(users=users, tls=pair, image="registry:3"), EXTERNAL],
                  [client(registries=("main", "out"))])  # fmt: skip
    found = made(
        whole,
        StandIns(
            {("main", "a"): "not set"}, {"main": "gone", "out": "gone"},
            {"main": image, SMOKE: smoke},
        ),
    ).fleet  # fmt: skip
    main = found.registries["main"]
    assert main.users == (User("a", PasswordSource("generate")), users[1])
    assert (main.tls.source, main.tls.names) == ("fleet-ca", ("more.example", "reg1"))
    assert (main.image, main.image_archive) == ("registry:2", Path("/seed.tar"))
    assert found.registries["out"].tls == Tls("public")
    assert (found.smoke.image, found.smoke.image_archive) == ("busybox:latest", None)


def test_an_engine_without_an_image_of_its_own_is_installed():
    twin = made(fleet(clients=[client(engine="podman", install=False)]))
    assert {each.spec.variant for each in twin.parts} == {"docker", "bare"}
    assert twin.fleet.clients["build"].install is True
    assert made(fleet(clients=[client(install=False)])).fleet.clients["build"].install is False


def test_settled():
    cache = registry("cache", "cache.example:5999", proxy="https://up.example", hosts=(host("r"),))
    twin = made(fleet([registry(), cache]))
    assert part(twin, "r").upstream_port == 5998  # its own endpoint has the port
    assert part(twin, "reg1").upstream_port == 0
    addresses = {each.name: f"10.0.0.{n}" for n, each in enumerate(twin.parts)}
    found = settled(
        twin.fleet,
        addresses,
        key=Path("/twin/key"),
        known_hosts=Path("/twin/known_hosts"),
        upstreams={each.name: each.upstream_port for each in twin.parts},
    )
    assert found.path == Path("/twin/fleet.toml")
    for each in found.hosts().values():
        assert each.address == addresses[each.name]
        assert (each.ssh.key, each.ssh.known_hosts) == (
            Path("/twin/key"),
            Path("/twin/known_hosts"),
        )
    assert found.registries["cache"].proxy == f"http://{addresses['r']}:5998"
    assert found.registries["main"].proxy is None


FRONT = Gateway("nginx:stable", hosts=(host("lb1"),), before=("one", "two"), logins={"one": "ci"})


def before(*behind, **changes):
    """A gateway alone and the registries that it stands before, as a twin has them."""
    gateway = replace(FRONT, before=tuple(each.name for each in behind), **changes)
    front = registry("front", "front.example:5000", hosts=(), storage="", gateway=gateway)
    whole = fleet([*behind, front], [client(registries=("front",))])
    return made(whole).fleet


def test_a_gateway_alone_plays_before_the_first_that_is_ours():
    one, two = (
        registry(name, f"{name}.example:5000", hosts=(host(name),)) for name in ("one", "two")
    )
    played = before(one, two)
    assert played.registries["front"].before == ("one",)
    assert set(played.hosts()) >= {"one", "lb1"}


def test_a_gateway_before_an_external_registry_gets_an_empty_one():
    played = before(EXTERNAL, logins={"out": "me"})
    front = played.registries["front"]
    assert (front.before, [each.name for each in front.hosts]) == ((), ["lb1"])
    assert front.storage == "/var/lib/registry-front"
