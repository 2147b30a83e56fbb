"""What an earlier version set up on real hosts, this one takes over: nothing to do, all ways back.

The earlier versions are built into wheels from the repository's own history, and run from there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from regfleet.rehearse.twin import HostSpec
from regfleet.runtimes.container import CONFINED_NOW
from regfleet.runtimes.files import UNCACHED_NOW

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
# One whose record had containers and daemon.json apart from other files, and whose containers had
# all rights.
WITH_RIGHTS = "3fc69e0"
# The last one whose registries had a cache of blobs in memory.
WITH_CACHE = "6c76b68"
FLEET = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
users.ci = { password = "generate" }
[registry.plain]
hosts = [$reg1]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/srv/plain"
tls.source = "none"

[client.docker]
hosts = [$reg1]
registries = ["main", "plain"]
login = { main = "ci" }
daemon = { debug = true }
[client.podman]
hosts = [$pod1]
engine = "podman"
registries = ["main", "plain"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """`earlier(COMMIT)` is the directory in which a wheel of that version is unpacked."""

    def build(commit):
        place = tmp_path_factory.mktemp("earlier")
        there = subprocess.run(
            ["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT, check=False
        )
        if there.returncode:
            pytest.skip(f"the history of this checkout does not reach {commit}")
        packed = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, capture_output=True, check=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", place], input=packed, check=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        made = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", place, place]
        subprocess.run(made, check=True)
        (wheel,) = place.glob("*.whl")
        target = place / "installed"
        subprocess.run([*pip, "install", "--no-deps", "--target", target, wheel], check=True)
        return target

    return build


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)), HostSpec("pod1", "trixie", "bare")
    )


def as_before(place, *words):
    """A command of the earlier version; what it prints with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "regfleet", *map(str, words), "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def now(regfleet):
    """A command of this version; what it prints with --json."""

    def run(*words, code=0):
        done = regfleet(*words, "--json", REGFLEET_NEW_IDENTITY="")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


def changes(document):
    return {
        name: [(each["action"], each["resource"], each["reason"]) for each in host["changes"]]
        for name, host in document["hosts"].items()
    }


def everything(twin):
    """What is on the hosts that regfleet could have put there."""
    names = "/etc/docker /etc/regfleet /etc/containers/certs.d /root/.docker /var/lib/regfleet"
    listing = f"find {names} -type f 2>/dev/null | sort"
    return {
        name: host.read(f"{listing}; docker ps -aq 2>/dev/null || :")
        for name, host in twin.hosts.items()
    }


def one_restart(document, why):
    """Whether the plan is the one restart of each registry, which says why, and nothing else."""
    found = changes(document)
    assert found["pod1"] == []
    assert [each[:2] for each in found["reg1"]] == [
        ("update", "file /etc/regfleet/main/config.yml"),
        ("update", "file /etc/regfleet/plain/config.yml"),
        ("update", "container regfleet-main"),
        ("update", "container regfleet-plain"),
    ]
    assert all(why in each[2] for each in found["reg1"][2:])
    return not any(each["drift"] for each in document["hosts"]["reg1"]["changes"])


def test_one_restart_of_each_registry_is_to_do_behind_an_earlier_version(
    twin, write_fleet, now, earlier
):
    fleet = write_fleet(twin, FLEET)
    before = everything(twin)
    place = earlier(WITH_RIGHTS)
    applied = as_before(place, "apply", fleet, "--yes")
    assert {host["status"] for host in applied["hosts"].values()} == {"changed"}
    record = twin.hosts["reg1"].read("cat /var/lib/regfleet/owned.json")
    assert json.loads(record)["version"] == 1

    assert one_restart(now("plan", fleet), CONFINED_NOW)
    assert now("status", fleet, code=1)["registries"]["main"]["error"] is None
    assert twin.hosts["reg1"].read("cat /var/lib/regfleet/owned.json") == record

    # A change by this version, and back over it to what the earlier one had.
    text = fleet.read_text()
    fleet.write_text(
        text.replace("debug = true", "debug = false").replace("/srv/plain", "/srv/other")
    )
    now("apply", fleet, "--yes")
    assert json.loads(twin.hosts["reg1"].read("cat /var/lib/regfleet/owned.json"))["version"] > 1
    now("rollback", fleet, "--yes")
    assert twin.hosts["reg1"].read("cat /var/lib/regfleet/owned.json") == record
    fleet.write_text(text)
    # What the earlier version did, which records no runs, is not taken back, and that is said.
    again = now("rollback", fleet, "--yes", code=1)["hosts"]
    assert all("a run that is not recorded here" in host["error"] for host in again.values())
    assert twin.hosts["reg1"].read("cat /var/lib/regfleet/owned.json") == record
    assert one_restart(now("plan", fleet), CONFINED_NOW)

    now("apply", fleet, "--yes")
    assert changes(now("plan", fleet, "--detailed-exitcode")) == {"reg1": [], "pod1": []}

    now("destroy", fleet, "--yes", "--delete-data")
    assert everything(twin) == before


@pytest.mark.soak
def test_the_cache_in_memory_goes_by_one_restart(twin, write_fleet, now, earlier):
    fleet = write_fleet(twin, FLEET)
    as_before(earlier(WITH_CACHE), "apply", fleet, "--yes")
    assert one_restart(now("plan", fleet), UNCACHED_NOW)
    now("apply", fleet, "--yes")
    assert changes(now("plan", fleet, "--detailed-exitcode")) == {"reg1": [], "pod1": []}
    now("rollback", fleet, "--yes")
    assert one_restart(now("plan", fleet), UNCACHED_NOW)
    now("destroy", fleet, "--yes", "--delete-data")
