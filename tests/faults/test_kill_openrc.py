"""Registries under OpenRC, killed at boundaries: they come, are replaced, and go.

A sixth of the steps, all boundaries in the soak.
"""

import itertools

import pytest
from driver import Driver, chosen, kill_at
from urllib3 import PoolManager

from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
runtime = "{runtime}"
{image}
delete = {delete}
tls = {{ source = "none" }}
"""
THIN = 6
LEFT = (
    "ls -d /etc/regfleet /var/lib/regfleet /etc/init.d/*regfleet* /run/regfleet-*"
    " /etc/runlevels/*/*regfleet-* /run/openrc/started/regfleet-* 2>/dev/null;"
    " podman ps -aq; podman images -q; ps -C docker-registry,conmon,supervise-daemon -o comm="
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(HostSpec("reg1", variant="openrc", aliases=("registry.test",)))


@pytest.fixture
def host(twin):
    return twin.hosts["reg1"]


@pytest.fixture
def driver(twin, write_fleet):
    def made(runtime, delete="true"):
        image = "" if runtime == "package" else 'image_archive = "$registry_tar"'
        body = BODY.format(runtime=runtime, image=image, delete=delete)
        return Driver(write_fleet(twin, body), twin)

    return made


def serves(host, delete):
    """The registry answers at once, and is of the declared specification."""
    pool = PoolManager(timeout=10, retries=False)
    address = f"http://{host.address}:5000/v2"
    assert pool.request("GET", f"{address}/").status == 200
    gone = pool.request("DELETE", f"{address}/app/manifests/sha256:{'0' * 64}").status
    return (gone == 405) == (delete == "false")


def test_it_is_killed_while_one_runtime_takes_the_place_of_another(host, driver, tally):
    ways = {way: driver(*way) for way in (("podman", "true"), ("package", "false"))}
    first, second = ways.values()
    assert first.apply("reg1").result == "changed"
    boundaries, ended = second.boundaries("reg1")
    assert ended.result == "changed", ended
    assert {step for _, step in boundaries} >= {"stop", "stand-aside", "run", "finish", "tidy"}
    survived = 0
    killed = chosen(boundaries, 2, thin=THIN)
    for (number, step), (way, each) in zip(killed, itertools.cycle(ways.items()), strict=False):
        where = f"{way}: killed at {number}, {step}"
        ended = each.touch_with("reg1", kill_at(number))
        assert ended.cut or ended.result == "changed", (where, ended)
        again = each.apply("reg1")
        assert again is None or again.result == "changed", (where, again)
        assert serves(host, way[1]), where
        assert each.plan("reg1").empty, where
        survived += 1
    tally("touch of a registry under OpenRC, killed", len(killed), survived)
    first.destroy("reg1")
    assert host.run(LEFT).stdout == ""


def test_it_is_killed_while_it_comes_and_while_it_goes(host, driver, tally):
    fleet = driver("podman")
    coming, ended = fleet.boundaries("reg1")
    assert ended.result == "changed", ended
    going, ended = fleet.boundaries("reg1", gone=True)
    assert ended.result == "changed", ended
    assert host.run(LEFT).stdout == ""
    # Those of both in turn: each has half of them.
    killed = [("comes", each) for each in chosen(coming, 0, 2, THIN)]
    killed += [("goes", each) for each in chosen(going, 1, 2, THIN)]
    for what, (number, step) in killed:
        where = f"killed at {number}, {step}, while it {what}"
        if what == "goes":
            fleet.apply("reg1")
        assert fleet.touch_with("reg1", kill_at(number), gone=what == "goes").cut, where
        fleet.destroy("reg1")
        assert host.run(LEFT).stdout == "", where
    tally("coming and going of a registry under OpenRC, killed", len(killed), len(killed))
