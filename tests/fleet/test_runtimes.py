"""Registries that Podman or the distribution's package runs, on real hosts without Docker."""

import json

import pytest
from absence import Absence

from regfleet.rehearse.twin import HostSpec

BODY = """
[registry.old]
hosts = [$old]
endpoint = "old.test:5000"
runtime = "{runtime}"
{image}
[registry.old.users]
ci = {{ password = "generate" }}
{more}

[registry.new]
hosts = [$new]
endpoint = "new.test:443"
storage = "/srv/new images"
runtime = "{runtime}"
{image}
[registry.new.users]
ci = {{ password = "generate" }}

[client.docker]
hosts = [$docker1]
registries = ["old", "new"]
login = {{ old = "ci", new = "ci" }}

[client.podman]
hosts = [$new]
engine = "podman"
registries = ["old", "new"]
login = {{ old = "ci", new = "ci" }}

[client.containerd]
hosts = [$ctr1]
engine = "containerd"
registries = ["old", "new"]
login = {{ old = "ci", new = "ci" }}

[smoke]
image_archive = "$busybox_tar"
"""
REGISTRIES = ("old", "new")
TRACES = (
    "ls -d /etc/regfleet /var/lib/regfleet /etc/systemd/system/regfleet-* /run/regfleet-*"
    " /etc/systemd/system/docker-registry.service.d /etc/systemd/system/*/regfleet-*"
    " /etc/init.d/regfleet-* 2>/dev/null; ss -Hltn 'sport = :5000 or sport = :443';"
    " podman ps -aq 2>/dev/null; podman images -q registry 2>/dev/null;"
    " systemctl list-units --plain --no-legend --all 'regfleet*' 2>/dev/null"
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("old", variant="bare", aliases=("old.test",)),
        HostSpec("new", "trixie", "bare", aliases=("new.test",)),
        HostSpec("docker1"),
        HostSpec("ctr1", variant="bare"),
    )


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, write_fleet, state, regfleet):
    """`run("apply", "podman", "--yes")` with registries of that runtime."""

    def command(name, runtime, *options, more=""):
        image = "" if runtime == "package" else 'image_archive = "$registry_tar"'
        path = write_fleet(twin, BODY.format(runtime=runtime, image=image, more=more))
        return regfleet(name, path, "--state-dir", state, *options)

    return command


def process_of(host, name):
    """Number and start of what runs."""
    found = host.read(
        f"unit={name};"
        "[ ! -d /etc/systemd/system/docker-registry.service.d ] || unit=docker-registry;"
        "systemctl show --property MainPID,ActiveEnterTimestampMonotonic --value $unit"
    )
    assert not found.startswith("0"), found
    return found


@pytest.mark.parametrize("runtime", ["podman", "package"])
def test_a_registry_is_run_and_clients_of_three_engines_use_it(twin, run, proven, runtime):
    done = run("apply", runtime, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    hosts = json.loads(done.stdout)["hosts"]
    for name in ("docker1", "new", "ctr1"):
        checks = hosts[name]["smoke"]
        assert set(checks.values()) == {"passed"}, checks
        assert {f"{each}/pull" for each in REGISTRIES} <= set(checks)
    again = run("apply", runtime, "--yes")
    assert "nothing to do on 4 hosts" in again.stdout, again.stdout + again.stderr
    for name in REGISTRIES:
        host = twin.hosts[name]
        assert host.run("command -v docker dockerd").returncode != 0
        ask = "podman version --format '{{.Client.Version}}'"
        if runtime == "package":
            ask = "dpkg-query -W -f '${Version}' docker-registry"
        words = "TLS, htpasswd; clients of Docker, Podman, containerd"
        proven(f"runtime {runtime}", host.read(ask), host.spec.suite, words)


@pytest.mark.parametrize("runtime", ["podman", "package"])
def test_new_users_are_let_in_without_a_restart(twin, run, runtime):
    assert run("apply", runtime, "--yes", "--no-smoke").returncode == 0
    before = process_of(twin.hosts["old"], "regfleet-old")
    done = run("apply", runtime, "--yes", "--no-smoke", more='bob = { password = "generate" }')
    assert done.returncode == 0, done.stdout + done.stderr
    assert process_of(twin.hosts["old"], "regfleet-old") == before
    assert "bob:" in twin.hosts["old"].read("cat /etc/regfleet/old/htpasswd")
    assert run("apply", runtime, "--yes", "--no-smoke").returncode == 0
    # A certificate is read at start alone.
    twin.hosts["old"].read("echo >>/etc/regfleet/old/registry.crt")
    assert run("apply", runtime, "--yes", "--no-smoke").returncode == 0


def test_changes_by_hand_are_seen_and_undone(twin, run):
    assert run("apply", "podman", "--yes", "--no-smoke").returncode == 0
    host = twin.hosts["new"]
    host.read("sed -i 's/^Restart=.*/Restart=no/' /etc/systemd/system/regfleet-new.service")
    planned = run("plan", "podman")
    assert "regfleet-new.service was edited by hand" in planned.stdout, planned.stdout
    host.read("systemctl stop regfleet-new")
    done = run("apply", "podman", "--yes", "--no-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Restart=always" in host.read("cat /etc/systemd/system/regfleet-new.service")
    host.read("systemctl stop regfleet-new")
    assert "it does not run" in run("plan", "podman").stdout
    assert run("apply", "podman", "--yes", "--no-smoke").returncode == 0
    assert "nothing to do" in run("apply", "podman", "--yes").stdout


def test_the_runtime_changes_there_and_back_and_keeps_images(twin, run, proven):
    host = twin.hosts["new"]
    assert run("apply", "podman", "--yes", "--no-smoke").returncode == 0
    password = "/root/.config/containers/auth.json"
    host.read(
        "podman tag $(podman images -q | head -n 1) new.test:443/team/app:1;"
        f"podman push -q --authfile {password} new.test:443/team/app:1"
    )
    for runtime in ("package", "podman"):
        with Absence(host, 443) as new, Absence(twin.hosts["old"], 5000) as old:
            done = run("apply", runtime, "--yes", "--no-smoke")
        assert done.returncode == 0, done.stdout + done.stderr
        for each, suite in ((old, "bookworm"), (new, "trixie")):
            proven(f"to runtime {runtime}", "", suite, f"away for {each.longest:.1f} s")
        host.read(f"podman pull -q --authfile {password} new.test:443/team/app:1")
        assert "nothing to do" in run("apply", runtime, "--yes").stdout


@pytest.mark.soak
def test_one_that_does_not_answer_gives_way_to_the_one_before(twin, run):
    assert run("apply", "podman", "--yes", "--no-smoke").returncode == 0
    host = twin.hosts["old"]
    host.read(
        "mv /usr/bin/docker-registry /root/ && install -m 755 /bin/false /usr/bin/docker-registry"
    )
    done = run("apply", "package", "--yes", "--no-smoke")
    assert done.returncode == 1
    assert "rolled-back old" in done.stdout, done.stdout
    assert host.read("podman ps --format '{{.Names}}'") == "regfleet-old"
    host.read("mv /root/docker-registry /usr/bin/")
    assert run("apply", "package", "--yes", "--no-smoke").returncode == 0
    back = run("rollback", "package", "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    # The last run changed this host alone; the other keeps what the run before gave it.
    assert host.read("podman ps --format '{{.Names}}'") == "regfleet-old"


@pytest.mark.parametrize("runtime", ["podman", "package"])
def test_destroy_leaves_nothing_but_images(twin, run, runtime):
    assert run("apply", runtime, "--yes", "--no-smoke").returncode == 0
    status = run("status", runtime)
    assert "healthy      old" in status.stdout, status.stdout + status.stderr
    done = run("destroy", runtime, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in REGISTRIES:
        assert twin.hosts[name].run(TRACES).stdout == ""
    assert "repositories" in twin.hosts["new"].read("ls '/srv/new images/docker/registry/v2'")


@pytest.mark.soak
def test_data_goes_when_it_is_asked_for(twin, run):
    assert run("apply", "podman", "--yes", "--no-smoke").returncode == 0
    done = run("destroy", "podman", "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    # The destroy before left it with its images: since then it counts as made by somebody else.
    assert twin.hosts["new"].read("ls -A '/srv/new images'") == ""
