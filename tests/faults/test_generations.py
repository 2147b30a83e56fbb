"""Back to what was there before each change: files to the byte, live engine, registry container."""

import json
import re

import pytest
from driver import Driver, live, text_of, traces
from urllib3 import PoolManager

FOREIGN = '{ "max-concurrent-uploads":  3 }'
BODY = """
[registry.main]
hosts = [$both]
endpoint = "both:5000"
image_archive = "$registry_tar"
delete = {delete}
tls = {{ source = "none" }}

[client.all]
hosts = [$both, $other]
registries = ["main"]
mirrors = ["https://{mirror}.example"]
daemon = {{ debug = {debug} }}
"""
CHANGES = (
    {"delete": "true", "mirror": "one", "debug": "true"},
    {"delete": "false", "mirror": "two", "debug": "true"},
    {"delete": "true", "mirror": "three", "debug": "false"},
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module("both", "other")
    for host in twin.hosts.values():
        host.run("cat >/etc/docker/daemon.json", stdin=FOREIGN)
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, regfleet, state):
    """`run("apply", CHANGES[0])` gives the hosts of the document; exit code 0 unless told."""

    def call(command, change, *options, code=0):
        path = write_fleet(twin, BODY.format(**change))
        done = regfleet(command, path, "--yes", "--json", "--state-dir", state, *options)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)["hosts"], done.stderr

    return call


def _now(host):
    """All that a change reaches: files (generations and notes apart), live engine, registry."""
    lines = [
        re.sub(r"/generations.*", "", line)
        for line in traces(host).splitlines()
        if not re.search(r"/var/lib/regfleet/(generations|last$|lock$)", line)
    ]
    return lines, live(host), _deletes(host)


def _deletes(host):
    """What the registry says to a deletion: 405 where that is off; None without a registry."""
    if host.name != "both" or host.run("docker container inspect regfleet-main").returncode != 0:
        return None
    url = f"http://{host.address}:5000/v2/none/manifests/sha256:{'0' * 64}"
    return PoolManager(timeout=10, retries=False).request("DELETE", url).status


def _all(twin):
    return {name: _now(host) for name, host in twin.hosts.items()}


def test_three_changes_and_back_one_by_one(twin, run, tally):
    history = [_all(twin)]
    for change in CHANGES:
        run("apply", change, "--no-smoke")
        history.append(_all(twin))
    assert [each["both"][2] for each in history] == [None, 404, 405, 404]
    for number in (3, 2, 1):
        hosts, _ = run("rollback", CHANGES[-1])
        assert {each["status"] for each in hosts.values()} == {"changed"}
        assert _all(twin) == history[number - 1], f"back before generation {number}"
    for host in twin.hosts.values():
        assert text_of(host) == FOREIGN
        assert host.run("ls -d /var/lib/regfleet /etc/regfleet").stdout == ""
    tally("rollback of a generation", 6, 6)


def test_back_over_several_at_once(twin, run, tally):
    history = [_all(twin)]
    for change in CHANGES:
        run("apply", change, "--no-smoke")
        history.append(_all(twin))
    _, said = run("rollback", CHANGES[-1], "--to", "9", code=1)
    assert "there is no generation 9 here" in said
    assert "kept are: 1 2 3" in said
    assert _all(twin) == history[3]
    run("rollback", CHANGES[-1], "--to", "2")
    assert _all(twin) == history[1]
    run("rollback", CHANGES[-1], "--to", "1")
    assert _all(twin) == history[0]
    tally("rollback over several generations", 4, 4)


def test_nothing_to_go_back_to_is_no_error(twin, run):
    before = _all(twin)
    hosts, _ = run("rollback", CHANGES[0])
    assert {each["status"] for each in hosts.values()} == {"unchanged"}
    assert _all(twin) == before
    assert twin.hosts["other"].run("ls -d /var/lib/regfleet").returncode != 0


def test_a_way_back_that_was_cut_off_goes_no_further_than_it_was_to(twin, write_fleet, run, tally):
    host = twin.hosts["other"]
    texts = [FOREIGN]
    for change in CHANGES[:2]:
        driver = Driver(write_fleet(twin, BODY.format(**change)), twin)
        assert driver.apply("other").result == "changed"
        texts.append(text_of(host))
    killed = '[ "$2" = reactivate ] && kill -9 $$'
    assert driver.roll_back("other", killed).cut
    hosts, _ = run("rollback", CHANGES[1], "--limit", "other")
    assert hosts["other"]["status"] == "changed"
    assert text_of(host) == texts[1]
    assert driver.apply("other").result == "changed"
    assert driver.roll_back("other", killed).cut
    run("rollback", CHANGES[1], "--limit", "other", "--to", "1")
    assert text_of(host) == texts[0]
    tally("rollback that was cut off", 2, 2)


def test_ten_generations_are_kept(twin, write_fleet, run):
    name, host = "other", twin.hosts["other"]
    texts = [text_of(host)]
    for number in range(12):
        change = {"delete": "true", "mirror": f"m{number}", "debug": "true"}
        driver = Driver(write_fleet(twin, BODY.format(**change)), twin)
        assert driver.apply(name).result == "changed"
        texts.append(text_of(host))
    kept = host.read("ls /var/lib/regfleet/generations | sort -n").split()
    assert kept == [str(number) for number in range(3, 13)]
    run("rollback", change, "--limit", name, "--to", "3")
    assert text_of(host) == texts[2]
    hosts, _ = run("rollback", change, "--limit", name)
    assert hosts[name]["status"] == "unchanged"
    driver.destroy(name)
    assert text_of(host) == FOREIGN
