"""Copies between registries on two hosts: by hand from here and on the host, and by themselves."""

import hashlib
import json

import pytest

import stranger
import tinyproxy
from answering import runs
from regfleet.replication import engine

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
users.ci.password = "generate"

[registry.north]
hosts = [$north1]
endpoint = "north.test:5000"
image_archive = "$registry_tar"
users.ci.password = "generate"

[replication.north]
from = "main"
to = ["north"]
repositories = ["prod/*"]
login = { main = "ci", north = "ci" }
"""
FROM_HERE = BODY + 'run_on = "controller"\n'


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "north1=north.test")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def registries(twin, state):
    """How this machine reaches the two registries, once they are there."""

    def reach(name):
        host, registry = {"main": ("reg1", "main"), "north": ("north1", "north")}[name]
        return engine.Registry(
            {
                "url": f"https://{'registry' if name == 'main' else 'north'}.test:5000",
                "connect": f"{twin.hosts[host].address}:5000",
                "ca": (state / "ca.crt").read_text(),
                "user": "ci",
                "password": (state / f"passwords/{registry}/ci").read_text().strip(),
            },
            engine.Clock(300),
        )

    return reach


def push(registry, repository, tag, content):
    """An image of one configuration and one layer."""
    described = []
    for blob in (b'{"architecture":"amd64","os":"linux"}', content):
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        if not registry.has_blob(repository, digest):
            scope = engine.push(repository)
            begun = registry.ask("POST", f"/v2/{repository}/blobs/uploads/", scope, b"")
            place = registry.upload_place(begun.headers["Location"])
            headers = {"Content-Type": "application/octet-stream"}
            done = registry.ask("PUT", f"{place}digest={digest}", scope, blob, headers)
            assert done.status == 201, done
        described.append({"digest": digest, "size": len(blob)})
    kind = engine.MANIFESTS[2]
    config, layer = described
    raw = json.dumps({
        "schemaVersion": 2, "mediaType": kind,
        "config": config | {"mediaType": "application/vnd.oci.image.config.v1+json"},
        "layers": [layer | {"mediaType": "application/vnd.oci.image.layer.v1.tar"}],
    }).encode()  # fmt: skip
    registry.put_manifest(repository, tag, raw, kind)


def copies(done):
    """The results of `replicate --json`, by copy."""
    return json.loads(done.stdout)["copies"]


def test_a_copy_from_here_goes_through_the_hosts_connections(
    twin, write_fleet, regfleet, state, registries
):
    fleet = write_fleet(twin, FROM_HERE)
    done = regfleet("apply", fleet, "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    main, north = registries("main"), registries("north")
    push(main, "prod/web", "v1", b"one" * 100_000)
    push(main, "dev/web", "v1", b"not to be copied")
    planned = regfleet("replicate", fleet, "--dry-run", "--json", "--state-dir", state)
    assert planned.returncode == 0, planned.stderr
    assert copies(planned)["north.north"]["result"]["would"] == ["copy prod/web:v1"]
    assert list(north.tags("prod/web")) == []
    done = regfleet("replicate", fleet, "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "north.north  main -> north from here: ok, 1 tag, 0 as they are, 1 copied" in done.stdout
    assert north.digest("prod/web", "v1") == main.digest("prod/web", "v1")
    assert "dev/web" not in list(north.catalog())


def test_a_host_without_python_is_told(twin, write_fleet, regfleet, state):
    fleet = write_fleet(twin, BODY)
    done = regfleet("replicate", fleet, "--json", "--state-dir", state)
    assert done.returncode == 1
    assert "it has no Python 3.6 or later" in copies(done)["north.north"]["error"]


def test_a_copy_on_the_targets_host(twin, write_fleet, regfleet, state, registries):
    install = "apt-get -qq update && apt-get -qq -y --no-install-recommends install python3"
    twin.hosts["north1"].read(f"{install} && update-ca-certificates >/dev/null 2>&1 || true")
    fleet = write_fleet(twin, BODY)
    main, north = registries("main"), registries("north")
    push(main, "prod/web", "v2", b"two" * 100_000)
    done = regfleet("replicate", fleet, "north", "--json", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    found = copies(done)["north.north"]
    assert found["host"] == "north1"
    assert (found["result"]["counts"]["same"], found["result"]["counts"]["copied"]) == (1, 1)
    assert north.digest("prod/web", "v2") == main.digest("prod/web", "v2")
    password = (state / "passwords/main/ci").read_text().strip()
    assert password not in done.stdout + done.stderr
    left = twin.hosts["north1"].run(
        f"grep -r -l {password} /run/regfleet /var/lib/regfleet /tmp /etc"
    )
    assert left.stdout == ""
    again = regfleet("replicate", fleet, "--json", "--state-dir", state)
    assert copies(again)["north.north"]["result"]["counts"]["copied"] == 0


OUTSIDE = """
[registry.outside]
external = true
endpoint = "outside.test:5443"
tls = { source = "files", ca = "%s" }

[replication.fetch]
from = "outside"
to = ["north"]
repositories = ["out/*"]
every = "1h"
login = { north = "ci" }
http_proxy = { https = "http://%s:3129", user = "copies", password = { env = "PROXY" } }

[promotion.fetched]
from = { registry = "outside", prefix = "out/" }
to = { registry = "north", prefix = "promoted/" }
login = { north = "ci" }
http_proxy = { https = "http://%s:3129", user = "copies", password = { env = "PROXY" } }
"""
CANARY = "canary-5b20"


@pytest.fixture
def outside(twin, seeds, write_fleet, tmp_path):
    """A registry that only reg1 can name, where the HTTP proxy is; gives a fleet with it."""
    reg1 = twin.hosts["reg1"]
    tinyproxy.install(reg1)
    tinyproxy.serve(reg1, 3129, f"copies {CANARY}")
    ca = stranger.serve(reg1, seeds, tmp_path, "outside.test", 5443)
    reg1.read("mkdir -p /etc/docker/certs.d/outside.test:5443")
    reg1.copy_in(ca, "/etc/docker/certs.d/outside.test:5443/ca.crt")
    stranger.push(reg1, "outside.test:5443/out/web:v1")
    return write_fleet(twin, BODY + OUTSIDE % (ca, reg1.address, reg1.address))


def test_what_is_outside_is_reached_by_an_http_proxy(twin, regfleet, state, registries, outside):
    reg1, north1, north = twin.hosts["reg1"], twin.hosts["north1"], registries("north")
    fleet = outside
    done = regfleet("apply", fleet, "--yes", "--state-dir", state, PROXY=CANARY)
    assert done.returncode == 0, done.stdout + done.stderr
    north1.read(runs("regfleet-replication-test.fetch.north.service"))
    assert list(north.tags("out/web")) == ["v1"]
    assert "CONNECT outside.test:5443" in tinyproxy.asked(reg1, 3129)
    assert "north" not in tinyproxy.asked(reg1, 3129), "the fleet's own are reached directly"
    holding = north1.read(f"grep -r -l {CANARY} /etc /run /var/lib/regfleet /var/log || :")
    modes = north1.read(f"stat -c '%n %U %a' {' '.join(holding.split())}").splitlines()
    assert "/etc/regfleet/replication.d/test/fetch.north.json root 600" in modes
    assert all(each.endswith(" root 600") for each in modes), modes
    for words in (("plan", fleet, "--diff"), ("replicate", fleet, "fetch")):
        done = regfleet(*words, "--state-dir", state, PROXY=CANARY)
        assert done.returncode == 0, done.stdout + done.stderr
        assert CANARY not in done.stdout + done.stderr
    wrong = regfleet("replicate", fleet, "fetch", "--state-dir", state, PROXY="other")
    assert "the HTTP proxy refuses the login, or wants one" in wrong.stdout
    none = regfleet("replicate", fleet, "fetch", "--state-dir", state)
    assert none.returncode == 1
    assert "at the HTTP proxy of 'fetch'" in none.stdout

    # From here, too.
    words = ("promote", fleet, "fetched", "web:v1", "--yes", "--json", "--state-dir", state)
    done = regfleet(*words, PROXY=CANARY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert north.digest("promoted/web", "v1") == north.digest("out/web", "v1")


def test_a_source_that_is_away_is_told(twin, write_fleet, regfleet, state, registries):
    fleet = write_fleet(twin, BODY.replace("login =", "delete = true\nlogin ="))
    reg1, north = twin.hosts["reg1"], registries("north")
    before = sorted(north.tags("prod/web"))
    reg1.read("docker stop regfleet-main")
    try:
        done = regfleet("replicate", fleet, "--json", "--state-dir", state)
    finally:
        reg1.read("docker start regfleet-main")
    assert done.returncode == 1
    assert copies(done)["north.north"]["result"]["state"] == "away"
    assert sorted(north.tags("prod/web")) == before == ["v1", "v2"]
