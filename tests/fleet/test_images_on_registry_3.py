"""The life of an image on a registry of version 3: deleted, collected, audited, by the host itself.

Without the variable REGFLEET_REGISTRY_3 (see registry_3.py) this is left out.
"""

import json

import pytest

import registry_3
from pushing import Pusher

DATA = "/var/lib/registry/docker/registry/v2"
FLEET = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image = "registry:3"
image_archive = "{archive}"
tls.source = "none"
retention.gc = {{ at = "Sun 03:00" }}
retention.rules = [{{ repositories = ["dev/*"], keep_last = 1 }}]
"""
AGED = f"find {DATA}/repositories -path '*/revisions/*/link' -exec touch -d '2 days ago' {{}} +"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return registry_3.image(tmp_path_factory.mktemp("registry-3"))


@pytest.fixture(scope="module")
def twin(archive, boot_for_module):
    del archive  # without one no host is made
    return boot_for_module("reg1=registry.test")


def test_deleted_collected_audited(twin, archive, write_fleet, regfleet):
    host = twin.hosts["reg1"]
    fleet = write_fleet(twin, FLEET.format(archive=archive))

    def run(command, *words, code=0):
        done = regfleet(command, fleet, *words, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    run("apply", "--yes", "--no-smoke")
    pusher = Pusher(f"{host.address}:5000")
    members = [pusher.image("team/app") for _ in range(2)]
    pusher.index("team/app", "1.0", members)
    gone = pusher.image("team/app", "old")
    for number in range(3):
        pusher.image("dev/app", f"{number}")
    run("delete", "main/team/app:old", "--yes")
    assert pusher.tags("team/app") == ["1.0"]
    run("prune", "--yes")
    assert len(pusher.tags("dev/app")) == 1
    host.read(AGED)
    host.read("systemctl start regfleet-collection-test.main.service")
    job = run("status", code=1)["registries"]["main"]["jobs"]["collection"]  # not proven: code 1
    assert (job["last"]["result"], job["last"]["by_itself"]) == ("changed", True), job
    assert job["last"]["figures"]["untagged"] == 3
    pusher.request("GET", f"{pusher._base}/team/app/manifests/{gone['digest']}", (404,))
    assert pusher.pull("team/app", "1.0") == 4
    audited = run("audit")
    assert audited["ok"], audited
    assert run("gc", "--yes")["hosts"]["reg1"]["registries"]["main"]["untagged"] == 0

    # One image of schema 1, as old clients pushed them to version 2, stops every collection.
    pusher.image("team/app", "moving")
    pusher.image("team/app", "moving")
    host.read(AGED)
    old = '{"schemaVersion": 1, "name": "old/app", "tag": "1", "fsLayers": [], "history": []}'
    host.read(
        f"cd {DATA} && d=$(printf '%s' '{old}' | sha256sum | cut -c1-64) && "
        "p=$(echo $d | cut -c1-2) && mkdir -p blobs/sha256/$p/$d && "
        f"printf '%s' '{old}' >blobs/sha256/$p/$d/data && cd repositories/team/app/_manifests && "
        "mkdir -p revisions/sha256/$d tags/ancient/current && "
        "printf sha256:$d | tee revisions/sha256/$d/link >tags/ancient/current/link"
    )
    failed = run("gc", "--yes", code=1)["hosts"]["reg1"]["error"]
    assert "team/app:ancient is of schema 1" in failed
    pusher.image("team/app", "after")  # it takes pushes
    run("delete", "main/team/app:ancient", "--yes")
    host.read(AGED)
    run("gc", "--yes")
    run("destroy", "--yes", "--delete-data")
