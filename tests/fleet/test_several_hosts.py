"""A registry of several hosts that share its storage: proven, changed one by one, taken out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from urllib3 import PoolManager

from regfleet.rehearse.twin import HostSpec

ROOT = Path(__file__).resolve().parents[2]
BODY = """
[registry.main]
hosts = [$reg1, $reg2]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
runtime = "RUNTIME"
storage = { shared = "/mnt/registry" }
delete = DELETE
tls = { source = "none" }

[client.all]
hosts = [$reg1, $reg2]
registries = ["main"]

[smoke]
image_archive = "$busybox_tar"
"""
VOLUME = (("images", "/mnt/registry"),)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    """Each of the two answers to the endpoint's name itself."""
    twin = boot_for_module(
        HostSpec("reg1", volumes=VOLUME), HostSpec("reg2", volumes=VOLUME), HostSpec("lone")
    )
    for host in twin.hosts.values():
        host.read("echo 127.0.0.1 registry.test >>/etc/hosts")
    time.sleep(
        6
    )  # Go's programs look into that file every five seconds (net/hosts.go, cacheMaxAge)
    return twin


@pytest.fixture
def run(twin, regfleet, write_fleet, tmp_path):
    def of(command, *more, delete="true", runtime="container", body=BODY):
        text = body.replace("DELETE", delete).replace("RUNTIME", runtime)
        fleet = write_fleet(twin, text)
        return regfleet(command, fleet, "--state-dir", tmp_path / "state", *more)

    return of


def deletes(host):
    """Whether the registry there deletes: what the declarations of these tests differ in."""
    url = f"http://{host.address}:5000/v2/app/manifests/sha256:{'0' * 64}"
    return PoolManager(timeout=10, retries=False).request("DELETE", url).status != 405


def pushed_there_is_here(one, other):
    """What is pushed to one host is pulled from the other."""
    app = "registry.test:5000/team/app:1"
    one.read(f"docker tag busybox {app}; docker push -q {app}; docker rmi {app}")
    return app in other.read(f"docker pull -q {app}; docker rmi {app} >/dev/null")


def test_both_serve_the_same_images_and_are_changed_one_by_one(twin, run, seeds):
    reg1, reg2 = twin.hosts["reg1"], twin.hosts["reg2"]
    done = run("apply", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to do on 2 hosts" in run("apply", "--yes").stdout
    for host in (reg1, reg2):
        host.copy_in(seeds.busybox, "/root/busybox.tar")
        host.read("docker load -q -i /root/busybox.tar")
    assert pushed_there_is_here(reg1, reg2)
    assert pushed_there_is_here(reg2, reg1)
    assert "docker" in reg1.read("ls -A /mnt/registry").split()
    assert ".regfleet" not in reg1.read("ls -A /mnt/registry")
    done = run("apply", "--yes", delete="false")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wave 2 of 2: changing reg2 (1 host before)" in done.stderr
    assert not deletes(reg1)
    assert not deletes(reg2)


def test_a_change_that_fails_on_the_first_stops_there(twin, run):
    reg1, reg2 = twin.hosts["reg1"], twin.hosts["reg2"]
    before = reg2.read("docker ps --no-trunc --format '{{.ID}}'")
    runc = reg1.read("command -v runc").strip()
    reg1.read(f"mv {runc} {runc}.away")  # no container starts there
    try:
        done = run("apply", "--yes", "--json", delete="true")
    finally:
        reg1.read(f"mv {runc}.away {runc}")
    assert done.returncode == 1
    hosts = json.loads(done.stdout)["hosts"]
    assert hosts["reg1"]["status"] in ("rolled-back", "failed")
    assert hosts["reg2"]["status"] == "skipped"
    assert "registry main on reg1" in hosts["reg2"]["error"]
    assert reg2.read("docker ps --no-trunc --format '{{.ID}}'") == before
    done = run("apply", "--yes", delete="true")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def pyinfra(twin, write_fleet):
    """The same work by plain pyinfra: what it said, and how it ended."""

    def of(delete, body=BODY, edit=None):
        text = body.replace("DELETE", delete).replace("RUNTIME", "container")
        fleet = write_fleet(twin, text)
        if edit:
            fleet.write_text(edit(fleet.read_text()))
        command = (sys.executable, "-m", "pyinfra", "inventories/fleet.py", "deploys/site.py", "-y")
        environment = {**os.environ, "REGFLEET_FLEET": str(fleet)}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr, done.returncode

    return of


def test_plain_pyinfra_changes_one_after_the_other_and_stops_there(twin, pyinfra):
    reg1, reg2 = twin.hosts["reg1"], twin.hosts["reg2"]
    started = "docker inspect -f '{{.State.StartedAt}} {{.Id}}' regfleet-main"
    before = reg2.read(started)
    runc = reg1.read("command -v runc").strip()
    reg1.read(f"mv {runc} {runc}.away")
    try:
        said, code = pyinfra("false")
    finally:
        reg1.read(f"mv {runc}.away {runc}; docker start regfleet-main || :")
    assert code != 0
    assert "not touched: the registry main on reg1 failed" in said, said
    assert reg2.read(started) == before
    said, code = pyinfra("false")
    assert code == 0, said
    assert not deletes(reg1)
    assert not deletes(reg2)
    assert reg1.read(started) < reg2.read(started)
    here = f'address = "{reg1.address}"'
    started_before = reg2.read(started)
    said, code = pyinfra(
        "true", edit=lambda text: text.replace(here, f"{here}, ssh = {{ port = 9 }}")
    )
    assert code != 0
    assert "not touched: the registry main on reg1 cannot be reached" in said, said
    assert reg2.read(started) == started_before
    lone = twin.hosts["lone"]
    body = BODY.replace("$reg2", "$lone").replace("[client.all]", "[client.none]")
    said, code = pyinfra("true", body)
    assert code != 0
    assert "the storage of several hosts is not shared: /mnt/registry is not there" in said, said
    assert lone.run("ls /etc/regfleet").returncode != 0
    said, code = pyinfra("true")
    assert code == 0, said


def is_slow(host):
    return host.run("test -e /run/slow").returncode == 0


def test_plain_pyinfra_begins_no_further_host_after_ctrl_c(twin, write_fleet, pyinfra):
    reg1, reg2 = twin.hosts["reg1"], twin.hosts["reg2"]
    said, code = pyinfra("true")
    assert code == 0, said
    started = "docker inspect -f '{{.State.StartedAt}} {{.Id}}' regfleet-main"
    before = {host.name: host.read(started) for host in (reg1, reg2)}
    runc = reg1.read("command -v runc").strip()
    # Only where a container is made: its health check is a program of runc's, too.
    waits = 'case " $* " in *" create "*) touch /run/slow; sleep 5;; esac'
    slow = f'{waits}; exec {runc}.real "$@"'
    for host in (reg1, reg2):
        host.read(f"rm -f /run/slow; mv {runc} {runc}.real")
        host.run(f"cat >{runc}; chmod +x {runc}", stdin=f"#!/bin/sh\n{slow}\n")
    fleet = write_fleet(twin, BODY.replace("DELETE", "false").replace("RUNTIME", "container"))
    command = (sys.executable, "-m", "pyinfra", "inventories/fleet.py", "deploys/site.py", "-y")
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "REGFLEET_FLEET": str(fleet)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            # On a busy machine the second may have been looked at first.
            while not (slow_ones := {host.name for host in (reg1, reg2) if is_slow(host)}):
                assert running.poll() is None
                time.sleep(0.1)
            running.send_signal(signal.SIGINT)
            said, _ = running.communicate(timeout=120)
        finally:
            for host in (reg1, reg2):
                host.read(f"mv {runc}.real {runc}")
            running.kill()
    (other,) = before.keys() - slow_ones
    assert f"[{other}] update" not in said, said
    assert "not touched: interrupted" in said, said
    assert twin.hosts[other].read(started) == before[other]
    said, code = pyinfra("false")
    assert code == 0, said
    assert not deletes(reg1)
    assert not deletes(reg2)


def test_nobody_is_asked_where_every_change_is_to_be_skipped(twin, run):
    reg1, reg2 = twin.hosts["reg1"], twin.hosts["reg2"]
    done = run("apply", "--yes", delete="true")
    assert done.returncode == 0, done.stdout + done.stderr
    there = f'{{ name = "reg1", address = "{reg1.address}", ssh = {{ port = 9 }} }}'
    body = BODY.replace("$reg1", there)
    started = "docker inspect -f '{{.State.StartedAt}} {{.Id}}' regfleet-main"
    before = reg2.read(started)
    plan = run("plan", "--json", delete="false", body=body)
    assert plan.returncode == 1
    why = json.loads(plan.stdout)["hosts"]["reg2"]["skipped"]
    assert why.startswith("the registry main on reg1 cannot be reached")
    done = run("apply", delete="false", body=body)  # and nobody is there to be asked
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Skipped: reg2: the registry main on reg1 cannot be reached" in done.stdout, done.stdout
    assert "1 skipped" in done.stdout, done.stdout
    assert reg2.read(started) == before


def test_a_storage_that_is_not_shared_is_refused_before_anything_is_changed(twin, run):
    lone = twin.hosts["lone"]
    body = BODY.replace("$reg2", "$lone").replace("[client.all]", "[client.none]")
    for made, words in (
        ("", "/mnt/registry is not there"),
        ("mkdir /mnt/registry", "nothing is mounted there"),
        ("mount -t tmpfs tmpfs /mnt/registry", "a file that reg1 wrote to /mnt/registry is not"),
    ):
        lone.read(made or ":")
        done = run("apply", "--yes", "--json", delete="false", body=body)
        assert done.returncode == 1
        hosts = json.loads(done.stdout)["hosts"]
        assert words in hosts["lone"]["error"], hosts
        assert lone.run("ls /etc/regfleet /mnt/registry/docker").returncode != 0
        assert lone.read("ls -A /mnt/registry 2>/dev/null || :") == ""
    lone.read("umount /mnt/registry; rmdir /mnt/registry")


def test_nothing_is_written_beside_a_file_system_that_is_not_mounted(twin, run):
    reg2 = twin.hosts["reg2"]
    source = reg2.read("findmnt -n -o SOURCE,FSROOT /mnt/registry").split()
    assert source
    reg2.read("mkdir /mnt/aside; mount --bind /mnt/registry /mnt/aside; docker stop regfleet-main")
    reg2.read("umount /mnt/registry")
    try:
        assert reg2.run("docker start regfleet-main").returncode != 0
        done = run("apply", "--yes", "--json", delete="false")
        assert done.returncode == 1
        assert "nothing is mounted there" in json.loads(done.stdout)["hosts"]["reg2"]["error"]
        assert reg2.read("ls -A /mnt/registry") == ""
        # Alone, too, where there is nobody to compare it with.
        alone = run("apply", "--yes", "--json", "--limit", "reg2", delete="false")
        assert alone.returncode == 1
        assert "nothing is mounted there" in json.loads(alone.stdout)["hosts"]["reg2"]["error"]
        assert reg2.read("ls -A /mnt/registry") == ""
    finally:
        reg2.read("mount --bind /mnt/aside /mnt/registry; umount /mnt/aside; rmdir /mnt/aside")
    assert run("apply", "--yes").returncode == 0
    assert deletes(reg2)


def test_destroy_takes_the_images_once_the_last_host_is_done(twin, run):
    reg1 = twin.hosts["reg1"]
    assert "team" in reg1.read("ls /mnt/registry/docker/registry/v2/repositories")
    done = run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert reg1.run("ls /mnt/registry/docker/registry").returncode != 0
    for name in ("reg1", "reg2"):
        assert twin.hosts[name].read("docker ps -aq; ls -d /etc/regfleet || :") == ""
