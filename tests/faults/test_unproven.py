"""What a smoke test has not proven is asked for again, until it has."""

import signal

import pytest
from driver import await_that, wait_at

BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
tls = {{ source = "none" }}
delete = {delete}

[client.all]
hosts = [$client1]
registries = ["main"]
mirrors = ["https://{mirror}.example"]

[smoke]
image_archive = "$busybox_tar"
"""
BLOCK = "iptables -{} OUTPUT -p tcp --dport 5000 -j REJECT"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "client1")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, regfleet, state):
    """`run("apply", "one", code=0)` with a mirror of that name; gives what was said."""

    def call(command, *options, mirror="one", delete="true", code=0):
        path = write_fleet(twin, BODY.format(mirror=mirror, delete=delete))
        yes = ["--yes"] if command in ("apply", "destroy") else []
        done = regfleet(command, path, "--state-dir", state, *yes, *options)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return call


def test_a_failed_smoke_test_is_not_forgotten(twin, run, counted):
    client = twin.hosts["client1"]
    run("apply")
    assert "All is well" in run("status")
    client.read(BLOCK.format("I"))
    assert "smoke test failed" in run("apply", mirror="two", code=1)
    said = run("apply", mirror="two", code=1)
    assert "nothing to do" in said
    assert "smoke test failed client1: main/push" in said
    said = run("status", mirror="two", code=1)
    assert "not proven: client1" in said
    assert "main/push failed" in said
    assert "regfleet smoke" in said
    client.read(BLOCK.format("D"))
    assert "nothing to do" in run("apply", mirror="two")
    assert "All is well" in run("status", mirror="two")
    with counted(twin) as counts:
        run("apply", mirror="two")
    assert counts == {"reg1": 1, "client1": 1}


def test_without_a_smoke_test_nothing_is_proven(run):
    said = run("apply", "--no-smoke", mirror="three")
    assert "not proven: client1: not tested since" in said
    assert "regfleet smoke" in said
    run("status", mirror="three", code=1)
    assert "not proven" not in run("smoke", mirror="three")
    run("status", mirror="three")


def test_a_registry_that_changed_makes_its_clients_unproven(run):
    said = run("apply", "--limit", "reg1", mirror="three", delete="false")
    assert "not proven: client1: not tested since" in said
    run("apply", mirror="three", delete="false")
    run("status", mirror="three", delete="false")


def test_a_controller_that_is_killed_leaves_what_it_changed_unproven(
    twin, write_fleet, begin, state, run
):
    path = write_fleet(twin, BODY.format(mirror="four", delete="false"))
    process = begin("apply", path, "--yes", "--state-dir", state, hook=wait_at("settle"))
    client = twin.hosts["client1"]
    await_that(client, "[ -e /run/waits ]")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    client.read(": >/run/go")
    await_that(client, "flock -n /var/lib/regfleet/lock true")
    assert "not proven: client1" in run("status", mirror="four", delete="false", code=1)
    said = run("apply", mirror="four", delete="false")
    assert "nothing to do" in said
    assert "smoke client1: " in said
    run("status", mirror="four", delete="false")
