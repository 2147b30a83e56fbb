"""Canaries, batches and max_failures: nothing is touched beyond a wave that failed."""

import json

import pytest
from driver import text_of, traces

NAMES = ("w1", "w2", "w3", "w4")
BODY = """
[client.all]
hosts = [$w1, $w2, $w3, $w4]
mirrors = ["https://mirror.example.com"]
registries = [%s]

[registry.nobody]
external = true
endpoint = "127.0.0.1:9"
smoke = true
tls = { source = "none" }

[smoke]
image_archive = "$busybox_tar"

[rollout]
canary = 1
batch = 1
max_failures = %d
"""


def failing(*names):
    """Hook: the touch fails on these hosts, once the files are in place."""
    return (
        f"case $(hostname)-$2 in {'|'.join(f'{name}-activate' for name in names)}) fail told;; esac"
    )


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(*NAMES)


@pytest.fixture
def roll(twin, write_fleet, regfleet, counted):
    """Applies; gives statuses, number of commands by host, the document's hosts."""
    before = {name: traces(host) for name, host in twin.hosts.items()}

    def run(hook, max_failures, *options, registries=""):
        path = write_fleet(twin, BODY % (registries, max_failures))
        with counted(twin) as sessions:
            done = regfleet("apply", path, "--yes", "--json", *options, REGFLEET_TOUCH_HOOK=hook)
        assert done.returncode == 1, done.stderr
        hosts = json.loads(done.stdout)["hosts"]
        for name, each in hosts.items():
            if each["status"] == "skipped":
                assert sessions[name] == 1, f"{name} was looked at, and no more"
                assert "not touched" in each["error"]
            if each["status"] in ("skipped", "rolled-back"):
                assert traces(twin.hosts[name]) == before[name]
        return [hosts[name]["status"] for name in NAMES], hosts

    yield run
    path = write_fleet(twin, BODY % ("", 0))
    assert regfleet("destroy", path, "--yes").returncode == 0


def test_a_canary_that_fails_stops_everything(roll, tally):
    statuses, hosts = roll(failing("w1"), 0, "--no-smoke")
    assert statuses == ["rolled-back", "skipped", "skipped", "skipped"]
    assert "w1 failed, more than max_failures = 0" in hosts["w4"]["error"]
    tally("a wave that fails", 1, 1)


def test_a_canary_whose_smoke_test_fails_stops_everything(twin, roll, tally):
    statuses, hosts = roll("", 0, registries='"nobody"')
    assert statuses == ["changed", "skipped", "skipped", "skipped"]
    assert hosts["w1"]["smoke"]["nobody/push"] == "failed"
    assert text_of(twin.hosts["w2"]) is None
    tally("a wave that fails", 1, 1)


def test_batches_go_on_until_too_many_have_failed(roll, tally):
    statuses, _ = roll(failing("w2", "w3"), 1, "--no-smoke")
    assert statuses == ["changed", "rolled-back", "rolled-back", "skipped"]
    tally("a wave that fails", 1, 1)


def test_failures_that_are_allowed_stop_nobody(roll, tally):
    statuses, _ = roll(failing("w2"), 1, "--no-smoke")
    assert statuses == ["changed", "rolled-back", "changed", "changed"]
    tally("a wave that fails", 1, 1)
