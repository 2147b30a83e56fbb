"""The touch is killed at every boundary that it has, and the next run puts all in order.

No boundary is named here: a first run counts them.
"""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from driver import Driver, chosen, kill_at, live, text_of, traces
from urllib3 import PoolManager

from answering import RELOADED
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

FOREIGN = '{\n\t"insecure-registries": ["old.example:5000"],\n\t"max-concurrent-uploads": 3\n}'
CLIENTS = ("client1", "trixie1")
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
ci = {{ password = "generate" }}

[registry.plain]
external = true
endpoint = "plain.example:5001"
tls = {{ source = "none" }}

[client.build]
hosts = [$client1, $trixie1]
registries = ["main", "plain"]
mirrors = ["https://mirror.example.com"]
daemon = {{ debug = true }}
login = {{ main = {{ user = "ci", for = ["root", "ops"] }} }}

[registry.other]
hosts = [$reg2]
endpoint = "other.test:5000"
image_archive = "$registry_tar"
storage = "/srv/other"
delete = {delete}
tls = {{ source = "none" }}
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)),
        HostSpec("reg2", aliases=("other.test",)),
        HostSpec("client1"),
        HostSpec("trixie1", suite="trixie"),
    )


@pytest.fixture
def driver(twin, write_fleet):
    fleet = Driver(write_fleet(twin, BODY.format(delete="true")), twin)
    fleet.apply("reg1")
    return fleet


def _start_from(host, text):
    host.run("cat >/etc/docker/daemon.json", stdin=text)
    host.read(RELOADED)


class Scenario:
    """What a touch of a client leaves when it is killed, and what the next run makes of it."""

    def __init__(self, driver, name):
        self.driver, self.name, self.host = driver, name, driver.hosts[name]
        _start_from(self.host, FOREIGN)
        self.before, self.live_before = traces(self.host), live(self.host)
        self.survived = self.tried = 0

    def mine(self, boundaries):
        """The boundaries of this host, whose engine is one of two."""
        return chosen(boundaries, CLIENTS.index(self.name), len(CLIENTS), thin=3)

    def whole(self, where):
        """daemon.json is never absent or half-written, and the engine answers."""
        json.loads(text_of(self.host) or f"absent after {where}")
        assert self.host.run("docker version").returncode == 0, where

    def as_wanted(self, where):
        """One plain run converges, another one finds nothing to do."""
        ended = self.driver.apply(self.name)
        assert ended is None or ended.result == "changed", (where, ended)
        assert self.driver.plan(self.name).empty, where
        insecure, mirrors, _, debug = live(self.host)
        assert {"old.example:5000", "plain.example:5001"} <= set(insecure), where
        assert (mirrors, debug) == (["https://mirror.example.com/"], True), where

    def as_before(self, where):
        """Nothing is left of us, and all is as it was."""
        assert self.driver.plan(self.name, gone=True).empty, where
        assert traces(self.host) == self.before, where
        assert live(self.host) == self.live_before, where

    def kill(self, number, step, **how):
        where = f"{self.name}: killed at {number}, {step}"
        ended = self.driver.touch_with(self.name, kill_at(number), **how)
        assert ended.cut, (where, ended)
        self.whole(where)
        return where


def _killed_on_the_way_there(scenario):
    boundaries, ended = scenario.driver.boundaries(scenario.name)
    assert ended.result == "changed", ended
    assert {step for _, step in boundaries} >= {"begin", "put-in-place", "activate", "login"}
    scenario.driver.destroy(scenario.name)
    scenario.as_before("a whole run")
    for number, step in scenario.mine(boundaries):
        scenario.tried += 1
        where = scenario.kill(number, step)
        scenario.as_wanted(where)
        ended = scenario.driver.destroy(scenario.name)
        assert ended.result == "changed", (where, ended)
        scenario.as_before(where)
        scenario.survived += 1


def _killed_on_the_way_back(scenario):
    """A touch that fails, killed while it puts everything back."""
    spoil = "false"
    boundaries, ended = scenario.driver.boundaries(scenario.name, spoil=spoil)
    assert ended.result == "rolled-back", ended
    scenario.as_before("a run that failed")
    first = [step for _, step in boundaries].index("undo")
    for number, step in scenario.mine(boundaries[first:]):
        scenario.tried += 1
        where = scenario.kill(number, step, spoil=spoil)
        scenario.as_wanted(where)
        scenario.driver.destroy(scenario.name)
        scenario.as_before(where)
        scenario.survived += 1


def _killed_while_a_kill_is_mended(scenario):
    """The run after a kill is killed as well, at each boundary of the recovery."""
    boundaries, ended = scenario.driver.boundaries(scenario.name)
    scenario.driver.destroy(scenario.name)
    last = max(number for number, step in boundaries if step == "settle")
    scenario.kill(last, "settle")
    recovery, ended = scenario.driver.boundaries(scenario.name)
    assert ended.result in ("changed", "unchanged"), ended
    assert {step for _, step in recovery} >= {"recover", "undo", "restore", "forget"}
    for number, step in scenario.mine(recovery):
        scenario.tried += 1
        scenario.kill(last, "settle")
        where = scenario.kill(number, f"{step} of the recovery")
        scenario.as_wanted(where)
        scenario.driver.destroy(scenario.name)
        scenario.as_before(where)
        scenario.survived += 1


def _killed_while_taken_out(scenario):
    scenario.driver.apply(scenario.name)
    boundaries, ended = scenario.driver.boundaries(scenario.name, gone=True)
    assert ended.result == "changed", ended
    assert {step for _, step in boundaries} >= {"take-out", "logout", "drop_directory"}
    for number, step in scenario.mine(boundaries):
        scenario.tried += 1
        scenario.driver.apply(scenario.name)
        where = scenario.kill(number, f"{step} of destroy", gone=True)
        scenario.driver.destroy(scenario.name)
        scenario.as_before(where)
        scenario.survived += 1


def _killed_while_rolled_back(scenario):
    scenario.driver.apply(scenario.name)
    boundaries, ended = scenario.driver.boundaries(scenario.name, scenario.driver.roll_back)
    assert ended.result == "changed", ended
    scenario.as_before("a whole rollback")
    for number, step in scenario.mine(boundaries):
        where = f"{scenario.name}: rollback killed at {number}, {step}"
        scenario.tried += 1
        scenario.driver.apply(scenario.name)
        assert scenario.driver.roll_back(scenario.name, kill_at(number)).cut, where
        scenario.whole(where)
        ended = scenario.driver.roll_back(scenario.name)
        assert ended.result in ("changed", "unchanged"), (where, ended)
        scenario.as_before(where)
        scenario.survived += 1


STORIES = (
    _killed_on_the_way_there,
    _killed_on_the_way_back,
    _killed_while_a_kill_is_mended,
    _killed_while_taken_out,
    _killed_while_rolled_back,
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__.strip("_"))
def test_a_client_survives_a_kill_at_every_boundary(driver, tally, story):
    scenarios = [Scenario(driver, name) for name in CLIENTS]
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(story, scenarios))
    finally:
        for each in scenarios:
            what = story.__name__.strip("_").replace("_", " ")
            tally(f"touch of a client {what}", each.tried, each.survived)


def _serves(host, delete):
    """The registry answers, has what was pushed, and is of the declared specification."""
    pool = PoolManager(timeout=10, retries=False)
    address = f"http://{host.address}:5000/v2/team/app"
    assert pool.request("GET", f"{address}/tags/list").json()["tags"] == ["1"]
    off = pool.request("DELETE", f"{address}/manifests/sha256:{'0' * 64}").status == 405
    return off == (delete == "false")


def test_a_registry_survives_a_kill_at_every_boundary_of_its_replacement(
    twin, write_fleet, seeds, tally
):
    host = twin.hosts["reg2"]
    drivers = {}
    for delete in ("true", "false"):
        path = write_fleet(twin, BODY.format(delete=delete))
        drivers[delete] = Driver(path, twin)
    assert drivers["true"].apply("reg2").result == "changed"
    host.copy_in(seeds.busybox, "/root/busybox.tar")
    host.read(
        "docker load -q -i /root/busybox.tar; docker tag busybox 127.0.0.1:5000/team/app:1;"
        "docker push -q 127.0.0.1:5000/team/app:1; docker rmi busybox 127.0.0.1:5000/team/app:1"
    )
    boundaries, ended = drivers["false"].boundaries("reg2")
    assert ended.result == "changed", ended
    assert {step for _, step in boundaries} >= {"stand-aside", "stop", "run", "finish", "tidy"}
    assert _serves(host, "false")
    survived = 0
    # There and back again: each replacement begins where the one before has ended.
    killed = chosen(boundaries, thin=2)
    for (number, step), delete in zip(killed, itertools.cycle(["true", "false"]), strict=False):
        where = f"killed at {number}, {step}"
        assert drivers[delete].touch_with("reg2", kill_at(number)).cut, where
        assert host.run("docker version").returncode == 0, where
        assert drivers[delete].apply("reg2").result == "changed", where
        assert _serves(host, delete), where
        assert drivers[delete].plan("reg2").empty, where
        assert host.read("docker ps -aq --filter name=regfleet | wc -l") == "1", where
        survived += 1
    tally("touch of a registry killed while it is replaced", len(killed), survived)
    drivers["true"].destroy("reg2")
    assert host.read("docker ps -aq; docker images -q; ls -d /etc/regfleet || :") == ""
    assert "app" in host.read("ls /srv/other/docker/registry/v2/repositories/team")
