"""A password is hunted while it is used, in /proc, and afterwards wherever it may lie."""

import base64
import json
import stat
import subprocess

import pytest

CANARY = "c4n4ry-pAssw0rd-of-alice"
BODY = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
[registry.main.users]
alice = { password = { env = "ALICE_PASSWORD" } }

[client.all]
hosts = [$client1]
registries = ["main"]
login = { main = { user = "alice", for = ["root", "ops"] } }

[smoke]
image_archive = "$busybox_tar"
"""
# The password as it is, and as base64 has it, alone and behind the user's name.
TRACES = (
    CANARY,
    base64.b64encode(CANARY.encode()).decode().rstrip("="),
    base64.b64encode(f"alice:{CANARY}".encode()).decode().rstrip("="),
)
# Looks without a pause until it is killed. The hosts' processes are this machine's, too.
HUNT = """
while :; do
  grep -l -a -F -f "$1/patterns" /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>"$1/hits" 2>/dev/null
  echo >>"$1/rounds"
done
"""


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module("reg1=registry.test", "client1")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state") / "private"


@pytest.fixture
def fleet(twin, write_fleet, state):
    """Arguments for the command line."""
    return write_fleet(twin, BODY, user="ops"), "--state-dir", state


class Hunt:
    """Reads command lines and environments of all processes; `hits` are those that show it."""

    def __init__(self, place):
        self.place = place
        (place / "patterns").write_text("\n".join(TRACES) + "\n")
        self.hits, self.rounds = set(), 0

    def __enter__(self):
        self._loop = subprocess.Popen(["sh", "-c", HUNT, "sh", self.place])
        return self

    def __exit__(self, *_):
        self._loop.kill()
        self._loop.wait()
        self.hits = set((self.place / "hits").read_text().split())
        self.rounds = len((self.place / "rounds").read_text())


def test_no_process_shows_it_while_a_run_is_on(fleet, begin, tmp_path, tally):
    """From the first look to the smoke test, here and on the hosts."""
    with Hunt(tmp_path) as hunt:
        process = begin("apply", *fleet, "--yes", ALICE_PASSWORD=CANARY)
        said, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, said + complaints
    assert "smoke client1" in said
    # The controller was given it so.
    assert hunt.hits == {f"/proc/{process.pid}/environ"}
    assert hunt.rounds > 10
    tally("looks into all of /proc for a password", hunt.rounds, hunt.rounds)


@pytest.mark.parametrize("where", ["environ", "cmdline"])
def test_the_hunt_sees_into_the_hosts(twin, tmp_path, where):
    host = twin.hosts["client1"]
    script = {
        "environ": f"LEAK={CANARY} sleep 1",
        "cmdline": f"sh -c 'sleep 1; :' {CANARY}",
    }[where]
    with Hunt(tmp_path) as hunt:
        host.run("sh -s", stdin=f"{script}\n")
    assert any(place.endswith(where) for place in hunt.hits)


@pytest.mark.parametrize(
    "command",
    [
        ("plan", "--diff", "-vv"),
        ("apply", "--yes", "-vv", "--diff", "--smoke"),
        ("apply", "--yes", "-vv", "--json", "--smoke", "--junit", "junit.xml"),
        ("smoke", "-vv"),
    ],
    ids=" ".join,
)
def test_no_output_shows_it(fleet, regfleet, tmp_path, command):
    name, *options = command
    options = [tmp_path / each if each == "junit.xml" else each for each in options]
    if name != "smoke":  # so that there is something to do
        assert regfleet("destroy", *fleet, "--yes").returncode == 0
    done = regfleet(name, *fleet, *options, ALICE_PASSWORD=CANARY)
    assert done.returncode == 0, done.stderr
    shown = done.stdout + done.stderr
    if (tmp_path / "junit.xml").exists():
        shown += (tmp_path / "junit.xml").read_text()
    assert [trace for trace in TRACES if trace in shown] == []
    if "--json" in command:
        json.loads(done.stdout)


def test_no_file_shows_it_to_others(twin, fleet, state, regfleet, tally):
    assert regfleet("apply", *fleet, "--yes", ALICE_PASSWORD=CANARY).returncode == 0
    kept = [state, *state.rglob("*")]
    assert state / "report.html" in kept
    for each in kept:
        assert stat.S_IMODE(each.stat().st_mode) & 0o077 == 0, each
        # Only a password that was made here is kept here.
        assert each.is_dir() or not any(trace.encode() in each.read_bytes() for trace in TRACES)
    for host in twin.hosts.values():
        patterns = "\n".join(TRACES) + "\n"
        found = host.run(
            "umask 077; cat >/root/canary; journalctl -o verbose --no-pager >/root/journal;"
            "find / -xdev -type f -perm /077 -not -path '/proc/*' -print0 2>/dev/null |"
            " xargs -0 grep -l -a -F -f /root/canary;"
            "find /var/log /var/lib/regfleet /etc /root/journal -type f -print0 |"
            " xargs -0 grep -l -a -F -f /root/canary;"
            "docker ps -aq | xargs -r docker inspect | grep -F -f /root/canary;"
            "rm /root/canary /root/journal",
            stdin=patterns,
        )
        assert found.stdout == ""
    # The logins themselves are there, for their accounts alone.
    client = twin.hosts["client1"]
    for home, owner in (("/root", "root"), ("/home/ops", "ops")):
        shown = client.read(f"stat -c '%a %U' {home}/.docker {home}/.docker/config.json")
        assert shown.splitlines() == [f"700 {owner}", f"600 {owner}"]
    tally("a password hunted in outputs, files, journals", 1, 1)


def test_temporary_files_are_private_from_their_first_moment(twin, fleet, begin):
    """What the touch writes beside its targets, seen at each of its boundaries."""
    hook = "find /etc /var/lib/regfleet /root /home -name '.regfleet.*' -printf '%m %u %p\\n'"
    process = begin(
        "apply", *fleet, "--yes", hook=f"{hook} >>/run/asides", ALICE_PASSWORD="another"
    )
    said, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, said + complaints
    for host in twin.hosts.values():
        seen = host.run("cat /run/asides").stdout.splitlines()
        assert {line.split()[0] for line in seen} <= {"600"}, seen
        assert not any(line.endswith((".crt", ".cert", ".key")) for line in seen)
    assert any(".regfleet." in line for line in twin.hosts["reg1"].read("cat /run/asides").split())
