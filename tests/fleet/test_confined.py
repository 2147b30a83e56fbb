"""A registry's container has no right that it does not need, and serves all the same.

The hosts' life in this order: one registry on an address of the host's, one on IPv6 loopback and
the same port, one under a daemon with userns-remap that logs to the journal.
"""

import json
import re
from pathlib import Path

import pytest

from regfleet.desired.resolve import resolve
from regfleet.fleet.load import load
from regfleet.materials import gather
from regfleet.rehearse.twin import HostSpec
from regfleet.runtimes.container import CONFINED_NOW
from regfleet.state import StateDirectory

HOSTS = (
    HostSpec("reg1", aliases=("registry.test", "loop.test")),
    HostSpec("reg2", suite="trixie", aliases=("remapped.test",)),
)
REMAPPED = {"userns-remap": "default", "log-driver": "journald"}
FLEET = """
[ca]
permitted = ["test", "reg1", "reg2", "10.0.0.0/8"]
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
listen = "ADDRESS:5000"
image_archive = "$registry_tar"
storage = "/srv/images"
users.ci = { password = "generate" }
limits = { memory = "512m", pids = 512 }

[registry.loop]
hosts = [$reg1]
endpoint = "loop.test:5000"
listen = "[::1]:5000"
image_archive = "$registry_tar"
storage = "/srv/loop"

[registry.remapped]
hosts = [$reg2]
endpoint = "remapped.test:5000"
image_archive = "$registry_tar"

[client.all]
hosts = [$reg1, $reg2]
registries = ["main", "remapped"]
login = { main = "ci" }

[smoke]
image_archive = "$busybox_tar"
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(*HOSTS)
    twin.hosts["reg1"].read("sysctl -qw net.ipv6.conf.lo.disable_ipv6=0")
    twin.hosts["reg2"].read(
        f"echo '{json.dumps(REMAPPED)}' >/etc/docker/daemon.json; systemctl restart docker"
    )
    return twin


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture
def fleet(twin, place, write_fleet):
    path = place / "fleet.toml"
    text = write_fleet(twin, FLEET).read_text()
    path.write_text(text.replace("ADDRESS", twin.hosts["reg1"].address))
    return path


@pytest.fixture
def run(fleet, regfleet):
    def run(command, *options, code=0):
        done = regfleet(command, fleet, "--json", *options)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)["hosts"]

    return run


def inspect(host, name):
    (found,) = json.loads(host.read(f"docker inspect {name}"))
    status = host.read(f"cat /proc/{found['State']['Pid']}/status").splitlines()
    return found["HostConfig"], dict(line.split(":\t", 1) for line in status if ":\t" in line)


def test_it_serves_without_a_capability(twin, run):
    assert "userns" in twin.hosts["reg2"].read("docker info -f '{{.SecurityOptions}}'")
    hosts = run("apply", "--yes")
    for name in ("reg1", "reg2"):
        smoke = hosts[name]["smoke"]
        assert (smoke["main/push"], smoke["remapped/push"]) == ("passed", "passed")
    for host, name in (("reg1", "main"), ("reg1", "loop"), ("reg2", "remapped")):
        config, status = inspect(twin.hosts[host], f"regfleet-{name}")
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert config["ReadonlyRootfs"]
        # Not every kernel under the tests has the controllers; the engine says which it has.
        can = json.loads(twin.hosts[host].read("docker info -f '{{json .}}'"))
        limits = (512, 512 << 20) if name == "main" else (4096, 0)
        assert not can["PidsLimit"] or config["PidsLimit"] == limits[0]
        assert not can["MemoryLimit"] or config["Memory"] == limits[1]
        rotated = config["LogConfig"]["Config"].get("max-size") == "10m"
        assert (config["LogConfig"]["Type"], rotated) in [("json-file", True), ("journald", False)]
    again = run("apply", "--yes")
    assert {host["status"] for host in again.values()} == {"unchanged"}


def test_two_registries_share_a_port(twin):
    listening = twin.hosts["reg1"].read("ss -Hltn 'sport = :5000'").splitlines()
    address = twin.hosts["reg1"].address
    assert sorted(line.split()[3] for line in listening) == sorted(
        [f"{address}:5000", "[::1]:5000"]
    )


def test_status_and_doctor_ask_them_where_they_listen(fleet, regfleet):
    done = regfleet("status", fleet, "--json")
    registries = json.loads(done.stdout)["registries"]
    assert {name: each["error"] for name, each in registries.items()} == dict.fromkeys(registries)
    done = regfleet("doctor", fleet)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_store_of_another_user_stays_writable(twin, run):
    twin.hosts["reg1"].read("chown -R 1000:1000 /srv/images/docker")
    hosts = run("smoke", code=1)  # the right is really needed
    assert "failed" in hosts["reg2"]["smoke"].values()
    hosts = run("apply", "--yes")
    assert [change["resource"] for change in hosts["reg1"]["changes"]] == [
        "container regfleet-main"
    ]
    assert hosts["reg2"]["smoke"]["main/push"] == "passed"
    _, status = inspect(twin.hosts["reg1"], "regfleet-main")
    assert int(status["CapEff"], 16) == 1 << 1  # CAP_DAC_OVERRIDE, capability.h
    twin.hosts["reg1"].read("chown -R 0:0 /srv/images/docker")
    run("apply", "--yes")


def test_a_registry_of_the_version_before_gets_one_change_that_says_why(twin, run, fleet, regfleet):
    loaded = load(fleet)
    state = StateDirectory.beside(loaded.path, loaded.name, None)
    wanted = resolve(loaded, gather(loaded, state, save=False))["reg2"]
    (service,) = wanted.services
    host = twin.hosts["reg2"]
    now = Path("/var/lib/regfleet/services/regfleet-remapped")
    kept = Path("/var/lib/regfleet/containers/regfleet-remapped")
    ours = "container 127.0.0.1:5000 https:200,401:/v2/ "
    words = host.read(f"cat {now}").replace(ours, "5000 yes ")
    for word in service.run.arguments[5:]:
        words = words.replace(f" {word}", "")
    # On a host that remaps users it has one more word, and so another specification.
    specified = re.search(r"regfleet\.specification=(\S+)", words)[1]
    (former,) = (each for each, words in service.formerly.items() if words == CONFINED_NOW)
    words = words.replace(specified, former)
    host.read(
        f"mkdir -p {kept.parent}; echo {json.dumps(words)} >{kept}; rm {now}; "
        "docker rm -f regfleet-remapped; "
        f'set -- $(cat {kept}); shift 2; docker run -d --name regfleet-remapped "$@"'
    )
    (change,) = run("plan")["reg2"]["changes"]
    assert change["resource"] == "container regfleet-remapped"
    assert change["reason"] == f"registry.remapped: {CONFINED_NOW}"
    run("apply", "--yes")
    assert run("plan")["reg2"]["changes"] == []
    # The way back leads to a container that the earlier version kept in its own place.
    # (which has no right to read its files here: see REMAPPED).
    regfleet("rollback", fleet, "--yes", "--limit", "reg2")
    assert host.read(f"cat {kept}").strip() == words.strip()
    label = '{{index .Config.Labels "regfleet.specification"}}'
    assert host.read(f"docker inspect -f '{label}' regfleet-remapped") == former
    run("apply", "--yes")
    assert host.read("ls /var/lib/regfleet/containers /var/lib/regfleet/services").split() == [
        "/var/lib/regfleet/containers:",
        "/var/lib/regfleet/services:",
        "regfleet-remapped",
    ]
