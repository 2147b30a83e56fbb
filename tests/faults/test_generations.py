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

[smoke]
image_archive = "$busybox_tar"
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


@pytest.fixture
def listed(twin, write_fleet, regfleet, state):
    """`listed()` gives the document of `history`, and what it says to people."""

    def call(*options):
        path = write_fleet(twin, BODY.format(**CHANGES[0]))
        done = regfleet("history", path, "--json", "--state-dir", state, *options)
        assert done.returncode == 0, done.stderr
        said = regfleet("history", path, "--state-dir", state, *options)
        return json.loads(done.stdout), said.stdout

    return call


@pytest.fixture
def numbers(listed):
    """`numbers()` gives those of the runs, the newest first."""
    return lambda: [run["number"] for run in listed()[0]["runs"]]


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


def test_back_over_several_at_once(twin, run, numbers, tally):
    history = [_all(twin)]
    for change in CHANGES:
        run("apply", change, "--no-smoke")
        history.append(_all(twin))
    _, said = run("rollback", CHANGES[-1], "--generation", "9", code=1)
    assert "there is no generation 9 here" in said
    assert "kept are: 1 2 3" in said
    assert _all(twin) == history[3]
    last = numbers()[0]
    run("rollback", CHANGES[-1], "--to", str(last - 1))
    assert _all(twin) == history[1]
    run("rollback", CHANGES[-1], "--to", last - 2)
    assert _all(twin) == history[0]
    tally("rollback over several generations", 4, 4)


def test_nothing_to_go_back_to_is_no_error(twin, run):
    before = _all(twin)
    hosts, _ = run("rollback", CHANGES[0])
    assert {each["status"] for each in hosts.values()} == {"unchanged"}
    assert _all(twin) == before
    assert twin.hosts["other"].run("ls -d /var/lib/regfleet").returncode != 0


def test_the_last_run_is_taken_back_where_it_changed_something(twin, run, listed, state, tally):
    """Hosts that it left alone keep what older runs gave them; what comes back is told."""
    run("apply", CHANGES[0])
    before = _all(twin)
    run("apply", CHANGES[1], "--no-smoke", "--limit", "other")
    hosts, said = run("rollback", CHANGES[1])
    assert list(hosts) == ["other"]
    assert "other: takes back run " in said
    assert "~ daemon.json registry-mirrors: returns to its earlier state" in said
    assert hosts["other"]["smoke"]["main/pull"] == "passed"
    assert _all(twin) == before
    tally("rollback of a run on the hosts that it changed", 1, 1)

    found, text = listed("--host", "other")
    back, applied, *_ = found["runs"]
    assert (back["command"], applied["command"]) == ("rollback", "apply")
    assert applied["hosts"]["other"]["undone_by"] == back["number"]
    assert applied["line"].endswith("--limit other")
    assert applied["who"]
    assert applied["ok"] is True
    (kept,) = found["generations"]
    assert kept["run"] == found["runs"][2]["number"]
    assert kept["files_that_come_back"] == ["/etc/docker/daemon.json"]
    assert f"undone by run {back['number']}" in text
    assert "generation 1" in text
    pages = {path.name for path in (state / "runs").iterdir()}
    assert {f"{applied['number']:04}.json", f"{applied['number']:04}.html"} <= pages


def test_what_came_later_from_elsewhere_is_not_taken_back_unasked(
    twin, write_fleet, run, numbers, tally
):
    before = _all(twin)
    run("apply", CHANGES[1], "--no-smoke", "--limit", "other")
    # Another controller's, which has another state directory.
    driver = Driver(write_fleet(twin, BODY.format(**CHANGES[2])), twin)
    assert driver.apply("other").result == "changed"
    later = _all(twin)
    hosts, _ = run("rollback", CHANGES[1], code=1)
    assert "generation 3 came later" in hosts["other"]["error"]
    assert f"--to {numbers()[0]}" in hosts["other"]["error"]
    assert _all(twin) == later
    run("rollback", CHANGES[1], "--to", numbers()[0])
    assert _all(twin) == before
    tally("rollback refused over another's change", 1, 1)


def test_without_the_runs_there_is_the_way_host_by_host(
    twin, write_fleet, regfleet, tmp_path, listed
):
    """As after the state directory was lost; the generation is one of before there were notes."""
    host = twin.hosts["other"]
    host.read("rm /var/lib/regfleet/generations/1/run /var/lib/regfleet/generations/1/changes")
    path = write_fleet(twin, BODY.format(**CHANGES[0]))
    lost = ("--state-dir", tmp_path / "lost", "--yes")
    done = regfleet("rollback", path, *lost)
    assert done.returncode == 2
    assert "no run of the fleet test is recorded" in done.stderr
    assert "--generation N" in done.stderr
    assert "run not noted" in listed("--host", "other")[1]
    done = regfleet("rollback", path, *lost, "--limit", "other", "--generation", 1)
    assert done.returncode == 0, done.stderr
    assert "~ file /etc/docker/daemon.json: returns to its earlier state" in done.stdout
    assert text_of(host) == FOREIGN


def test_a_destroyed_host_says_that_it_keeps_nothing(twin, run):
    run("destroy", CHANGES[0])
    hosts, _ = run("rollback", CHANGES[0], "--limit", "both", code=1)
    assert "it keeps nothing of run" in hosts["both"]["error"]
    assert {text_of(host) for host in twin.hosts.values()} == {FOREIGN}


def test_a_way_back_that_was_cut_off_goes_no_further_than_it_was_to(twin, write_fleet, run, tally):
    host = twin.hosts["other"]
    texts = [FOREIGN]
    for change in CHANGES[:2]:
        driver = Driver(write_fleet(twin, BODY.format(**change)), twin)
        assert driver.apply("other").result == "changed"
        texts.append(text_of(host))
    killed = '[ "$2" = reactivate ] && kill -9 $$'
    assert driver.roll_back("other", killed).cut
    # There is no registry now, and what the host has again is told to be without it.
    hosts, said = run("rollback", CHANGES[1], "--limit", "other", "--generation", 2, code=1)
    assert hosts["other"]["status"] == "changed"
    assert "smoke test failed other: main/push" in said
    assert "regfleet smoke " in said
    assert text_of(host) == texts[1]
    assert driver.apply("other").result == "changed"
    assert driver.roll_back("other", killed).cut
    run("rollback", CHANGES[1], "--limit", "other", "--generation", 1)
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
    run("rollback", change, "--limit", name, "--generation", 3, code=1)  # there is no registry
    assert text_of(host) == texts[2]
    hosts, _ = run("rollback", change, "--limit", name, "--generation", 2, code=1)
    assert "kept are: none" in hosts[name]["error"]
    driver.destroy(name)
    assert text_of(host) == FOREIGN
