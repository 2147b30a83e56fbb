"""`regfleet prune`: times are the storage's, what clients hold stays, others of a digest stay."""

import json

import pytest

from pushing import Pusher

DATA = "/var/lib/registry/docker/registry/v2/repositories"
FLEET = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
tls.source = "none"
[[registry.main.retention.rules]]
repositories = ["dev/*"]
keep_last = 2
keep_younger = "30d"
keep_tags = ["v*"]
keep_deployed = true
[[registry.main.retention.rules]]
repositories = ["test"]
keep_last = 1

[registry.branch]
hosts = [$reg1]
endpoint = "registry.test:5001"
storage = "/var/lib/registry-branch"
image_archive = "$registry_tar"
tls.source = "none"

[replication.branch]
from = "main"
to = ["branch"]
delete = true

# What it holds is lost for it when it is deleted in `main`.
[client.docker]
hosts = [$client1]
registries = ["branch"]

[smoke]
image_archive = "$busybox_tar"
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "client1")


def age(host, repository, tag, days):
    host.read(f"touch -d '{days} days ago' {DATA}/{repository}/_manifests/tags/{tag}/current/link")


def test_prune(twin, write_fleet, regfleet):
    fleet = write_fleet(twin, FLEET)
    done = regfleet("apply", fleet, "--yes", "--no-smoke")
    assert done.returncode == 0, done.stderr
    host, client = twin.hosts["reg1"], twin.hosts["client1"]
    pusher = Pusher(f"{host.address}:5000")

    def prune(*words, code=0):
        done = regfleet("prune", fleet, *words)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    for days, tag in ((90, "a"), (80, "v1"), (70, "b"), (50, "c"), (40, "d"), (35, "e"), (2, "f")):
        pusher.image("dev/app", tag, size=5000)
        age(host, "dev/app", tag, days)
    # Another tag of an image that goes: the image stays.
    shared = pusher.image("test", "1", size=7000)
    accept = {"accept": shared["mediaType"]}
    answer = pusher.request("GET", f"{pusher._base}/test/manifests/1", (200,), headers=accept)
    pusher.manifest("test", "2", json.loads(answer.data))
    age(host, "test", "1", 3)
    pusher.image("prod/app", "1")
    age(host, "prod/app", "1", 400)
    # Docker 20.10 pulls no image of made-up layers: one that it holds by a name of the registry's.
    client.read("echo x >/tmp/x; tar -C /tmp -c x | docker import - registry.test:5001/dev/app:c")

    planned = json.loads(prune("--dry-run", "--json").stdout)["registries"]["main"]
    going = [(each["repository"], each["tag"]) for each in planned["delete"]]
    assert going == [("dev/app", "a"), ("dev/app", "b"), ("dev/app", "d"), ("test", "1")]
    assert planned["delete"][0]["reason"].startswith("pushed 90 days ago, not of the last 2")
    assert planned["tags"] == 10
    assert len(pusher.tags("dev/app")) == 7
    # Too young to be collected yet, by the time of their manifests.
    assert planned["freed_bytes"] == 0
    host.read(f"find {DATA} -path '*/revisions/*/link' -exec touch -d '2 days ago' {{}} +")
    shown = prune("--dry-run").stdout
    assert "main: 4 of 10 tags would go; a collection then frees 16." in shown
    assert "- main/dev/app:a  pushed 90 days ago" in shown
    assert "give --yes" in prune(code=2).stderr

    # A client that cannot be asked: what it may hold stays.
    client.read("systemctl stop docker.socket docker")
    held = json.loads(prune("--dry-run", "--json").stdout)["registries"]["main"]
    assert [each["repository"] for each in held["delete"]] == ["test"]
    assert held["kept_for"].startswith("client1: ")
    client.read("systemctl start docker")

    done = json.loads(prune("--yes", "--json").stdout)
    assert {each["status"] for each in done["registries"]["main"]["delete"]} == {"deleted"}
    assert pusher.tags("dev/app") == ["c", "e", "f", "v1"]
    assert pusher.tags("test") == ["2"]
    assert pusher.pull("test", "2") == 2
    assert pusher.tags("prod/app") == ["1"]
    assert json.loads(prune("--yes", "--json").stdout)["registries"]["main"]["delete"] == []

    before = int(host.read(f"cat $(find {DATA}/../blobs -name data) | wc -c"))
    collected = json.loads(regfleet("gc", fleet, "--yes", "--json").stdout)
    found = collected["hosts"]["reg1"]["registries"]["main"]
    assert found["untagged"] == 3
    after = int(host.read(f"cat $(find {DATA}/../blobs -name data) | wc -c"))
    assert before - after == found["bytes"] > 3 * 5000
    for repository in ("dev/app", "test", "prod/app"):
        for tag in pusher.tags(repository):
            pusher.pull(repository, tag)
