"""`regfleet backup` and `restore` where a registry runs without Docker, and as another user."""

import json

import pytest

from pushing import Pusher
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
storage = "/srv/the images"
runtime = "RUNTIME"
tls.source = "none"
backup = { to = "/srv/the backups" }
"""
ARCHIVE = 'image_archive = "$registry_tar"\n'
DATA = "/srv/the images/docker"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(HostSpec("reg1", "trixie", "bare", aliases=("registry.test",)))


@pytest.mark.parametrize(
    ("runtime", "more"), [pytest.param("podman", ARCHIVE, marks=pytest.mark.soak), ("package", "")]
)
def test_images_come_back(twin, write_fleet, regfleet, runtime, more):
    host = twin.hosts["reg1"]
    fleet = write_fleet(twin, BODY.replace("RUNTIME", runtime) + more)
    done = regfleet("apply", fleet, "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    pusher = Pusher(f"{host.address}:5000")
    members = [pusher.image("team/app") for _ in range(2)]
    pusher.index("team/app", "1.0", members)
    done = regfleet("backup", fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    owners = f"find '{DATA}' -printf '%U:%G\\n' | sort -u"
    before = host.read(owners)
    host.read(f"rm -rf '{DATA}'")
    assert pusher.tags("team/app") == []
    done = regfleet("restore", fleet, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["hosts"]["reg1"]["registries"]["main"]
    assert (found["tags"], found["asked"], found["audit"]["broken"]) == (1, 1, 0)
    assert pusher.pull("team/app", "1.0") == 4
    assert host.read(owners) == before
    # What the registry writes lies beside what came back.
    pusher.image("team/app", "2.0")
    assert pusher.pull("team/app", "2.0") == 2
    done = regfleet("destroy", fleet, "--yes", "--delete-data")
    assert done.returncode == 0, done.stderr
    host.read("rm -rf '/srv/the backups'")
