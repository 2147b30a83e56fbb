"""The touch of an account's own Docker is killed at its boundaries; the next run mends all.

`make test` takes every second of the steps that are its own; the soak takes every boundary.
"""

import json

import pytest
from driver import Driver, chosen, kill_at

from regfleet.rehearse.twin import HostSpec
from rootless import AS, HOME, PLACE, set_up
from workers import SOAK

pytestmark = pytest.mark.long

SETTINGS = '{"storage-driver": "vfs", "registry-mirrors": ["https://old.example"]}\n'
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = { password = "generate" }

[registry.plain]
external = true
endpoint = "plain.example:5001"
tls = { source = "none" }

[client.alice]
hosts = [$own]
engine = "docker-rootless"
account = "ops"
registries = ["main", "plain"]
login = { main = "ci" }
"""
OURS = {"home_directory", "home_put", "home_edit", "rootless_activate", "meanwhile", "home_drop"}
TRACES = (
    f"find {HOME} -path {HOME}/.local -prune -o -printf '%y %m %u %p\\n' | sort;"
    f"cat {PLACE}/daemon.json; ls /var/lib/regfleet 2>/dev/null || :"
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(HostSpec("reg1", aliases=("registry.test",)), HostSpec("own"))
    set_up(twin.hosts["own"], SETTINGS)
    return twin


@pytest.fixture
def driver(twin, write_fleet):
    driver = Driver(write_fleet(twin, BODY), twin)
    driver.apply("reg1")
    driver.destroy("own")
    return driver


def live(host):
    said = json.loads(host.read(f"{AS} docker info --format '{{{{json .RegistryConfig}}}}'"))
    insecure = [name for name, each in said["IndexConfigs"].items() if not each["Secure"]]
    return said["Mirrors"], insecure


def own_steps(boundaries):
    return [each for each in chosen(boundaries) if SOAK or each[1] in OURS][:: 1 if SOAK else 2]


def as_before(driver, before, where):
    host = driver.hosts["own"]
    assert driver.plan("own", gone=True).empty, where
    assert host.read(TRACES) == before, where
    assert live(host) == (["https://old.example/"], []), where


def converges(driver, where):
    """One run makes all as declared, another one finds nothing to do."""
    ended = driver.apply("own")
    assert ended is None or ended.result == "changed", (where, ended)
    assert driver.plan("own").empty, where
    assert live(driver.hosts["own"]) == (["https://old.example/"], ["plain.example:5001"]), where


def test_a_kill_while_it_is_set_up_or_taken_out(driver, tally):
    host = driver.hosts["own"]
    before = host.read(TRACES)
    there, ended = driver.boundaries("own")
    assert ended.result == "changed", ended
    assert {step for _, step in there} >= {"home_put", "home_edit", "rootless_activate", "login"}
    back, ended = driver.boundaries("own", gone=True)
    assert ended.result == "changed", ended
    assert {step for _, step in back} >= {"home_drop", "meanwhile"}
    as_before(driver, before, "a whole run")
    tried = 0
    for number, step in own_steps(there):
        tried += 1
        where = f"killed at {number}, {step}, on the way there"
        assert driver.touch_with("own", kill_at(number)).cut, where
        converges(driver, where)
        driver.destroy("own")
        as_before(driver, before, where)
    for number, step in own_steps(back):
        tried += 1
        where = f"killed at {number}, {step}, on the way back"
        driver.apply("own")
        assert driver.touch_with("own", kill_at(number), gone=True).cut, where
        ended = driver.destroy("own")
        assert ended is None or ended.result == "changed", (where, ended)
        as_before(driver, before, where)
    tally("touch of an account's own Docker killed", tried, tried)


def test_a_kill_while_all_is_put_back(driver, tally):
    """A touch that fails at its end is killed while it puts the account's files back."""
    host = driver.hosts["own"]
    before = host.read(TRACES)
    boundaries, ended = driver.boundaries("own", spoil="false")
    assert ended.result == "rolled-back", ended
    as_before(driver, before, "a run that failed")
    first = [step for _, step in boundaries].index("undo")
    killed = chosen(boundaries[first:], thin=2)
    for number, step in killed:
        where = f"killed at {number}, {step}"
        assert driver.touch_with("own", kill_at(number), spoil="false").cut, where
        converges(driver, where)
        driver.destroy("own")
        as_before(driver, before, where)
    tally("the way back of an account's own Docker killed", len(killed), len(killed))
