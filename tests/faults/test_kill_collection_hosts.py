"""A collection of a registry of several hosts: all of them only read while one deletes. Whatever is
killed, on whichever host, nothing is lost, and all take pushes again by themselves."""

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone

import pytest
from driver import Driver, await_that, kill_at
from urllib3.exceptions import HTTPError

from pushing import Pusher, RefusedError
from regfleet.jobs.collection import Collection
from regfleet.rehearse.twin import HostSpec
from regfleet.run import known
from regfleet.run.collection import rounds, subjects
from regfleet.state import StateDirectory
from workers import SOAK

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1, $reg2, $reg3]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
storage = { shared = "/mnt/registry" }
tls.source = "none"
"""
HOSTS = ("reg1", "reg2", "reg3")
VOLUME = (("images", "/mnt/registry"),)
DATA = "/mnt/registry/docker/registry/v2"
LEFT = (
    "ls -d /var/lib/regfleet/collecting /run/regfleet/read-only-* 2>/dev/null;"
    "grep config.yml /proc/self/mounts"
)
# Where something else is left behind than one boundary before, on the host that collects and on
# another one.
FEW = {
    "reg1": {"collection-gather", "collection-restart", "collection-delete", "collection-verified"},
    "reg2": {"collection-read-only", "collection-holds", "collection-free"},
}
# Those where a registry alone is not killed in test_kill_collection.py, or leaves the most behind.
FEWEST = {"collection-delete", "collection-verified"}


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(*(HostSpec(name, volumes=VOLUME) for name in HOSTS))


@pytest.fixture
def fleet(twin, write_fleet, regfleet):
    path = write_fleet(twin, BODY)
    done = regfleet("apply", path, "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    return path


@pytest.fixture
def pushers(twin):
    return {name: Pusher(f"{twin.hosts[name].address}:5000") for name in HOSTS}


class Together:
    """The jobs of all hosts, at the same time."""

    def __init__(self, fleet, twin):
        self.driver = Driver(fleet, twin)
        state = StateDirectory.beside(fleet, self.driver.fleet.name)
        about = known.read(self.driver.fleet, state, datetime.now(timezone.utc)).registries
        self.its = {
            name: subjects(self.driver.fleet, self.driver.wanted[name], about) for name in HOSTS
        }
        self.tokens = itertools.count()

    def run(self, **hooks):
        """How each host's job ended.

        Args:
            hooks: at the boundaries, by host.
        """
        *_, jobs = rounds(self.driver.fleet, self.its, f"test{next(self.tokens)}")
        with ThreadPoolExecutor() as pool:
            ended = {
                name: pool.submit(self.driver.do, name, Collection(its), hooks.get(name, ""), 400)
                for name, its in jobs.items()
            }
            return {name: each.result() for name, each in ended.items()}

    def garbage(self):
        """What a collection would delete now: manifests and blobs."""
        foreseen = self.driver.do("reg1", Collection(self.its["reg1"], foresee=True)).value[0]
        return foreseen.untagged, foreseen.blobs


def fill(twin, pushers):
    """Images with tags, and as many that lost theirs."""
    for number, pusher in enumerate(pushers.values()):
        for _ in range(2):
            members = [pusher.image("app") for _ in range(2)]
            pusher.index("app", f"{number}", members)
    twin.hosts["reg1"].read(
        f"find {DATA}/repositories -path '*/revisions/*/link' -exec touch -d '2 days ago' {{}} +"
    )


def all_is_there(pushers):
    for pusher in pushers.values():
        for tag in pusher.tags("app"):
            assert pusher.pull("app", tag) == 4, tag


def all_take_pushes(twin, pushers):
    """By themselves: nothing is asked of regfleet."""
    for name, pusher in pushers.items():
        await_that(twin.hosts[name], f'[ -z "$({LEFT})" ]')
        pusher.pushed_at_last(lambda pusher=pusher: pusher.image("pushed", "again"), seconds=60)


class Busy:
    """Somebody who pushes to each host all the time, and repeats what is refused."""

    def __init__(self, twin, names):
        self.over = threading.Event()
        self.failures, self.pushed = [], []
        self.own = {name: Pusher(f"{twin.hosts[name].address}:5000") for name in names}
        self.threads = [threading.Thread(target=self.push, args=(name,)) for name in names]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures

    def push(self, name):
        own = self.own[name]
        try:
            for number in itertools.takewhile(lambda _: not self.over.is_set(), itertools.count()):
                tag = f"{name}-{number % 5}"
                own.pushed_at_last(
                    lambda tag=tag: own.index("app", tag, [own.image("app") for _ in range(2)]),
                    seconds=200,  # the others wait two minutes for a collector that is gone
                )
                self.pushed.append(tag)
        except Exception as error:  # noqa: BLE001 - told by the test
            self.failures.append(error)


def test_people_push_to_all_hosts_meanwhile(twin, fleet, pushers, regfleet, tally):
    rounds_of = 10 if SOAK else 1
    for _ in range(rounds_of):
        fill(twin, pushers)
        with Busy(twin, HOSTS) as busy:
            done = regfleet("gc", fleet, "--yes", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        hosts = json.loads(done.stdout)["hosts"]
        assert list(hosts["reg1"]["registries"]) == ["main"]
        assert hosts["reg1"]["registries"]["main"]["untagged"] >= 9
        assert not hosts["reg2"]["registries"]
        assert sum(own.refused for own in busy.own.values()) > 0
        assert busy.pushed
        all_is_there(pushers)
        all_take_pushes(twin, pushers)
        assert not twin.hosts["reg2"].run("ls -d /mnt/registry/docker/registry/.regfleet*").stdout
    tally("collection of three hosts under pushes", rounds_of, rounds_of)
    # One that is not asked takes pushes all the time: then nothing is collected.
    done = regfleet("gc", fleet, "--yes", "--limit", "reg1,reg2")
    assert "reg3 runs it, too, and has no part in this run" in done.stdout
    assert "its images are read on reg1" in regfleet("audit", fleet, "--limit", "reg2").stdout
    assert regfleet("audit", fleet).returncode == 0
    assert regfleet("plan", fleet, "--detailed-exitcode").returncode == 0


def the_next_one_collects(twin, together, pushers, told):
    """All is there, and all garbage goes."""
    all_is_there(pushers)
    fill(twin, pushers)
    again = together.run()
    results = {name: each.outcome.result for name, each in again.items()}
    assert results == dict.fromkeys(HOSTS, "changed"), (told, again)
    all_is_there(pushers)
    assert together.garbage() == (0, 0), told
    all_take_pushes(twin, pushers)


@pytest.mark.parametrize("where", ["reg1", pytest.param("reg2", marks=pytest.mark.soak)])
def test_it_is_killed_at_a_boundary(twin, fleet, pushers, tally, where):
    together = Together(fleet, twin)
    fill(twin, pushers)
    boundaries = {}

    def count(name, hook):
        ended = together.run(**{name: hook})
        boundaries.update(ended)
        return ended[name]

    steps, ended = together.driver.boundaries(where, count)
    assert {name: each.outcome.result for name, each in boundaries.items()} == dict.fromkeys(
        HOSTS, "changed"
    ), boundaries
    assert {step for _, step in steps} >= FEW[where], steps
    tried = [
        each for each in steps if each[1].startswith("collection-") and (SOAK or each[1] in FEWEST)
    ]
    for number, step in tried:
        fill(twin, pushers)
        told = f"killed on {where} at {number}, {step}"
        with Busy(twin, ["reg3"]):
            ended = together.run(**{where: kill_at(number)})
        assert ended[where].outcome.cut, told
        with suppress(RefusedError, HTTPError):  # while one restarts
            all_is_there(pushers)
        all_take_pushes(twin, pushers)
        the_next_one_collects(twin, together, pushers, told)
    tally(f"collection of three hosts killed on {where}", len(tried), len(tried))


@pytest.mark.soak
def test_nobody_is_there(twin, fleet, pushers, regfleet):
    """As by cron: exit codes, and nothing is collected where a host cannot be reached."""
    fill(twin, pushers)
    refused = regfleet("gc", fleet)
    assert (refused.returncode, "give --yes" in refused.stderr) == (2, True), refused.stderr
    twin.hosts["reg3"].read("systemctl stop ssh.socket ssh")
    try:
        done = regfleet("gc", fleet, "--yes", "--json")
    finally:
        twin.hosts["reg3"].read("systemctl start ssh")
    assert done.returncode == 1
    found = json.loads(done.stdout)["hosts"]
    assert "reg3" in found["reg1"]["error"], found
    assert "no SSH connection" in found["reg3"]["error"], found
    all_take_pushes(twin, pushers)
    all_is_there(pushers)
    assert Together(fleet, twin).garbage()[0] >= 9
    done = regfleet("gc", fleet, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    again = regfleet("gc", fleet, "--yes", "--json")
    assert (again.returncode, json.loads(again.stdout)["ok"]) == (0, True)
    runs = json.loads(regfleet("history", fleet, "--json").stdout)["images"]
    assert [each["command"] for each in runs].count("gc") >= 2
    all_is_there(pushers)


# The host that is silent, where in its job, and for how many seconds. The collector gives a host up
# after `LOST` seconds; the others give the collector up after `ABANDONED`.
SILENCES = (
    ("reg2", "collection-holds", 20),
    ("reg2", "collection-holds", 130),
    ("reg1", "collection-delete", 20),
    ("reg1", "collection-delete", 130),
)
AT = "/root/at-the-boundary"


def stopping_at(boundary):
    """Hook: it says that it is there, and stays for some seconds."""
    return f'[ "$2" != {boundary} ] || {{ : >{AT}; sleep 4; rm -f {AT}; }}'


def collected_again(twin, together, pushers, told):
    """All is there, everybody takes pushes, and the next collection takes all garbage away."""
    for pusher in pushers.values():
        pusher.pushed_at_last(lambda pusher=pusher: pusher.image("pushed", "again"), seconds=200)
    the_next_one_collects(twin, together, pushers, told)


@pytest.mark.soak
@pytest.mark.parametrize("case", SILENCES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2]}")
def test_a_host_is_silent(twin, fleet, pushers, tally, case):
    where, boundary, seconds = case
    together, host = Together(fleet, twin), twin.hosts[where]
    fill(twin, pushers)
    told = f"{where} silent for {seconds} s at {boundary}"
    with ThreadPoolExecutor() as pool, Busy(twin, ["reg3"]) as busy:
        running = pool.submit(together.run, **{where: stopping_at(boundary)})
        await_that(host, f"[ -e {AT} ]", 60)
        host.docker.run("pause", host.container)
        time.sleep(seconds)
        host.docker.run("unpause", host.container)
        ended = running.result()
        pushed = len(busy.pushed)
        busy.own["reg3"].pushed_at_last(lambda: busy.own["reg3"].image("busy", "1"), seconds=200)
    results = {name: each.outcome.result for name, each in ended.items()}
    assert not any(each.outcome.cut for each in ended.values()), (told, ended)
    assert pushed, told
    if where == "reg2" or (boundary == "collection-delete" and seconds > 120):
        assert results["reg1"] != "changed", (told, ended)
    collected_again(twin, together, pushers, told)
    tally("collection of three hosts, one of them silent", 1, 1)


@pytest.mark.soak
@pytest.mark.parametrize(
    "case",
    [("reg1", "collection-delete"), ("reg1", "collection-verified"), ("reg2", "collection-holds")],
    ids="-".join,
)
def test_a_host_restarts_in_the_middle(twin, fleet, pushers, tally, case):
    where, boundary = case
    together, host = Together(fleet, twin), twin.hosts[where]
    fill(twin, pushers)
    told = f"{where} restarted at {boundary}"
    with ThreadPoolExecutor() as pool, Busy(twin, ["reg3"]):
        running = pool.submit(together.run, **{where: stopping_at(boundary)})
        await_that(host, f"[ -e {AT} ]", 60)
        host.docker.run("restart", "--time", "1", host.container)
        ended = running.result()
    assert ended[where].outcome.cut, told
    collected_again(twin, together, pushers, told)
    tally("collection of three hosts, one of them restarted", 1, 1)
