"""Roles on real hosts: proven by the logins that the fleet has, changed without a restart, shown.

Docker 20.10 on bookworm may only pull, Podman on trixie pushes, and containerd's ctr has a public
project alone.
"""

import json

import pytest

from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
storage = "/srv/images"
admins = ["root"]
[registry.main.users]
root = { password = "generate" }
alice = { password = "generate" }
bob = { password = "generate" }
carol = { password = "generate" }
[registry.main.gateway]
image_archive = "$nginx_tar"
[registry.main.projects.team-a]
members = { alice = "developer", bob = "BOB", carol = "admin" }
[registry.main.projects.open]
public = true

[client.web]
hosts = [$web1]
registries = ["main"]
login = { main = "bob" }
[client.build]
hosts = [$build1]
engine = "podman"
registries = ["main"]
login = { main = "alice" }
[client.edge]
hosts = [$edge1]
engine = "containerd"
registries = ["main"]

[smoke]
image_archive = "$busybox_tar"
"""
ALL = ("present", "push", "remove", "pull", "digest", "run", "delete")
ONLY_PULLS = dict.fromkeys(("present", "push", "remove", "run"), "skipped")
ONLY_PULLS |= dict.fromkeys(("pull", "digest", "delete"), "passed")
ROLES = {
    "member-push", "private-pull-refused", "guest-pull", "guest-push-refused",
    "developer-delete-refused", "member-delete", "public-push", "public-pull",
    "public-push-refused", "public-delete", "list-refused",
}  # fmt: skip


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)),
        HostSpec("web1"),
        HostSpec("build1", "trixie", "bare"),
        HostSpec("edge1", variant="bare"),
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    def run(command, *options, bob="guest"):
        fleet = write_fleet(twin, BODY.replace("BOB", bob))
        return regfleet(command, fleet, "--state-dir", state, *options)

    return run


def smoked(done, host):
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)["hosts"][host]["smoke"]
    return {name.partition("/")[2]: verdict for name, verdict in found.items()}


def test_roles_are_proven_with_the_logins_that_the_fleet_has(run):
    done = run("apply", "--yes", "--json")
    assert smoked(done, "web1") == ONLY_PULLS
    assert smoked(done, "build1") == dict.fromkeys(ALL, "passed")
    assert smoked(done, "edge1") == ONLY_PULLS
    roles = smoked(done, "reg1")
    assert set(roles) >= ROLES
    assert set(roles.values()) == {"passed"}


def test_nothing_of_the_smoke_test_stays_and_admins_count(run):
    listed = json.loads(run("images", "--json", "--all").stdout)["registries"]["main"]
    assert listed["error"] is None
    assert all(tags == [] for tags in listed["repositories"].values()), listed
    status = run("status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "not counted" not in status.stdout


def test_a_changed_role_is_shown_by_name_and_in_force_at_once(run, twin):
    started = "docker inspect -f '{{.State.StartedAt}}' regfleet-main regfleet-main.gateway"
    before = twin.hosts["reg1"].read(started)
    plan = run("plan", bob="developer").stdout
    assert "~ team-a: bob guest -> developer" in plan
    assert "carol" not in plan
    done = run("apply", "--yes", "--smoke", "--json", bob="developer")
    assert smoked(done, "web1") == dict.fromkeys(ALL, "passed")
    assert "guest-push-refused" not in smoked(done, "reg1")
    assert twin.hosts["reg1"].read(started) == before
    assert run("plan", "--detailed-exitcode", bob="developer").returncode == 0


def test_wrong_logins_are_counted(run, twin):
    def counted():
        done = run("status", "--json", bob="developer")
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(done.stdout)
        return found["registries"]["main"]["wrong_logins"]

    before = counted()
    assert before["last_day"]  # the smoke test tries one, through the host's own connection
    wrong = "echo nonsense | docker login -u bob --password-stdin registry.test:5000"
    assert "incorrect username or password" in twin.hosts["web1"].run(wrong).stderr
    after = counted()
    assert after["last_day"] > before["last_day"]
    assert after["addresses"] == before["addresses"] + 1
    said = run("status", bob="developer").stdout
    assert f"{after['last_day']} wrong logins in the last day, from 2 addresses" in said
    assert "nonsense" not in twin.hosts["reg1"].read("docker logs regfleet-main.gateway 2>&1")


def test_a_rollback_brings_roles_back_and_they_are_in_force(run, twin):
    done = run("rollback", "--yes", "--json", bob="developer")
    assert smoked(done, "reg1")["roles"] == "skipped"
    assert smoked(done, "web1") == {"push": "skipped"}
    web = twin.hosts["web1"]
    web.read("tar -C /etc -c hostname | docker import - registry.test:5000/team-a/b:1")
    pushed = web.run("docker push registry.test:5000/team-a/b:1")
    assert "denied: bob may only pull in team-a/b" in pushed.stdout + pushed.stderr
    assert "~ team-a: bob guest -> developer" in run("plan", bob="developer").stdout
