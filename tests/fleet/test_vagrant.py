"""The Vagrant test fleet as users have it: up, an inventory, apply, nothing left to do, destroy.

Provider docker, a registry host and one client; what needs virtual machines is not tested here.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from regfleet.fleet.load import load
from regfleet.rehearse.twin import TWIN_LABEL

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = {
    f"REGFLEET_{kind}": "0" for kind in ("BOOKWORM", "TRIXIE", "SID", "PODMAN", "CONTAINERD")
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("vagrant")


@pytest.fixture(scope="module")
def inventory(place):
    return place / "inventories" / "vagrant.toml"


@pytest.fixture(scope="module")
def environment(place, inventory, engine):
    """As in a shell of a user's: in the directory vagrant/, with one client, all else elsewhere."""
    if shutil.which("vagrant") is None:
        reason = "vagrant is not installed"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        **NUMBERS,
        "REGFLEET_BOOKWORM": "1",
        "DOCKER_HOST": engine.docker.host,
        "REGFLEET_INVENTORY": str(inventory),
        "REGFLEET_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT / "src"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_CWD": str(ROOT / "vagrant"),
        "VAGRANT_DOTFILE_PATH": str(place / "dot"),
        "VAGRANT_HOME": str(place / "home"),
    }


@pytest.fixture(scope="module")
def run(environment, place):
    """`run("vagrant", "status")` gives a CompletedProcess of what has to succeed."""

    def run(*command, cwd=place, stdin="", **variables):
        done = subprocess.run(
            [*map(str, command)],
            cwd=cwd,
            env={**environment, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="module")
def fleet(run, host_image, seeds):
    """The hosts are up, until the module's tests have ended."""
    host_image("bookworm", "docker")
    del seeds  # made now, not within Vagrant's time
    try:
        run("vagrant", "up", "--provider=docker")
        yield
    finally:
        run("vagrant", "destroy", "--force")


@pytest.fixture
def containers(fleet, engine, environment):
    """The names of the hosts' containers, by label of their fleet's."""
    del fleet
    dotfile = environment["VAGRANT_DOTFILE_PATH"]
    identifiers = {path.read_text() for path in Path(dotfile).glob("machines/*/docker/id")}
    return [
        engine.docker.run("inspect", "--format", "{{.Name}}", each).lstrip("/")
        for each in sorted(identifiers)
    ]


@pytest.mark.parametrize("provider", ["docker", "libvirt", "virtualbox"])
def test_the_file_is_valid_for_every_provider(provider, run):
    if provider == "libvirt" and "vagrant-libvirt" not in run("vagrant", "plugin", "list").stdout:
        pytest.skip("vagrant-libvirt is not installed")
    # VirtualBox has to be there for its settings to be looked at; all else is.
    options = ["--ignore-provider"] if provider == "virtualbox" else []
    said = run("vagrant", "validate", *options, VAGRANT_DEFAULT_PROVIDER=provider)
    assert "validated successfully" in said.stdout


def test_a_number_that_is_none_is_refused_by_its_variable(environment):
    done = subprocess.run(
        ["vagrant", "status"],
        env={**environment, "REGFLEET_SID": "many"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert 'REGFLEET_SID is "many", not a number from 0 to 40' in done.stderr


@pytest.mark.usefixtures("fleet")
def test_an_inventory_is_written(inventory):
    declared = load(inventory)
    assert {name: list(hosts) for name, hosts in declared.groups().items()} == {
        "registry_main": ["reg1"],
        "client_bookworm": ["bookworm1"],
        "registries": ["reg1"],
        "clients": ["bookworm1"],
    }
    for host in declared.hosts().values():
        assert host.ssh.user == "vagrant"
        assert host.ssh.sudo
        assert host.ssh.host_key_checking is None  # strict, unless OpenSSH is told otherwise
        assert "insecure" not in host.ssh.key.name  # Vagrant has replaced the well-known one


@pytest.mark.usefixtures("fleet")
def test_the_output_of_ssh_config_makes_the_same_inventory(run, inventory, place):
    by_hand = place / "by-hand" / "vagrant.toml"
    printed = run("vagrant", "ssh-config").stdout
    run(sys.executable, ROOT / "vagrant" / "inventory.py", by_hand, stdin=printed)
    assert by_hand.read_text() == inventory.read_text()
    known_hosts = by_hand.with_suffix(".known_hosts").read_text()
    assert known_hosts == inventory.with_suffix(".known_hosts").read_text()


@pytest.mark.usefixtures("fleet")
def test_apply_proves_the_fleet_and_then_finds_nothing_to_do(run, inventory):
    apply = (sys.executable, "-m", "regfleet", "apply", inventory, "--yes", "--json")
    hosts = json.loads(run(*apply).stdout)["hosts"]
    assert {name: host["status"] for name, host in hosts.items()} == {
        "reg1": "changed",
        "bookworm1": "changed",
    }
    assert hosts["bookworm1"]["smoke"]["main/push"] == "passed"
    assert hosts["bookworm1"]["smoke"]["main/pull"] == "passed"
    again = json.loads(run(*apply).stdout)
    assert {name: host["status"] for name, host in again["hosts"].items()} == {
        "reg1": "unchanged",
        "bookworm1": "unchanged",
    }


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("hosts", ["vagrant.py", "@vagrant"])
def test_pyinfra_alone_finds_nothing_to_do_either(hosts, run, inventory):
    shutil.copy(ROOT / "inventories" / "vagrant.py", inventory.parent)
    deploy = ROOT / "deploys" / "site.py"
    done = run(sys.executable, "-m", "pyinfra", hosts, deploy, "-y", cwd=inventory.parent)
    said = done.stdout + done.stderr
    assert "Registries" in said
    assert said.count("No changes") == 4  # a registry, a client, and the smoke test of both
    assert "Success" not in said.replace("Success   Error", "")


def test_hosts_above_the_number_are_not_forgotten(containers, run):
    assert len(containers) == 2
    said = run("vagrant", "status", "--machine-readable", REGFLEET_BOOKWORM="0").stdout
    assert ",bookworm1,state,running" in said


def test_destroy_leaves_nothing(containers, engine, environment, run, inventory):
    docker = engine.docker
    label = docker.run("inspect", "-f", f'{{{{index .Config.Labels "{TWIN_LABEL}"}}}}', *containers)
    (twin,) = set(label.split())
    mounts = '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}'
    volumes = docker.run("inspect", "--format", mounts, *containers).split()
    assert volumes

    run("vagrant", "destroy", "--force", REGFLEET_BOOKWORM="0")

    chosen = ("--quiet", "--filter", f"label={TWIN_LABEL}={twin}")
    assert docker.listing("ps", "--all", *chosen) == []
    assert docker.listing("network", "ls", *chosen) == []
    assert not set(volumes) & set(docker.listing("volume", "ls", "--quiet"))
    assert list(Path(environment["VAGRANT_DOTFILE_PATH"]).glob("machines/*/docker/*")) == []
    left = {path.name for path in inventory.parent.iterdir() if path.is_file()}
    assert left == {"vagrant.py"}
