"""`regfleet rehearse` as users run it: what it shows, what it keeps, and that nothing is left."""

import json
import os
import shlex
import signal
import stat
import subprocess
import sys

import pytest

from regfleet.fleet.load import load
from regfleet.rehearse.images import silent
from regfleet.rehearse.isolation import run_options
from regfleet.rehearse.twin import TWIN_LABEL
from regfleet.rehearse.venue import Venue

pytestmark = pytest.mark.long

FLEET = """
version = 1
name = "rehearsed"

[ssh]
user = "dora"
port = 2222
key = "no-such-key"

[registry.main]
hosts = [{ name = "reg1.example.com", address = "192.0.2.10" }]
image_archive = "$registry_tar"
[registry.main.users]
alice = { password = { env = "REHEARSED_PASSWORD" } }
ci = { password = "generate" }

[registry.cache]
hosts = [{ name = "reg1.example.com", address = "192.0.2.10" }]
endpoint = "cache.example.com:5001"
storage = "/srv/cache"
proxy = "https://registry-1.docker.io"
image_archive = "$registry_tar"

[registry.team]
hosts = [{ name = "reg1.example.com", address = "192.0.2.10" }]
endpoint = "team.example.com:5002"
storage = "/srv/team"
image_archive = "$registry_tar"
admins = ["root"]
gateway = { image_archive = "$nginx_tar" }
[registry.team.users]
root = { password = "generate" }
bob = { password = "generate" }
[registry.team.projects.team-a]
members = { bob = "guest" }

[registry.outside]
external = true
endpoint = "registry.cn-hangzhou.aliyuncs.com"
users.me = { password = { env = "NOBODY_SETS_THIS" } }

[client.build]
hosts = ["build[01:40].example.com"]
registries = ["main", "outside", "team"]
mirrors = ["cache", "https://mirror.example.com"]
daemon = { "live-restore" = true }
login.main = { user = "alice", for = ["root", "jenkins"] }
login.outside = "me"
login.team = "bob"

[smoke]
image_archive = "$busybox_tar"
"""
PASSWORD = "Tr0ub4dor-and-3"
SUITES = ["--suite", "build40.example.com=trixie", "--per-group", "1"]
LITTER = "hook() { : >/etc/litter; }"
BARE = """
version = 1
name = "bare"
[registry.main]
hosts = ["reg1"]
endpoint = "reg1.example.com:5000"
image_archive = "$registry_tar"
[smoke]
image_archive = "$busybox_tar"
"""


@pytest.fixture(scope="module")
def cache(images, host_image):
    """The tests' own cache, with images of both suites in it."""
    for suite in ("bookworm", "trixie"):
        host_image(suite)
    return images.cache.parent


@pytest.fixture(scope="module")
def write(tmp_path_factory, seeds):
    """`write(text)`: the path of a fleet file with `$registry_tar`, `$nginx_tar` and `$busybox_tar`
    filled in."""

    def make(text):
        path = tmp_path_factory.mktemp("rehearsed") / "fleet.toml"
        text = text.replace("$registry_tar", str(seeds.registry))
        text = text.replace("$nginx_tar", str(seeds.nginx))
        path.write_text(text.replace("$busybox_tar", str(seeds.busybox)))
        return path

    return make


@pytest.fixture(scope="module")
def rehearse(cache, engine, regfleet):
    """`rehearse(path, "--keep")`, on the tests' engine; a CompletedProcess."""

    def run(path, *options, **environment):
        return regfleet("rehearse", path, "--cache", cache, *options,
                        DOCKER_HOST=engine.docker.host, **environment)  # fmt: skip

    return run


@pytest.fixture(scope="module")
def kept(write, rehearse):
    """A rehearsal of the fleet above whose hosts are kept: its file, its process, its document."""
    path = write(FLEET)
    done = rehearse(path, "--keep", "--json", *SUITES, REHEARSED_PASSWORD=PASSWORD)
    try:
        yield path, done, json.loads(done.stdout or "{}")
    finally:
        rehearse(path, "--down")


@pytest.fixture
def directory(kept, cache):
    """Where the twin's key, known hosts, fleet file and state are."""
    path, _, _ = kept
    return cache / "twins" / twin_of(path)


def twin_of(path):
    """The name of the twin of a fleet file."""
    return Venue.of(load(path), path, silent).name


def left_on(engine, path):
    """Containers and networks of rehearsals of this file."""
    label = f"label={TWIN_LABEL}={twin_of(path)}"
    return [
        *engine.docker.listing("ps", "--all", "--quiet", "--filter", label),
        *engine.docker.listing("network", "ls", "--quiet", "--filter", label),
    ]


def test_it_goes_well(kept):
    _, done, document = kept
    assert done.returncode == 0, done.stdout + done.stderr
    assert document["ok"] is True
    names = [stage["name"] for stage in document["stages"]]
    assert names == ["images", "hosts", "plan", "apply", "again", "destroy", "plan", "to keep"]
    hosts = document["hosts"]
    assert {name: host["suite"] for name, host in hosts.items()} == {
        "reg1.example.com": "bookworm",
        "build01.example.com": "bookworm",
        "build40.example.com": "trixie",
    }
    assert hosts["build01.example.com"]["engine"].startswith("20.10")
    for host in hosts.values():
        assert (host["status"], host["error"]) == ("changed", None)
        assert (host["again"], host["left"]) == ([], [])
    done_there = ("present", "push", "remove", "pull", "digest", "run", "delete")
    by_a_guest = dict.fromkeys(done_there, "skipped") | dict.fromkeys(
        ("pull", "digest", "delete"), "passed"
    )
    assert hosts["build40.example.com"]["smoke"] == {
        **{f"main/{check}": "passed" for check in done_there},
        **{f"team/{check}": result for check, result in by_a_guest.items()},
        "outside/push": "skipped",
    }
    assert hosts["reg1.example.com"]["smoke"]["cache/push-refused"] == "passed"
    assert hosts["reg1.example.com"]["smoke"]["team/guest-push-refused"] == "passed"
    assert hosts["build01.example.com"]["smoke"]["team/pull"] == "passed"


def test_what_it_does_not_show_is_told(kept):
    _, done, document = kept
    told = {(each["topic"], each["text"]) for each in document["not_shown"]}
    for topic, words in (
        ("hosts", "38 hosts left out"),
        ("accounts", "jenkins"),
        ("external", "outside (registry.cn-hangzhou.aliyuncs.com)"),
        ("mirrors", "https://mirror.example.com"),
        ("caches", "https://registry-1.docker.io"),
        ("versions", "docker 26.1"),
        ("kernel", os.uname().release),
    ):
        assert any(each == topic and words in text for each, text in told), topic
        assert words in done.stderr
    # The password was there, and is nowhere to be seen.
    assert not any(topic == "passwords" for topic, _ in told)
    assert PASSWORD not in done.stdout + done.stderr


def test_the_fleets_own_state_is_not_touched(kept):
    path, _, _ = kept
    assert [each.name for each in path.parent.iterdir()] == ["fleet.toml"]


def test_the_hosts_that_are_kept_can_be_got_into(kept, directory):
    _, done, _ = kept
    line = next(line for line in done.stderr.splitlines() if line.startswith("  in: "))
    program, *words = shlex.split(line.partition(":")[2])
    told = subprocess.run(
        [program, *words, "getent ahostsv4 192.0.2.10 && id -un dora && sudo -l -U dora"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "NOPASSWD: ALL" in told.stdout
    assert str(directory) in line


def test_the_hosts_that_are_kept_are_a_fleet(regfleet, directory):
    path = directory / "fleet.toml"
    done = regfleet("plan", path, "--detailed-exitcode", REHEARSED_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["registry.cn-hangzhou.aliyuncs.com", "mirror.example.com"])
def test_real_hosts_cannot_be_reached_from_them(engine, kept, name):
    path, _, _ = kept
    container = f"regfleet-{twin_of(path)}-build01.example.com"
    done = engine.docker.try_run("exec", container, "bash", "-c", f": </dev/tcp/{name}/443")
    assert done.returncode != 0
    assert "No route to host" in done.stderr


def test_what_was_kept_is_taken_down(kept, rehearse, engine, directory):
    path, _, _ = kept
    assert len(left_on(engine, path)) == 4
    done = rehearse(path, "--down")
    assert (done.returncode, done.stdout) == (0, "taken down\n")
    assert left_on(engine, path) == []
    assert not directory.exists()
    done = rehearse(path, "--down")
    assert (done.returncode, " ".join(done.stdout.split())) == (0, f"no hosts of {path} were kept")


@pytest.mark.parametrize("keep", [[], ["--keep"]], ids=["", "keep"])
def test_ctrl_c_takes_everything_down(write, cache, engine, keep):
    path = write(BARE)
    process = subprocess.Popen(
        [sys.executable, "-m", "regfleet", "rehearse", path, "--cache", cache, *keep],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DOCKER_HOST": engine.docker.host},
    )
    try:
        until(process, "ok   plan")
        assert len(left_on(engine, path)) == 2
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "fail apply" in out
    assert "interrupted" in out
    assert "nothing of it is left" in errors
    assert "Traceback" not in errors
    assert left_on(engine, path) == []
    assert not (cache / "twins" / twin_of(path)).exists()


def until(process, beginning):
    for line in process.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError(process.stderr.read())


def test_what_is_left_behind_is_found(write, rehearse, engine):
    path = write(BARE)
    done = rehearse(path, REGFLEET_TOUCH_HOOK=LITTER)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "fail destroy" in done.stdout
    assert "Not as it was before:\n  reg1: left: /etc/litter\n" in done.stdout
    assert "--keep leaves the hosts up" in done.stdout
    assert left_on(engine, path) == []


def test_hosts_boot_where_there_is_nothing_but_cgroup_v2(boot, engine, host_image, tmp_path):
    """A host of ours is such a machine, to what runs on it: one more is booted inside of it."""
    light, archive = host_image("bookworm", "light"), tmp_path / "light.tar"
    engine.docker.run("save", "--output", str(archive), light)
    outer = boot("outer").hosts["outer"]
    assert outer.read("stat -f -c %T /sys/fs/cgroup") == "cgroup2fs"
    outer.copy_in(archive, "/var/lib/docker/light.tar")
    outer.read("docker load --input /var/lib/docker/light.tar")
    options = shlex.join(run_options("unix:///var/run/docker.sock", "docker"))
    outer.read(f"docker run --detach --name inner {options} {light}")
    up = "docker exec inner sh -c 'test -w /sys/fs/cgroup && pgrep -x sshd'"
    outer.read(f"for i in $(seq 60); do {up} && exit; sleep 0.5; done; docker logs inner >&2; {up}")
