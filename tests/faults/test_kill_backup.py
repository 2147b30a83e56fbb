"""A backup or a restore that is killed: every backup with a number is whole, no image is torn, and
the same command goes on where that was."""

from datetime import datetime, timezone

import pytest
from driver import Driver, kill_at

from pushing import Pusher
from regfleet.jobs.backup import BackupJob
from regfleet.jobs.restore import RestoreJob
from regfleet.run import backup as backups
from regfleet.run import known
from regfleet.run.collection import service_of, subject
from regfleet.state import StateDirectory
from workers import SOAK

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
tls.source = "none"
backup = { to = "/srv/the backups", keep = 2 }
"""
# Where something else is left behind than one boundary before.
FEW = {"backup-blobs", "backup-named", "backup-drop", "restore-revisions", "restore-tags"}
DATA = "/var/lib/registry/docker"
KEPT = "/srv/the backups/test/main"


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
def jobs(driver):
    """The jobs that back up and that restore the newest backup."""
    fleet, want = driver.fleet, driver.wanted["reg1"]
    registry = fleet.registries["main"]
    about = known.read(
        fleet, StateDirectory.beside(fleet.path, fleet.name), datetime.now(timezone.utc)
    )
    its = subject(registry, service_of(registry, want), about.registries["main"])
    made = BackupJob(backups.subjects(fleet, want, [registry]))
    return made, RestoreJob(its, backups.place(fleet, registry))


def fill(pusher, number):
    members = [pusher.image("app") for _ in range(2)]
    pusher.index("app", f"tag-{number}", members)
    pusher.index("app", "moving", members)


def all_is_there(pusher):
    tags = pusher.tags("app")
    for tag in tags:
        assert pusher.pull("app", tag) == 4, tag
    return len(tags)


def lost(host, pusher):
    """The registry's data is gone."""
    host.read(f"rm -rf {DATA}")
    assert pusher.tags("app") == []


def test_a_backup_is_killed_at_a_boundary(host, driver, pusher, jobs, tally):
    made, restored = jobs
    for number in range(3):  # the third one drops the first
        fill(pusher, number)
        steps, ended = driver.boundaries("reg1", lambda name, hook: driver.do(name, made, hook))
        assert ended.outcome.result == "changed", ended
    assert {step for _, step in steps} >= FEW - {"restore-revisions", "restore-tags"}
    tried = [each for each in steps if each[1].startswith("backup-") and (SOAK or each[1] in FEW)]
    for number, step in tried:
        where = f"killed at {number}, {step}"
        before = len(pusher.tags("app"))
        fill(pusher, f"k{number}")
        assert driver.do("reg1", made, kill_at(number)).outcome.cut, where
        lost(host, pusher)
        ended = driver.do("reg1", restored)
        assert getattr(ended.value, "ok", False), (where, ended)
        assert all_is_there(pusher) >= before, where
        ended = driver.do("reg1", made)
        assert ended.value, (where, ended)
        assert ended.value[0].kept == 2, where
        assert host.read(f"ls -A '{KEPT}'").split() == ["backups", "blobs", "lock", "state"], where
    tally("backup killed at a boundary", len(tried), len(tried))


def test_a_restore_is_killed_at_a_boundary(host, driver, pusher, jobs, tally):
    made, restored = jobs
    fill(pusher, "r")
    assert driver.do("reg1", made).value
    tags = pusher.tags("app")
    lost(host, pusher)
    steps, ended = driver.boundaries("reg1", lambda name, hook: driver.do(name, restored, hook))
    assert getattr(ended.value, "ok", False), ended
    assert pusher.tags("app") == tags
    names = ("backup-", "restore-")
    tried = [each for each in steps if each[1].startswith(names) and (SOAK or each[1] in FEW)]
    assert tried
    for number, step in tried:
        where = f"killed at {number}, {step}"
        lost(host, pusher)
        assert driver.do("reg1", restored, kill_at(number)).outcome.cut, where
        all_is_there(pusher)
        ended = driver.do("reg1", restored)
        assert getattr(ended.value, "ok", False), (where, ended)
        assert pusher.tags("app") == tags, where
        all_is_there(pusher)
        assert host.read("ls -A /var/lib/registry/docker/registry").split() == ["v2"], where
    tally("restore killed at a boundary", len(tried), len(tried))
