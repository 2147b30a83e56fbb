"""The connection goes in the middle of a touch: the host ends by itself, and the truth is told."""

import json

import pytest
from driver import await_that, text_of

BODY = """
[client.all]
hosts = [$killed, $cut, $booted]
mirrors = ["https://mirror.example.com"]
daemon = { debug = true }
"""
FOREIGN = '{"max-concurrent-uploads": 3}'
# One hook for all hosts: what happens depends on where it runs.
HOOK = """
drop_all() { # -I or -D
  iptables "$1" INPUT -p tcp --dport 22 -j DROP
  iptables "$1" OUTPUT -p tcp --sport 22 -j DROP
}
case $(hostname)-$2 in
  killed-activate)
    above=$$
    while [ "$(cat "/proc/$above/comm")" != sshd ]; do
      above=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$above/status")
    done
    kill -9 "$above"
    ;;
  cut-activate)
    drop_all -I
    { sleep 35; drop_all -D; } </dev/null >/dev/null 2>&1 9>&- &
    ;;
  lost-activate)
    drop_all -I
    ;;
  gone-undo | gone-tidy) # while all is put back, or the last of it taken out
    above=$$
    while [ "$(cat "/proc/$above/comm")" != sshd ]; do
      above=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$above/status")
    done
    kill -9 "$above"
    ;;
  booted-activate)
    : >/run/waits
    sleep 60
    ;;
esac
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module("killed", "cut", "booted")
    for host in twin.hosts.values():
        host.run("cat >/etc/docker/daemon.json", stdin=FOREIGN)
    return twin


def test_every_way_to_lose_a_connection(twin, write_fleet, begin, regfleet, tally):
    path = write_fleet(twin, BODY)
    process = begin("apply", path, "--yes", "--json", hook=HOOK)
    booted = twin.hosts["booted"]
    await_that(booted, "[ -e /run/waits ]")
    booted.docker.run("restart", "--time", "5", booted.container)
    said, complaints = process.communicate(timeout=240)
    assert process.returncode == 1, complaints
    hosts = json.loads(said)["hosts"]

    # sshd killed, and the network gone for a while: the host is asked again, and has done it all.
    assert "note killed, cut, booted: the connection broke while the host worked" in complaints
    for name in ("killed", "cut"):
        assert hosts[name]["status"] == "changed", hosts[name]
        assert hosts[name]["error"] is None
        assert "mirror.example.com" in text_of(twin.hosts[name])
        tally({"killed": "sshd killed in the middle", "cut": "network cut for 35 s"}[name], 1, 1)

    # Restarted between the writing and the activation: said so, and put right by the next run.
    assert hosts["booted"]["status"] == "failed"
    assert "was the host restarted?" in hosts["booted"]["error"]
    json.loads(text_of(booted))

    await_that(booted, "docker version")
    again = regfleet("apply", path, "--yes", "--json")
    assert again.returncode == 0, again.stderr
    statuses = {name: each["status"] for name, each in json.loads(again.stdout)["hosts"].items()}
    assert statuses == {
        "killed": "unchanged",
        "cut": "unchanged",
        "booted": "changed",
    }
    assert "was restored first" in again.stderr
    tally("host restarted between write and activation", 1, 1)
    assert regfleet("destroy", path, "--yes").returncode == 0
    assert {text_of(host) for host in twin.hosts.values()} == {FOREIGN}


# The first command is the look; the second, the touch, loses its connection before it begins.
NEVER_BEGINS = """
echo '@outcome changed'
number=$(($(cat /run/number 2>/dev/null) + 1))
echo "$number" >/run/number
[ "$number" -ne 2 ] || { kill -9 "$PPID"; exit 1; }
"""


def test_nothing_is_claimed_without_evidence(twin, write_fleet, begin, regfleet, tally):
    """Asked again, a host tells of this very run, also where it keeps nothing else of ours."""
    never, back = twin.hosts["killed"], twin.hosts["cut"]
    path = write_fleet(twin, BODY.replace("$killed, $cut, $booted", "$killed"))
    bashrc = text_of(never, "/root/.bashrc") or ""
    never.run("cat >/root/.bashrc", stdin=NEVER_BEGINS + bashrc)
    try:
        done = regfleet("apply", path, "--yes", "--json")
    finally:
        never.run("cat >/root/.bashrc; rm -f /run/number", stdin=bashrc)
    (host,) = json.loads(done.stdout)["hosts"].values()
    assert done.returncode == 1
    assert host["status"] == "failed"
    assert "it is unknown whether the host was changed" in host["error"]
    assert "regfleet plan fleet.toml --limit killed" in host["error"]
    assert text_of(never) == FOREIGN
    tally("connection cut before the touch began", 1, 1)

    # A first touch that puts all back leaves nothing of ours but what it said.
    hook = HOOK.replace("gone-undo", "cut-undo").replace("cut-activate", "none")
    body = BODY.replace("$killed, $cut, $booted", "$cut").replace("debug = true", '"log-level" = 3')
    broken = write_fleet(twin, body, name="broken.toml")
    process = begin("apply", broken, "--yes", "--json", hook=hook)
    said, complaints = process.communicate(timeout=240)
    (host,) = json.loads(said)["hosts"].values()
    assert process.returncode == 1
    assert host["status"] == "rolled-back", host
    assert "note cut: the connection broke while the host worked" in complaints
    assert back.run("ls -d /var/lib/regfleet").returncode != 0
    assert text_of(back) == FOREIGN
    tally("cut while a first touch puts all back", 1, 1)

    # So does a touch that takes everything out.
    assert regfleet("apply", path, "--yes").returncode == 0
    hook = HOOK.replace("gone-tidy", "killed-tidy").replace("killed-activate", "none")
    process = begin("destroy", path, "--yes", "--json", hook=hook)
    said, complaints = process.communicate(timeout=240)
    assert process.returncode == 0, complaints
    assert "note killed: the connection broke while the host worked" in complaints
    assert never.run("ls -d /var/lib/regfleet").returncode != 0
    assert text_of(never) == FOREIGN
    tally("cut while the last is taken out", 1, 1)


@pytest.mark.soak
def test_a_host_that_is_gone_for_good_ends_by_itself(twin, write_fleet, begin, regfleet, tally):
    """Nobody can know, and nothing is claimed; the touch goes on without us."""
    lost = twin.hosts["killed"]
    path = write_fleet(twin, BODY)
    hook = HOOK.replace("lost-activate", "killed-settle").replace("killed-activate", "none")
    process = begin("apply", path, "--yes", "--json", "--limit", "killed", hook=hook)
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 1, complaints
    assert "cannot be reached again" in json.loads(said)["hosts"]["killed"]["error"]
    await_that(lost, "flock -n /var/lib/regfleet/lock true")
    assert "mirror.example.com" in text_of(lost)
    lost.read("iptables -F INPUT; iptables -F OUTPUT")
    again = regfleet("apply", path, "--yes", "--limit", "killed")
    assert "nothing to do on 1 host" in again.stdout
    tally("network cut for good", 1, 1)


def test_an_engine_that_cannot_live_with_a_half_done_change_comes_back(
    twin, write_fleet, begin, regfleet, tally
):
    """Killed before the activation, restarted with a file that dockerd does not take."""
    host = twin.hosts["booted"]
    body = BODY.replace("debug = true", '"max-concurrent-downloads" = "x"')
    path = write_fleet(twin, body)
    process = begin("apply", path, "--yes", "--limit", "booted", hook=HOOK)
    await_that(host, "[ -e /run/waits ]")
    host.docker.run("restart", "--time", "5", host.container)
    process.communicate(timeout=240)
    await_that(host, "systemctl is-failed docker", 60)
    done = regfleet("apply", write_fleet(twin, BODY), "--yes", "--limit", "booted")
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.read("docker info -f '{{.Debug}}'") == "true"
    tally("host restarted into a daemon.json that dockerd refuses", 1, 1)
