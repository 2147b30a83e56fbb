"""Two registries that copy each other behind gateways: one serves, the other one stands by.

The gateways run on the hosts of the two registries. Clients know of neither.
"""

import json
import time

import pytest

from answering import runs
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

BODY = """
[registry.one]
hosts = [$reg1]
endpoint = "reg1.test:5001"
image_archive = "$registry_tar"
users.front.password = "generate"
users.sync.password = "generate"

[registry.two]
hosts = [$reg2]
endpoint = "reg2.test:5001"
image_archive = "$registry_tar"
users.front.password = "generate"
users.sync.password = "generate"

[replication.there]
from = "one"
to = ["two"]
every = "1h"
conflict = "keep"
login = { one = "sync", two = "sync" }

[replication.back]
from = "two"
to = ["one"]
every = "1h"
conflict = "overwrite"
login = { one = "sync", two = "sync" }

[registry.main]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
admins = ["root"]
users.root.password = "generate"
users.ci.password = "generate"
users.bob.password = "generate"
[registry.main.projects.team]
members = { ci = "developer", bob = "guest" }

[registry.main.gateway]
hosts = [$reg1, $reg2]
image_archive = "$nginx_tar"
before = ["one", "two"]
login = { one = "front", two = "front" }

[client.build]
hosts = [$client1]
registries = ["main"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""
APP = "registry.test:5000/team/app"


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds):
    twin = boot_for_module(
        HostSpec("reg1", aliases=("reg1.test", "registry.test")),
        HostSpec("reg2", aliases=("reg2.test",)),
        HostSpec("client1"),
    )
    for name in ("reg1", "reg2"):
        twin.hosts[name].read(
            "apt-get -qq update && apt-get -qq -y --no-install-recommends install python3"
        )
    client = twin.hosts["client1"]
    client.copy_in(seeds.busybox, "/root/busybox.tar")
    client.read("docker load -q -i /root/busybox.tar")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, regfleet, write_fleet, state):
    def of(command, *more, edit=lambda text: text):
        fleet = write_fleet(twin, edit(BODY))
        return regfleet(command, fleet, "--state-dir", state, *more)

    return of


def push(client, tag):
    name = f"{APP}:{tag}"
    return client.run(f"docker tag busybox {name} && docker push -q {name} && docker rmi {name}")


def move(client, what):
    """The tag `moved` to a new image, which is told by its comment."""
    name = f"{APP}:moved"
    made = f"docker commit -m {what} $(docker create busybox true) {name}"
    client.read(f"{made} && docker push -q {name} && docker rmi {name}")


def moved(client):
    name = f"{APP}:moved"
    comment = f"docker image inspect -f '{{{{.Comment}}}}' {name}"
    return client.read(f"docker pull -q {name} >&2 && {comment} && docker rmi {name} >&2").strip()


def pulls(client, tag):
    name = f"{APP}:{tag}"
    return client.run(f"docker pull -q {name} && docker rmi {name}").returncode == 0


def has(host, tag):
    place = "/var/lib/registry/docker/registry/v2/repositories/team/app/_manifests/tags"
    return host.run(f"test -e {place}/{tag}").returncode == 0


def copy(twin, policy):
    """Now, what its timer does once an hour here."""
    host = {"there.two": "reg2", "back.one": "reg1"}[policy]
    twin.hosts[host].read(runs(f"regfleet-replication-test.{policy}.service"))


def serving(run):
    return json.loads(run("status", "--json").stdout)["registries"]["main"]["served_by"]


def test_it_is_applied_at_once(run):
    done = run("apply", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["hosts"]
    assert "main/refusals" not in found["client1"]["smoke"]
    assert "failed" not in {each for host in found.values() for each in host["smoke"].values()}
    assert "what it has not copied yet" in run("plan").stderr
    assert "nothing to do on 3 hosts" in run("apply", "--yes").stdout


def test_the_second_takes_over_and_the_first_comes_back(twin, run):
    reg1, reg2, client = (twin.hosts[name] for name in ("reg1", "reg2", "client1"))
    assert push(client, "1").returncode == 0
    move(client, "before")
    assert (has(reg1, "1"), has(reg2, "1")) == (True, False)
    copy(twin, "there.two")
    assert has(reg2, "1")
    assert serving(run) == "one"
    assert push(client, "late").returncode == 0  # and not copied
    move(client, "late")
    reg1.read("docker kill regfleet-one")
    assert pulls(client, "1")
    assert not pulls(client, "late")
    assert moved(client) == "before"
    move(client, "meanwhile")
    assert push(client, "2").returncode == 0
    assert (has(reg1, "2"), has(reg2, "2")) == (False, True)
    done = run("status")
    assert done.returncode == 1
    assert "served by two: one does not answer its gateway" in done.stdout, done.stdout
    reg1.read("docker start regfleet-one")
    for _ in range(60):
        if serving(run) == "one":
            break
        time.sleep(0.5)
    assert moved(client) == "late"
    copy(twin, "back.one")
    assert moved(client) == "meanwhile"
    copy(twin, "there.two")
    for host in (reg1, reg2):
        assert all(has(host, tag) for tag in ("1", "2", "late"))
    assert all(pulls(client, tag) for tag in ("1", "2", "late"))
    assert moved(client) == "meanwhile"


def test_a_host_that_vanishes_is_skipped(twin):
    """Of which not even a refusal comes: requests are held up, and none fails."""
    reg1, client = twin.hosts["reg1"], twin.hosts["client1"]
    address = reg1.read(
        "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' regfleet-one"
    )
    drop = f"iptables {{}} OUTPUT -d {address.strip()} -j DROP"  # on the way from its gateway
    reg1.read(drop.format("-I"))
    try:
        assert pulls(client, "1")
        assert push(client, "3").returncode == 0
        assert has(twin.hosts["reg2"], "3")
    finally:
        reg1.read(drop.format("-D"))


def test_roles_are_those_of_one_declaration(twin, run, state):
    client = twin.hosts["client1"]
    password = (state / "passwords/main/bob").read_text().strip()
    client.read(f"echo {password} | docker --config /root/bob login -u bob --password-stdin {APP}")
    client.read(f"docker tag busybox {APP}:bobs")
    said = client.run(f"docker --config /root/bob push {APP}:bobs 2>&1").stdout
    assert "denied: bob may only pull in team/app" in said
    client.read(f"docker --config /root/bob pull -q {APP}:1")
    done = run("apply", "--yes", edit=lambda text: text.replace('bob = "guest"', 'bob = "admin"'))
    assert done.returncode == 0, done.stdout + done.stderr
    client.read(f"docker --config /root/bob push -q {APP}:bobs")


def test_nothing_is_left(twin, run):
    done = run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("reg1", "reg2"):
        host = twin.hosts[name]
        assert host.read("docker ps -aq; docker images -q; ls -d /etc/regfleet || :") == ""
        assert host.run("ls /var/lib/registry/docker").returncode != 0
