"""A host without systemd: cron runs its copies, and collects its garbage."""

import json
import time

import pytest
from test_replication import push
from test_replication_timer import BY_ITSELF, RECORD, reach

from regfleet.rehearse.twin import HostSpec

CRON = "/etc/cron.d/regfleet-replication-test-X-north-X-north"
COLLECTS = "/etc/cron.d/regfleet-collection-test-X-north"
BODY = BY_ITSELF + '[registry.north.retention.gc]\nat = "Sun 03:05"\n'


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)),
        HostSpec("north1", variant="sysv", aliases=("north.test",)),
    )


def test_cron_runs_it(twin, write_fleet, regfleet, tmp_path):
    fleet, state, north1 = write_fleet(twin, BODY), tmp_path / "state", twin.hosts["north1"]
    install = "apt-get -qq update && apt-get -qq -y --no-install-recommends install"
    north1.read(f"{install} python3")
    done = regfleet("plan", fleet, "--json", "--state-dir", state)
    said = json.loads(done.stdout)["hosts"]["north1"]["error"]
    assert "neither systemd nor a cron that reads /etc/cron.d" in said
    north1.read(f"{install} cron && cron")
    done = regfleet("apply", fleet, "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "*/1 * * * * root /usr/bin/python3 -I" in north1.read(f"cat {CRON}")
    main = reach(twin, state, "reg1", "main", "registry.test")
    north = reach(twin, state, "north1", "north", "north.test")
    push(main, "prod/web", "v1", b"one")
    for _ in range(300):
        if north.digest("prod/web", "v1"):
            break
        time.sleep(0.5)
    assert north.digest("prod/web", "v1") == main.digest("prod/web", "v1")
    assert json.loads(north1.read(f"cat {RECORD}"))["state"] == "ok"
    line = north1.read(f"tail -n 1 {COLLECTS}")
    assert line.startswith("5 3 * * 0 root /bin/sh /etc/regfleet/jobs.d/test/collection.north.sh")
    north1.read(line.partition(" root ")[2])
    found = json.loads(regfleet("status", fleet, "--json", "--state-dir", state).stdout)
    last = found["registries"]["north"]["jobs"]["collection"]["last"]
    assert (last["result"], last["by_itself"], last["figures"]["tags"]) == ("unchanged", True, 1)
    done = regfleet("destroy", fleet, "--yes", "--state-dir", state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert north1.run(f"ls {CRON} {COLLECTS} /etc/regfleet /var/lib/regfleet").stdout == ""
