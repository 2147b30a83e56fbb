"""What serves a registry read-only, on its host: logins of its own, and no pushes."""

import json

import pytest
from test_replication import push

from regfleet.rehearse.twin import HostSpec
from regfleet.replication import engine

pytestmark = pytest.mark.long

MAIN = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
runtime = "{runtime}"
users.ci.password = "generate"
"""
READ = """
[registry.main.readonly]
port = 5001
users.replica.password = "generate"
"""
ARCHIVE = 'image_archive = "$registry_tar"\n'
NORTH = """
[registry.north]
hosts = [$north1]
endpoint = "north.test:5000"
image_archive = "$registry_tar"
users.ci.password = "generate"

[replication.north]
from = "main"
to = ["north"]
run_on = "controller"
login = { main = "replica", north = "ci" }
"""
BODY = MAIN.format(runtime="container") + ARCHIVE + READ + NORTH
DATA = "/var/lib/registry/docker/registry/v2"
AGED = f"find {DATA}/repositories -path '*/revisions/*/link' -exec touch -d '2 days ago' {{}} +"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "north1=north.test")


@pytest.fixture(scope="module")
def bare(boot_for_module):
    return boot_for_module(HostSpec("reg1", "trixie", "bare", aliases=("registry.test",)))


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


def reach(host, state, port, user, registry=""):
    """The registry at a port of its host, as one of its users."""
    of = registry or {5000: "main", 5001: "main.readonly"}[port]
    return engine.Registry(
        {
            "url": f"https://registry.test:{port}",
            "connect": f"{host.address}:{port}",
            "ca": (state / "ca.crt").read_text(),
            "user": user,
            "password": (state / f"passwords/{of}/{user}").read_text().strip(),
        },
        engine.Clock(300),
    )


def status_of(registry, method, path):
    """The status of one request; a push is begun where the method is POST."""
    return registry.ask(method, path, "", b"" if method == "POST" else None).status


def refuses_pushes_and_strangers(host, state):
    """Pushes and deletions get 405; no login is valid at the other port."""
    main, read = reach(host, state, 5000, "ci"), reach(host, state, 5001, "replica")
    digest = main.digest("prod/web", "1")
    assert status_of(read, "POST", "/v2/prod/web/blobs/uploads/") == 405
    assert status_of(read, "DELETE", f"/v2/prod/web/manifests/{digest}") == 405
    assert status_of(read, "PUT", "/v2/prod/web/manifests/2") == 405
    raw, _ = read.manifest("prod/web", "1")
    layer = json.loads(raw)["layers"][0]["digest"]
    assert read.ask("GET", f"/v2/prod/web/blobs/{layer}", "", most=1 << 20).body == b"a layer"
    for port, user, of in ((5000, "replica", "main.readonly"), (5001, "ci", "main")):
        with pytest.raises(engine.Problem, match="the login is refused"):
            reach(host, state, port, user, of).digest("prod/web", "1")
    return main, read


def changes(done, host="reg1"):
    return [each["resource"] for each in json.loads(done.stdout)["hosts"][host]["changes"]]


@pytest.fixture
def fleet(twin, write_fleet, regfleet, state):
    """The fleet, applied, with an image."""
    fleet = write_fleet(twin, BODY)
    done = regfleet("apply", fleet, "--yes", "--json", "--smoke", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads(done.stdout)["hosts"]["reg1"]["smoke"]
    assert checks["main.readonly/push-refused"] == "passed"
    assert checks["main.readonly/anonymous-refused"] == "passed"
    push(reach(twin.hosts["reg1"], state, 5000, "ci"), "prod/web", "1", b"a layer")
    return fleet


def test_copies_are_read_there_and_nowhere_else(twin, fleet, regfleet, state):
    host, words = twin.hosts["reg1"], ("--state-dir", state)
    assert regfleet("plan", fleet, "--detailed-exitcode", *words).returncode == 0
    refuses_pushes_and_strangers(host, state)
    log = "docker logs --since 1m {} 2>&1 | grep -c 'prod/web' || :"
    before = [host.read(log.format(f"regfleet-{name}")) for name in ("main", "main.readonly")]
    done = regfleet("replicate", fleet, "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["copies"]["north.north"]["result"]["counts"]["copied"] == 1
    after = [host.read(log.format(f"regfleet-{name}")) for name in ("main", "main.readonly")]
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


def test_a_collection_leaves_it_running_and_it_remembers_nothing(twin, fleet, regfleet, state):
    host, words = twin.hosts["reg1"], ("--state-dir", state)
    main, read = reach(host, state, 5000, "ci"), reach(host, state, 5001, "replica")
    push(main, "prod/web", "moving", b"to go")
    layer = json.loads(read.manifest("prod/web", "moving")[0])["layers"][0]["digest"]
    assert read.ask("GET", f"/v2/prod/web/blobs/{layer}", "", most=1 << 20).status == 200
    push(main, "prod/web", "moving", b"to stay")
    host.read(AGED)
    started = "docker inspect -f '{{.State.StartedAt}}' regfleet-main regfleet-main.readonly"
    before = host.read(started).split()
    done = regfleet("gc", fleet, "--yes", "--json", "--limit", "reg1", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["hosts"]["reg1"]["registries"]
    assert list(found) == ["main"]
    assert found["main"]["blobs"] > 0
    after = host.read(started).split()
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)
    for method in ("HEAD", "GET"):
        assert read.ask(method, f"/v2/prod/web/blobs/{layer}", "").status == 404
    assert read.digest("prod/web", "moving") == main.digest("prod/web", "moving")


def test_it_is_seen_and_brought_back(twin, fleet, regfleet, state):
    host, words = twin.hosts["reg1"], ("--state-dir", state)
    document = json.loads(regfleet("status", fleet, "--json", *words).stdout)
    read_only = document["registries"]["main.readonly"]
    assert (read_only["error"], read_only["repositories"]) == (None, 1)
    assert document["copies"]["north.north"]["source"] == "main.readonly"
    images = json.loads(regfleet("images", fleet, "--json", *words).stdout)
    assert set(images["registries"]) == {"main", "north"}
    host.read("docker stop regfleet-main.readonly")
    assert regfleet("status", fleet, *words).returncode == 1
    assert "main.readonly" in regfleet("doctor", fleet, *words).stdout
    done = regfleet("apply", fleet, "--yes", "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert changes(done) == ["container regfleet-main.readonly"]


def test_it_goes_alone_and_with_the_fleet(twin, fleet, write_fleet, regfleet, state):
    host, words = twin.hosts["reg1"], ("--state-dir", state)
    top = MAIN.format(runtime="container") + ARCHIVE
    without = write_fleet(twin, top + NORTH.replace('"replica"', '"ci"'), name="without.toml")
    done = regfleet("apply", without, "--yes", "--no-smoke", "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "container regfleet-main.readonly" in changes(done)
    assert "main.readonly" not in host.read("docker ps -a; ls /etc/regfleet")
    assert reach(host, state, 5000, "ci").digest("prod/web", "1")
    assert regfleet("apply", fleet, "--yes", "--no-smoke", *words).returncode == 0
    assert reach(host, state, 5001, "replica").digest("prod/web", "1")
    done = regfleet("destroy", fleet, "--yes", "--delete-data", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.run("docker ps -aq; ls /etc/regfleet /var/lib/registry").stdout.strip() == ""


@pytest.mark.parametrize(
    "runtime",
    [*(pytest.param(each, marks=pytest.mark.soak) for each in ("compose", "podman")), "package"],
)
def test_every_runtime(request, write_fleet, regfleet, state, runtime):
    twin = request.getfixturevalue("twin" if runtime == "compose" else "bare")
    host, words = twin.hosts["reg1"], ("--state-dir", state)
    archive = "" if runtime == "package" else ARCHIVE
    fleet = write_fleet(twin, MAIN.format(runtime=runtime) + archive + READ)
    try:
        done = regfleet("apply", fleet, "--yes", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        main = reach(host, state, 5000, "ci")
        push(main, "prod/web", "1", b"a layer")
        refuses_pushes_and_strangers(host, state)
        assert regfleet("plan", fleet, "--detailed-exitcode", *words).returncode == 0
    finally:
        done = regfleet("destroy", fleet, "--yes", "--delete-data", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.run("ls /etc/regfleet /var/lib/registry").stdout.strip() == ""
