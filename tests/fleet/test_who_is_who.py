"""One machine under two names is refused, clones are not, and a new machine is told."""

import json

import pytest

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"

[client.build]
hosts = [$client1]
registries = ["main"]

[smoke]
image_archive = "$busybox_tar"
"""
ID = "/etc/machine-id"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "client1")


@pytest.fixture
def fleet(twin, write_fleet):
    return write_fleet(twin, BODY)


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


def test_equal_addresses_are_refused_without_asking(twin, write_fleet, regfleet):
    address = twin.hosts["reg1"].address
    path = write_fleet(twin, BODY.replace("$client1", f'"{address}"'))
    done = regfleet("validate", path)
    assert done.returncode == 2
    assert f"{address} is another name of reg1 in registry.main.hosts[0]" in done.stderr


def test_one_machine_under_two_names_is_refused_before_anything_is_changed(
    twin, write_fleet, regfleet, state
):
    reg1 = twin.hosts["reg1"]
    reg1.read("/usr/sbin/sshd -p 2222")  # another way to it, as another network card would be
    ssh = 'ssh = { port = 2222, host_key_checking = "off" }'
    other = f'{{ name = "other", address = "{reg1.address}", {ssh} }}'
    path = write_fleet(twin, BODY.replace("[$client1]", f"[$client1, {other}]"))
    machine = reg1.read(f"cat {ID}").strip()
    for command in (("plan",), ("apply", "--yes"), ("destroy", "--yes"), ("doctor",)):
        done = regfleet(command[0], path, *command[1:], "--json", "--state-dir", state)
        assert done.returncode == 2, done.stdout + done.stderr
        said = json.loads(done.stdout)["error"]["message"]
        assert "are one machine" in said
        assert {"reg1", "other"} <= set(said.split())
        assert machine in said
    done = regfleet("status", path, "--state-dir", state)
    assert done.returncode == 1
    assert "it is the machine that is also called reg1" in " ".join(done.stdout.split())
    for host in twin.hosts.values():
        assert host.run("ls /etc/regfleet || ls /var/lib/regfleet/owned.json").returncode != 0


def test_clones_with_one_machine_id_are_two_machines(twin, fleet, regfleet, state):
    client = twin.hosts["client1"]
    own = client.read(f"cat {ID}")
    client.run(f"cat >{ID}", stdin=twin.hosts["reg1"].read(f"cat {ID}"))
    try:
        done = regfleet("plan", fleet, "-v", "--state-dir", state)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "reg1, client1 have one machine id, and are different machines" in done.stderr
    finally:
        client.run(f"cat >{ID}", stdin=own)


def test_with_limit_the_machines_of_the_last_run_are_compared(
    twin, fleet, write_fleet, regfleet, state
):
    done = regfleet("apply", fleet, "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    ssh = 'ssh = { port = 2222, host_key_checking = "off" }'
    other = f'{{ name = "other", address = "{twin.hosts["reg1"].address}", {ssh} }}'
    body = BODY.replace("[$client1]", f"[$client1, {other}]")
    path = write_fleet(twin, body, name="limited.toml")
    done = regfleet("apply", path, "--yes", "--limit", "other", "--state-dir", state)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "reg1 and other are one machine" in done.stderr
    assert regfleet("plan", fleet, "--detailed-exitcode", "--state-dir", state).returncode == 0


def test_a_host_that_was_installed_anew_is_told_and_is_no_drift(twin, fleet, regfleet, state):
    client = twin.hosts["client1"]
    client.read("rm -rf /var/lib/regfleet /etc/docker/certs.d; systemd-id128 new >/etc/machine-id")
    done = regfleet("status", fleet, "--json", "--state-dir", state)
    host = json.loads(done.stdout)["hosts"]["client1"]
    assert (host["state"], host["reinstalled"]) == ("differs", True)
    assert host["attention"] == ["installed anew"]
    done = regfleet("plan", fleet, "--state-dir", state)
    assert "client1: it was installed anew, or replaced: its machine id was " in done.stderr
    plan = json.loads(regfleet("plan", fleet, "--json", "--state-dir", state).stdout)
    assert plan["totals"]["drift"] == plan["totals"]["drift_unknown"] == 0
    assert plan["hosts"]["client1"]["reinstalled"] is True
    done = regfleet("apply", fleet, "--yes", "--json", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["hosts"]["client1"]["reinstalled"] is True
    assert "reinstalled" not in regfleet("plan", fleet, "--json", "--state-dir", state).stdout
