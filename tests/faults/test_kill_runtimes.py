"""Registries without Docker: killed at boundaries of their replacement, change and removal.

A sixth of the steps, all boundaries in the soak: most are those of test_kill_everywhere.py.
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
RUNTIMES = ("podman", "package")  # they share the boundaries of what both do
BOTH = ["podman", pytest.param("package", marks=pytest.mark.soak)]
THIN = 3
ARCHIVE = 'image_archive = "$registry_tar"'
LEFT = (
    "ls -d /etc/regfleet /var/lib/regfleet /etc/systemd/system/*regfleet*"
    " /etc/systemd/system/*.wants/*regfleet* /etc/systemd/system/docker-registry.service.d"
    " /run/regfleet-* 2>/dev/null; podman ps -aq; podman images -q;"
    " systemctl is-active regfleet-main docker-registry | grep -v inactive"
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(HostSpec("reg1", "trixie", "bare", aliases=("registry.test",)))


@pytest.fixture
def host(twin):
    return twin.hosts["reg1"]


@pytest.fixture
def driver(twin, write_fleet):
    def made(runtime, delete="true"):
        image = "" if runtime == "package" else ARCHIVE
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


WAYS = {
    "podman": [("podman", "true"), ("podman", "false")],
    "package": [("package", "true"), ("package", "false")],
    "podman to package and back": [("podman", "true"), ("package", "false")],
}


@pytest.mark.parametrize(
    "ways",
    [
        "podman",
        "package",
        pytest.param("podman to package and back", marks=pytest.mark.soak),  # see OpenRC's
    ],
)
def test_it_is_killed_while_it_is_replaced(host, driver, tally, ways):
    drivers = {way: driver(*way) for way in WAYS[ways]}
    first, second = drivers.values()
    assert first.apply("reg1").result == "changed"
    boundaries, ended = second.boundaries("reg1")
    assert ended.result == "changed", ended
    assert {step for _, step in boundaries} >= {"stop", "stand-aside", "run", "finish", "tidy"}
    survived = 0
    killed = chosen(boundaries, list(WAYS).index(ways), len(WAYS), thin=2)
    for (number, step), (way, each) in zip(killed, itertools.cycle(drivers.items()), strict=False):
        where = f"{way}: killed at {number}, {step}"
        ended = each.touch_with("reg1", kill_at(number))
        # On the way back there may be a boundary less: a package is installed once.
        assert ended.cut or ended.result == "changed", (where, ended)
        again = each.apply("reg1")
        assert again is None or again.result == "changed", (where, again)
        assert serves(host, way[1]), where
        assert each.plan("reg1").empty, where
        survived += 1
    tally(f"touch of a registry run as {WAYS[ways][0][0]}, killed", len(killed), survived)
    first.destroy("reg1")
    assert host.run(LEFT).stdout == ""


@pytest.mark.parametrize("runtime", BOTH)
def test_it_is_killed_while_it_comes(host, driver, tally, runtime):
    """What it left is completed, or taken out at once: the image that it brought goes, too."""
    fleet = driver(runtime)
    boundaries, ended = fleet.boundaries("reg1")
    assert ended.result == "changed", ended
    fleet.destroy("reg1")
    assert host.run(LEFT).stdout == ""
    killed = chosen(boundaries, RUNTIMES.index(runtime), len(RUNTIMES), THIN)
    for at, (number, step) in enumerate(killed):
        where = f"killed at {number}, {step} of the first apply"
        assert fleet.touch_with("reg1", kill_at(number)).cut, where
        if at % 2:
            fleet.apply("reg1")
            assert serves(host, "true"), where
        fleet.destroy("reg1")
        assert host.run(LEFT).stdout == "", where
    tally(f"first touch of a registry run as {runtime}, killed", len(killed), len(killed))


@pytest.mark.parametrize("runtime", BOTH)
def test_it_is_killed_while_it_is_taken_out(host, driver, tally, runtime):
    fleet = driver(runtime)
    fleet.apply("reg1")
    boundaries, ended = fleet.boundaries("reg1", gone=True)
    assert ended.result == "changed", ended
    assert host.run(LEFT).stdout == ""
    killed = chosen(boundaries, RUNTIMES.index(runtime), len(RUNTIMES), THIN)
    for number, step in killed:
        where = f"killed at {number}, {step} of destroy"
        fleet.apply("reg1")
        assert fleet.touch_with("reg1", kill_at(number), gone=True).cut, where
        fleet.destroy("reg1")
        assert host.run(LEFT).stdout == "", where
    tally(f"removal of a registry run as {runtime}, killed", len(killed), len(killed))
