"""Copies that a host runs by itself: planned, put there, watched, taken away like all else."""

import json
import os
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_replication import BODY, push

from answering import rests, runs
from regfleet.replication import engine

BY_ITSELF = BODY + 'delete = true\nmax_delete = 5\nevery = "1m"\n'
RECORD = "/var/lib/regfleet/replication/test.north.north.json"
UNIT = "regfleet-replication-test.north.north"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "north1=north.test")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


def reach(twin, state, host, name, endpoint):
    """How this machine reaches a registry, once it is there."""
    return engine.Registry(
        {
            "url": f"https://{endpoint}:5000",
            "connect": f"{twin.hosts[host].address}:5000",
            "ca": (state / "ca.crt").read_text(),
            "user": "ci",
            "password": (state / f"passwords/{name}/ci").read_text().strip(),
        },
        engine.Clock(900),
    )


@pytest.fixture(scope="module")
def registries(twin, state):
    return lambda: (
        reach(twin, state, "reg1", "main", "registry.test"),
        reach(twin, state, "north1", "north", "north.test"),
    )


def changes(done, host="north1"):
    return [each["resource"] for each in json.loads(done.stdout)["hosts"][host]["changes"]]


def wait_for(what):
    """Until it is so; a timer of a minute has to come round meanwhile."""
    for _ in range(300):
        if what():
            return
        time.sleep(0.5)
    pytest.fail("it did not come about")


def told(metrics):
    """What a file for Prometheus says: by name and labels, in the order of these."""
    return {
        (sample.name.removeprefix("regfleet_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.read_text())
        for sample in family.samples
    }


def test_a_host_without_python_is_told_by_the_plan(twin, write_fleet, regfleet, state):
    fleet = write_fleet(twin, BY_ITSELF)
    done = regfleet("plan", fleet, "--json", "--state-dir", state)
    found = json.loads(done.stdout)["hosts"]
    assert found["reg1"]["error"] is None
    assert "replication.north: it has no Python 3.6 or later" in found["north1"]["error"]


def test_it_runs_by_itself_and_deletions_follow(twin, write_fleet, regfleet, state, registries):
    north1 = twin.hosts["north1"]
    north1.read("apt-get -qq update && apt-get -qq -y --no-install-recommends install python3")
    fleet = write_fleet(twin, BY_ITSELF)
    done = regfleet("apply", fleet, "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert north1.read(f"systemctl is-active {UNIT}.timer").strip() == "active"
    main, north = registries()
    for number in range(6):
        push(main, "prod/web", f"v{number}", b"layer %d" % number)
    wait_for(lambda: len(list(north.tags("prod/web"))) == 6)
    north1.read(rests(f"{UNIT}.service"))  # the run that brought the last one
    main.delete_tag("prod/web", "v3", lambda _: None)
    north1.read(runs(f"{UNIT}.service"))
    assert set(north.tags("prod/web")) == {f"v{number}" for number in (0, 1, 2, 4, 5)}
    done = regfleet("status", fleet, "--json", "--state-dir", state)
    copy = json.loads(done.stdout)["copies"]["north.north"]
    assert (copy["host"], copy["every_seconds"], copy["attention"]) == ("north1", 60, [])
    assert (copy["last"]["state"], copy["last"]["counts"]["deleted"]) == ("ok", 1)
    assert copy["lag_seconds"] < 600
    metrics = fleet.with_suffix(".prom")
    said = regfleet("status", fleet, "--state-dir", state, "--metrics", metrics).stdout
    assert "north.north  main -> north on north1" in said
    assert told(metrics)["copy_last_ok", "north.north", "test", "main", "north"] == 1
    assert told(metrics)["copy_last_count", "north.north", "deleted", "test", "main", "north"] == 1
    assert told(metrics)["registry_healthy", "test", "north"] == 1
    assert told(metrics)["host_up", "test", "north1"] == 1
    assert changes(regfleet("plan", fleet, "--json", "--state-dir", state)) == []
    secrets = "/etc/regfleet/replication.d/test/north.north.json"
    assert north1.read(f"stat -c '%a %U' {secrets}").strip() == "600 root"
    password = (state / "passwords/main/ci").read_text().strip()
    units = north1.read(f"cat /etc/systemd/system/{UNIT}.*; journalctl -u {UNIT}; cat {RECORD}")
    assert password not in units


def test_a_run_that_is_killed_goes_on(twin, registries):
    north1 = twin.hosts["north1"]
    main, north = registries()
    for number in range(8):
        push(main, "prod/big", f"v{number}", os.urandom(2_000_000))
    north1.read(f"systemctl start --no-block {UNIT}.service")
    for _ in range(200):
        if list(north.tags("prod/big")):
            break
        time.sleep(0.02)
    north1.run(f"systemctl kill -s KILL {UNIT}.service")
    north1.read(runs(f"{UNIT}.service"))
    for number in range(8):
        assert north.digest("prod/big", f"v{number}") == main.digest("prod/big", f"v{number}")
    main.delete_tag("prod/big", "v0", lambda _: None)  # whoever brought it, it is in the ledger
    north1.read(runs(f"{UNIT}.service"))
    assert north.digest("prod/big", "v0") is None


def test_a_source_that_is_away_is_in_the_status(twin, write_fleet, regfleet, state):
    fleet, reg1, north1 = write_fleet(twin, BY_ITSELF), twin.hosts["reg1"], twin.hosts["north1"]
    reg1.read("docker stop regfleet-main")
    try:
        north1.read(runs(f"{UNIT}.service"))  # ends well: the next run tries again
    finally:
        reg1.read("docker start regfleet-main")
    done = regfleet("status", fleet, "--json", "--state-dir", state)
    assert done.returncode == 1
    copy = json.loads(done.stdout)["copies"]["north.north"]
    assert (copy["last"]["state"], copy["attention"]) == ("away", ["away"])
    assert copy["last"]["complete"] is not None
    north1.read(runs(f"{UNIT}.service"))


def test_what_is_changed_by_hand_is_drift(twin, write_fleet, regfleet, state):
    fleet, north1 = write_fleet(twin, BY_ITSELF), twin.hosts["north1"]
    north1.read(f"systemctl stop {UNIT}.timer")
    done = regfleet("plan", fleet, "--json", "--state-dir", state)
    assert changes(done) == [f"timer {UNIT}"]
    found = json.loads(regfleet("status", fleet, "--json", "--state-dir", state).stdout)
    assert [each["origin"] for each in found["hosts"]["north1"]["changes"]] == ["host"]
    north1.read(f"echo '# edited' >>/etc/systemd/system/{UNIT}.service")
    done = regfleet("plan", fleet, "--json", "--state-dir", state)
    assert changes(done) == [f"file /etc/systemd/system/{UNIT}.service"]
    done = regfleet("apply", fleet, "--yes", "--no-smoke", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert north1.read(f"systemctl is-active {UNIT}.timer").strip() == "active"
    assert "edited" not in north1.read(f"cat /etc/systemd/system/{UNIT}.service")


def test_a_touch_that_is_killed_at_the_timer_is_put_back(twin, write_fleet, regfleet, state):
    fleet = write_fleet(twin, BY_ITSELF.replace('"1m"', '"2h"'))
    kill = 'if [ "$2" = timers ]; then kill -9 $$; fi'
    words = ("apply", fleet, "--yes", "--no-smoke", "--state-dir", state)
    done = regfleet(*words, REGFLEET_TOUCH_HOOK=kill, REGFLEET_AGAIN_SECONDS="5")
    assert done.returncode == 1
    text = twin.hosts["north1"].read(f"cat /etc/systemd/system/{UNIT}.timer")
    assert "OnUnitInactiveSec=7200s" in text  # in place, and not taken up yet
    done = regfleet(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    live = twin.hosts["north1"].read(f"systemctl show -p ActiveState,TimersMonotonic {UNIT}.timer")
    assert "ActiveState=active" in live
    assert "OnUnitInactiveUSec=2h" in live
    done = regfleet("apply", write_fleet(twin, BY_ITSELF), *words[2:])
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_goes_with_the_policy_and_comes_back_with_a_rollback(twin, write_fleet, regfleet, state):
    north1 = twin.hosts["north1"]
    without = write_fleet(twin, BODY)
    done = regfleet("apply", without, "--yes", "--no-smoke", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert north1.run(f"systemctl is-active {UNIT}.timer").returncode != 0
    assert UNIT not in north1.read("ls -R /etc/systemd/system")
    assert north1.run("ls /etc/regfleet/replication.d").returncode != 0
    done = regfleet("rollback", without, "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert north1.read(f"systemctl is-active {UNIT}.timer").strip() == "active"
    done = regfleet("destroy", write_fleet(twin, BY_ITSELF), "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert UNIT not in north1.read("ls -R /etc/systemd/system; systemctl list-timers --all")
    assert north1.run("ls /etc/regfleet || ls /var/lib/regfleet").returncode != 0
