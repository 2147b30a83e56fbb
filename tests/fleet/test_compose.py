"""The runtime `compose`: docker-compose 1.29 on bookworm, Compose 2 on trixie.

Clients are Docker 20.10 and 26.1; in the soak Podman and containerd, too.

Their packages come from the distribution, by apply itself: without that these tests are left out.
"""

import json
import re

import pytest
import yaml
from absence import Absence

from regfleet.rehearse.twin import HostSpec
from workers import SOAK

pytestmark = pytest.mark.long

REGISTRIES = ("old", "new")
BODY = """
[registry.old]
hosts = [$old]
endpoint = "old.test:5000"
runtime = "RUNTIME"
IMAGE
delete = DELETE
users = { ci = { password = "generate" } }

[registry.new]
hosts = [$new]
endpoint = "new.test:5000"
runtime = "RUNTIME"
IMAGE
delete = DELETE
tls = { source = "none" }

[client.build]
hosts = [$client1, $client2]
registries = ["old", "new"]
login = { old = "ci" }

OTHERS
[smoke]
image_archive = "$busybox_tar"
"""
OTHERS = """
[client.podman]
hosts = [$client3]
engine = "podman"
registries = ["old", "new"]
login = { old = "ci" }

[client.containerd]
hosts = [$client4]
engine = "containerd"
registries = ["old", "new"]
login = { old = "ci" }
"""
CLIENTS = ("client1", "client2", *(("client3", "client4") if SOAK else ()))
STEPS = ("present", "push", "remove", "pull", "digest", "run", "delete")
FILE = "/etc/regfleet/{}/compose.yaml"
LEFT = (
    "for each in docker podman; do command -v $each >/dev/null || continue;"
    " $each ps -aq; $each images -q; done 2>/dev/null;"
    " docker network ls -q --filter type=custom 2>/dev/null;"
    " systemctl is-active docker-registry | grep -v inactive;"
    " ls -d /etc/regfleet /var/lib/regfleet /etc/systemd/system/*regfleet* 2>/dev/null || :"
)


# Podman beside Docker, which brought runc: in a container only crun can do without control groups
# (see vagrant/host-image.sh).
FOR_PODMAN = (
    "export DEBIAN_FRONTEND=noninteractive; apt-get -qq install --no-install-recommends crun && "
    "sed -i 's/^pids_limit.*/cgroups = \"disabled\"/'"
    " /etc/containers/containers.conf.d/test-host.conf"
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(
        HostSpec("old", aliases=("old.test",)),
        HostSpec("new", "trixie", aliases=("new.test",)),
        HostSpec("client1"),
        HostSpec("client2", "trixie"),
        *(HostSpec("client3", "trixie", "bare"), HostSpec("client4", variant="bare"))[: 2 * SOAK],
    )
    for name in REGISTRIES:
        done = twin.hosts[name].run("apt-get -qq update && apt-get -qq -s install docker-compose")
        if done.returncode != 0:
            pytest.skip("no package sources: docker-compose cannot be installed")
        if "podman" in TOUR:
            twin.hosts[name].read(FOR_PODMAN)
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    def run(command, *options, runtime="compose", delete="true", edit=lambda text: text):
        image = "" if runtime == "package" else 'image_archive = "$registry_tar"'
        body = (
            BODY.replace("OTHERS", OTHERS if SOAK else "")
            .replace("RUNTIME", runtime)
            .replace("DELETE", delete)
            .replace("IMAGE", image)
        )
        fleet = write_fleet(twin, edit(body))
        return regfleet(command, fleet, "--state-dir", state, *options)

    return run


def compose(host, words):
    """What an operator types, as the head of the file says it."""
    program = "docker compose" if host.name == "new" else "docker-compose"
    return host.read(f"cd / && {program} -f {FILE.format(host.name)} {words} 2>&1")


def container(host):
    return host.read(f"docker inspect -f '{{{{.Id}}}}' regfleet-{host.name}")


def planned(run, name, **how):
    """Lines of `ACTION RESOURCE` that a plan has for a host."""
    done = run("plan", "--json", **how)
    assert done.returncode == 0, done.stderr
    changes = json.loads(done.stdout)["hosts"][name]["changes"]
    return [f"{change['action']} {change['resource']}" for change in changes]


def test_installs_compose_and_serves_clients(twin, run, proven):
    done = run("apply", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    checks = {f"{registry}/{step}" for registry in REGISTRIES for step in STEPS}
    for name in CLIENTS:
        smoke = hosts[name]["smoke"]
        assert {check: smoke.get(check) for check in checks} == dict.fromkeys(checks, "passed")
    for name, version in (("old", "1.29"), ("new", "2.")):
        host = twin.hosts[name]
        found = host.read("docker-compose version --short")
        assert found.startswith(version)
        assert f"regfleet-{name}" in compose(host, "ps")
        proven(
            f"runtime compose {found}",
            host.read("docker version -f '{{.Server.Version}}'"),
            host.spec.suite,
            f"installed; used by {len(CLIENTS)} clients",
        )


def test_a_second_run_finds_nothing(twin, run, counted):
    with counted(twin) as counts:
        done = run("apply", "--yes")
    assert f"nothing to do on {len(twin.hosts)} hosts" in done.stdout, done.stdout + done.stderr
    assert counts == dict.fromkeys(twin.hosts, 1)


@pytest.mark.parametrize("name", REGISTRIES)
def test_the_file_is_as_confined_as_a_container(twin, name):
    host = twin.hosts[name]
    text = host.read(f"cat {FILE.format(name)}")
    assert set(yaml.safe_load(text)["services"]) == {"registry"}
    found = json.loads(host.read(f"docker inspect regfleet-{name}"))[0]["HostConfig"]
    assert found["CapDrop"] == ["ALL"]
    assert found["ReadonlyRootfs"] is True
    assert found["SecurityOpt"] == ["no-new-privileges"]
    assert found["UsernsMode"] == "host"
    assert found["RestartPolicy"]["Name"] == "always"
    assert found["NetworkMode"] in ("bridge", "default")
    assert host.read(f"stat -c %a {FILE.format(name)}") == "600"


@pytest.mark.parametrize("name", REGISTRIES)
def test_an_operator_goes_on_by_hand(twin, run, name):
    """With the very command that stands in the file, down and up: the next plan is empty."""
    host = twin.hosts[name]
    before = container(host)
    compose(host, "up -d")
    assert container(host) == before
    compose(host, "down")
    assert host.read("docker ps -aq --filter name=regfleet") == ""
    assert planned(run, name) == [f"create compose regfleet-{name}"]
    compose(host, "up -d")
    assert planned(run, name) == []


@pytest.mark.parametrize("name", REGISTRIES)
def test_an_edited_file_is_shown_and_put_back(twin, run, name):
    host, path = twin.hosts[name], FILE.format(name)
    text = host.read(f"cat {path}")
    host.run(f"cat >{path}", stdin=text.replace("pids_limit: 4096", "pids_limit: 99") + "\n")
    compose(host, "up -d")
    edited = container(host)
    assert planned(run, name) == [f"update file {path}", f"run compose regfleet-{name}"]
    done = run("apply", "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.read(f"cat {path}") == text
    assert container(host) != edited
    assert planned(run, name) == []


def test_a_stopped_one_is_started(twin, run):
    twin.hosts["old"].read("docker stop regfleet-old")
    assert planned(run, "old") == ["run compose regfleet-old"]
    assert run("apply", "--yes", "--no-smoke").returncode == 0
    assert planned(run, "old") == []


def test_what_does_not_answer_comes_back_as_it_was(twin, run):
    """The new one cannot have its port's address: the old one is there again, the file too."""
    before = {name: twin.hosts[name].read(f"cat {FILE.format(name)}") for name in REGISTRIES}
    done = run("apply", "--yes", "--no-smoke", "--json", edit=elsewhere)
    assert done.returncode == 1
    hosts = json.loads(done.stdout)["hosts"]
    for name in REGISTRIES:
        if hosts[name]["status"] == "skipped":
            continue
        assert hosts[name]["status"] == "rolled-back", hosts[name]
        assert "no address 192.0.2.1" in hosts[name]["error"]
    for name in REGISTRIES:
        assert twin.hosts[name].read(f"cat {FILE.format(name)}") == before[name]
        assert twin.hosts[name].read("docker ps -q --filter name=regfleet | wc -l") == "1"
        assert planned(run, name) == []


# The runtimes that follow compose, one after another; test_runtimes.py has podman and package. The
# soak has all changes.
TOUR = ("container", "compose")
if SOAK:
    TOUR = (
        "container",
        "podman",
        "container",
        "package",
        "container",
        "compose",
        "package",
        *TOUR[1:],
    )
APP = "{}.test:5000/team/app:1"
PULLS = {
    "client1": "docker pull -q APP && docker rmi APP",
    "client3": "podman pull -q --authfile /root/.config/containers/auth.json APP && podman rmi APP",
    "client4": "ctr images pull --hosts-dir /etc/containerd/certs.d APP && ctr images rm APP",
}
# What runs a registry: its name, or that of the package's service.
RUNS = (
    "docker ps --format '{{.Names}}'; podman ps --format '{{.Names}}' 2>/dev/null;"
    "systemctl is-active -q docker-registry && echo docker-registry; :"
)


def elsewhere(text):
    """The registries are to listen at an address that no host has."""
    return re.sub(r"(endpoint = .*\n)", r'\1listen = "192.0.2.1:5000"' + "\n", text)


def is_pulled(twin):
    for client in (each for each in CLIENTS if each in PULLS):
        for name in REGISTRIES:
            twin.hosts[client].read(PULLS[client].replace("APP", APP.format(name)))


@pytest.fixture(scope="module")
def pushed(twin, seeds):
    host = twin.hosts["client1"]
    host.copy_in(seeds.busybox, "/root/busybox.tar")
    for app in map(APP.format, REGISTRIES):
        host.read(
            f"docker load -q -i /root/busybox.tar && docker tag busybox {app} && "
            f"docker push -q {app} && docker rmi busybox {app}"
        )


@pytest.mark.usefixtures("pushed")
@pytest.mark.parametrize(("other", "runtime"), list(zip(("compose", *TOUR), TOUR, strict=False)))
def test_the_runtime_changes_and_storage_and_clients_stay(twin, run, proven, other, runtime):
    """How long the registries answer nobody is measured, and said by the plan."""
    hosts = {name: twin.hosts[name] for name in REGISTRIES}
    before = {name: host.read(RUNS) for name, host in hosts.items()}
    failed = run("apply", "--yes", "--no-smoke", "--json", runtime=runtime, edit=elsewhere)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    statuses = {name: each["status"] for name, each in json.loads(failed.stdout)["hosts"].items()}
    assert "rolled-back" in {statuses[name] for name in REGISTRIES}, failed.stdout
    assert {name: host.read(RUNS) for name, host in hosts.items()} == before
    said = run("plan", runtime=runtime)
    assert "its registry is away for about 3 s" in said.stdout, said.stdout + said.stderr
    with Absence(hosts["old"], 5000) as old, Absence(hosts["new"], 5000, "http") as new:
        done = run("apply", "--yes", "--no-smoke", runtime=runtime)
    assert done.returncode == 0, done.stdout + done.stderr
    is_pulled(twin)
    for each, host in ((old, hosts["old"]), (new, hosts["new"])):
        away = f"away {each.longest:.1f} s"
        proven(f"runtime {other} to {runtime}", away, host.spec.suite, "storage and clients kept")
    for name, host in hosts.items():
        assert planned(run, name, runtime=runtime) == []
        assert len(host.read(RUNS).split()) == 1
        kept = host.run(f"test -e {FILE.format(name)}").returncode == 0
        assert kept is (runtime == "compose")


def test_destroy_leaves_nothing(twin, run):
    done = run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    for host in twin.hosts.values():
        assert host.read(LEFT) == ""
