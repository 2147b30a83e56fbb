"""A collection of a registry's garbage that is killed: nothing that a tag leads to is lost, and the
registry takes pushes again, by itself."""

from contextlib import suppress
from datetime import datetime, timezone

import pytest
from driver import Driver, await_that, kill_at
from urllib3.exceptions import HTTPError

from pushing import Pusher, RefusedError
from regfleet.jobs.collection import Collection
from regfleet.run import known
from regfleet.run.collection import subjects
from regfleet.state import StateDirectory
from workers import SOAK

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
tls.source = "none"
"""
# Where something else is left behind than one boundary before.
FEW = {
    "collection-read-only",
    "collection-restart",
    "collection-foresee",
    "collection-delete",
    "collection-verify",
    "collection-verified",
}
DATA = "/var/lib/registry/docker/registry/v2"
LEFT = (
    "ls -d /var/lib/regfleet/collecting /run/regfleet/read-only-* "
    "/var/lib/registry/docker/registry/.regfleet-collection 2>/dev/null;"
    "grep config.yml /proc/self/mounts"
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test")


@pytest.fixture
def host(twin):
    return twin.hosts["reg1"]


@pytest.fixture
def driver(twin, write_fleet, regfleet):
    path = write_fleet(twin, BODY)
    done = regfleet("apply", path, "--yes")
    assert done.returncode == 0, done.stderr
    return Driver(path, twin)


@pytest.fixture
def pusher(host):
    return Pusher(f"{host.address}:5000")


@pytest.fixture
def job(driver):
    state = StateDirectory.beside(driver.fleet.path, driver.fleet.name)
    about = known.read(driver.fleet, state, datetime.now(timezone.utc)).registries
    return Collection(subjects(driver.fleet, driver.wanted["reg1"], about))


def fill(host, pusher):
    """Images with tags, and as many that lost theirs."""
    for number in range(3):
        for _ in range(2):
            members = [pusher.image("app") for _ in range(2)]
            pusher.index("app", f"{number}", members)
    host.read(
        f"find {DATA}/repositories -path '*/revisions/*/link' -exec touch -d '2 days ago' {{}} +"
    )


def all_is_there(pusher):
    for tag in pusher.tags("app"):
        assert pusher.pull("app", tag) == 4, tag


def takes_pushes_again(host, pusher):
    """By itself: nothing is asked of regfleet."""
    pusher.pushed_at_last(lambda: pusher.image("pushed", "again"), seconds=120)
    await_that(host, f'[ -z "$({LEFT})" ]')
    # One that was killed before the first restart has taken pushes all the time, until the last.
    pusher.pushed_at_last(lambda: pusher.image("pushed", "again"), seconds=120)


def test_it_is_killed_at_a_boundary(host, driver, pusher, job, tally):
    fill(host, pusher)
    steps, ended = driver.boundaries("reg1", lambda name, hook: driver.do(name, job, hook))
    assert ended.outcome.result == "changed", ended
    assert ended.value[0].untagged == 9
    assert {step for _, step in steps} >= FEW
    all_is_there(pusher)
    tried = [
        each for each in steps if each[1].startswith("collection-") and (SOAK or each[1] in FEW)
    ]
    for number, step in tried:
        fill(host, pusher)
        where = f"killed at {number}, {step}"
        assert driver.do("reg1", job, kill_at(number)).outcome.cut, where
        with suppress(RefusedError, HTTPError):  # while it restarts
            all_is_there(pusher)
        takes_pushes_again(host, pusher)
        all_is_there(pusher)
        ended = driver.do("reg1", job)
        assert ended.outcome.result in ("changed", "unchanged"), (where, ended)
        all_is_there(pusher)
        assert not host.run(LEFT).stdout, where
        foreseen = driver.do("reg1", Collection(job.subjects, foresee=True)).value[0]
        assert (foreseen.untagged, foreseen.blobs) == (0, 0), where
    tally("collection killed at a boundary", len(tried), len(tried))


def test_what_watches_is_killed_too(host, driver, job, regfleet, tally):
    """The next run of any kind ends what was begun."""
    pusher = Pusher(f"{host.address}:5000")
    fill(host, pusher)
    hook = (
        '[ "$2" = collection-foresee ] && { systemctl stop regfleet-collection-regfleet-main;'
        " kill -9 $$; }"
    )
    assert driver.do("reg1", job, hook).outcome.cut
    with pytest.raises(RefusedError) as caught:
        pusher.image("app", "refused")
    assert caught.value.status == 405
    all_is_there(pusher)
    done = regfleet("apply", driver.fleet.path, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a collection of regfleet-main was interrupted; it is ended first" in done.stdout
    assert not host.run(LEFT).stdout
    pusher.image("pushed", "again")
    all_is_there(pusher)
    tally("collection and what watches it killed", 1, 1)


def test_the_host_restarts_in_the_middle(host, driver, pusher, job, tally):
    fill(host, pusher)
    hook = (
        '[ "$2" = collection-verify ] && { systemctl stop regfleet-collection-regfleet-main;'
        " kill -9 $$; }"
    )
    assert driver.do("reg1", job, hook).outcome.cut
    host.docker.run("restart", "--time", "5", host.container)
    pusher.pushed_at_last(lambda: pusher.image("pushed", "again"), seconds=60)
    assert not host.run("grep config.yml /proc/self/mounts").stdout
    ended = driver.do("reg1", job)
    assert ended.outcome.result == "changed", ended
    assert not host.run(LEFT).stdout
    for tag in pusher.tags("app"):
        pusher.pull("app", tag)
    tally("host restarted in a collection", 1, 1)
