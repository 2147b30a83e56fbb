"""Gateways on hosts of their own: who has what, what the fleet says of them, one by one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT = "registry.test:5000"
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
storage = "/srv/images"
admins = ["root"]
users.root = { password = "generate" }
users.ci = { password = "generate" }
projects.regfleet-smoke.members = { ci = "admin" }
projects.team.members = { ci = "ROLE" }

[registry.main.gateway]
hosts = [$lb1, $lb2]
image_archive = "$nginx_tar"

[client.build]
hosts = [$client1]
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
FRONTS = ("lb1", "lb2")


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds):
    twin = boot_for_module(
        HostSpec("reg1"), HostSpec("lb1", aliases=("registry.test",)), HostSpec("lb2"),
        HostSpec("client1"),
    )  # fmt: skip
    twin.hosts["client1"].copy_in(seeds.busybox, "/root/busybox.tar")
    twin.hosts["client1"].read("docker load -q -i /root/busybox.tar")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, regfleet, write_fleet, state):
    def of(command, *more, role="developer", edit=lambda text: text):
        fleet = write_fleet(twin, edit(BODY.replace("ROLE", role)))
        return regfleet(command, fleet, "--state-dir", state, *more)

    return of


def applied(run, **how):
    done = run("apply", "--yes", "--json", **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_each_host_has_what_is_its_own(twin, run):
    found = applied(run)
    assert set(found["hosts"]["client1"]["smoke"].values()) == {"passed"}
    assert "main/refusals" not in found["hosts"]["reg1"]["smoke"]
    names = {
        name: sorted(twin.hosts[name].read("docker ps --format '{{.Names}}'").split())
        for name in ("reg1", *FRONTS)
    }
    both = ["regfleet-main.gateway", "regfleet-main.users"]
    assert names == {"reg1": ["regfleet-main"], "lb1": both, "lb2": both}
    # Users and the keys of tokens and TLS are the gateways'; the images' host has none of them.
    assert twin.hosts["reg1"].read("find /etc/regfleet -type f | sort").split() == [
        f"/etc/regfleet/main/{name}"
        for name in ("config.yml", "instance.crt", "instance.key", "tokens.crt")
    ]
    for name in FRONTS:
        files = twin.hosts[name].read("ls /etc/regfleet/main").split()
        assert files == ["htpasswd", "roles.json", "users.yml"]
        secret = "grep -c '\"secret\"' /etc/regfleet/main/users.yml"
        assert twin.hosts[name].read(secret) == "1"
    reg1, lb1 = (
        twin.hosts[name].read(f"grep '\"secret\"' /etc/regfleet/main/{file}").split()[1].strip('",')
        for name, file in (("reg1", "config.yml"), ("lb1", "users.yml"))
    )
    assert reg1 != lb1
    assert "nothing to do on 4 hosts" in run("apply", "--yes").stdout


def test_clients_reach_it_and_the_fleet_tells_of_it(twin, run):
    client = twin.hosts["client1"]
    name = f"{ENDPOINT}/team/app:1"
    client.read(f"docker tag busybox {name} && docker push -q {name} && docker rmi {name}")
    client.read(f"docker pull -q {name}")
    assert "docker" in twin.hosts["reg1"].read("ls /srv/images").split()
    done = run("status", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["registries"]["main"]["repositories"], found
    assert found["ok"] is True


def test_a_registry_that_is_down_is_found_on_its_own_host(twin, run):
    twin.hosts["reg1"].read("docker stop regfleet-main")
    try:
        assert run("status").returncode == 1
        said = run("doctor").stdout
        assert "reg1, registry main" in said, said
        assert "the container regfleet-main has exited" in said, said
    finally:
        twin.hosts["reg1"].read("docker start regfleet-main")


def test_a_role_is_changed_on_the_gateways_alone(twin, run):
    plan = json.loads(run("plan", "--json", role="guest").stdout)["hosts"]
    assert plan["reg1"]["changes"] == []
    applied(run, role="guest")
    name = f"{ENDPOINT}/team/app:2"
    pushed = twin.hosts["client1"].run(f"docker tag busybox {name}; docker push {name} 2>&1")
    assert "denied: ci may only pull in team/app" in pushed.stdout


def test_a_change_that_fails_on_the_first_gateway_stops_there(twin, run):
    lb2 = twin.hosts["lb2"]
    before = lb2.read("docker ps -q --no-trunc | sort")

    def broken(text):
        archive = 'image = "busybox:latest"\nimage_archive = "$busybox_tar"'
        return text.replace('image_archive = "$nginx_tar"', archive)

    done = run("apply", "--yes", "--json", edit=broken)
    assert done.returncode == 1
    hosts = json.loads(done.stdout)["hosts"]
    assert hosts["lb1"]["status"] == "rolled-back", hosts
    assert hosts["lb2"]["status"] == "skipped"
    assert lb2.read("docker ps -q --no-trunc | sort") == before
    applied(run)


@pytest.mark.soak
def test_plain_pyinfra_sets_up_registries_then_gateways_then_clients(twin, run, write_fleet):
    """Each needs the one before it to work; in the soak alone."""
    done = run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    fleet = write_fleet(twin, BODY.replace("ROLE", "developer"))
    command = (sys.executable, "-m", "pyinfra", "inventories/fleet.py", "deploys/site.py", "-y")
    environment = {**os.environ, "REGFLEET_FLEET": str(fleet)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "main/push passed" in said, said
    inspect = "docker inspect -f '{{.State.StartedAt}}' "
    at = [
        twin.hosts[name].read(f"{inspect}{container}")
        for name, container in (
            ("reg1", "regfleet-main"),
            ("lb1", "regfleet-main.gateway"),
            ("lb2", "regfleet-main.gateway"),
        )
    ]
    assert at == sorted(at), at
    regfleet = ("-m", "regfleet", "destroy", str(fleet), "--yes", "--delete-data")
    subprocess.run((sys.executable, *regfleet), cwd=ROOT, env=environment, check=True)
    applied(run)


def test_nothing_is_left(twin, run):
    done = run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("reg1", *FRONTS):
        host = twin.hosts[name]
        assert host.read("docker ps -aq; docker images -q; ls -d /etc/regfleet || :") == ""
    assert twin.hosts["reg1"].run("ls /srv/images/docker").returncode != 0
