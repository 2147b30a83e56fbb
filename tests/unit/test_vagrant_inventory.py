"""The Vagrant fleet's inventory, out of what `vagrant ssh-config` prints."""

import importlib.util
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from regfleet.fleet.load import load

SCRIPT = Path(__file__).resolve().parents[2] / "vagrant" / "inventory.py"
_specification = importlib.util.spec_from_file_location("vagrant_inventory", SCRIPT)
inventory = importlib.util.module_from_spec(_specification)
sys.modules[_specification.name] = inventory  # where its own types look it up
_specification.loader.exec_module(inventory)

# Vagrant 2.3.4, templates/commands/ssh_config/config.erb.
PRINTED = """\
Host reg1
  HostName 127.0.0.1
  User vagrant
  Port 2222
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile "/home/a b/keys/reg1"
  IdentitiesOnly yes
  LogLevel FATAL

Host podman12
  HostName 192.168.121.7
  User vagrant
  Port 22
  IdentityFile /keys/first
  IdentityFile /keys/second

"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKey"


def host(name, port=22, address="192.0.2.1"):
    return inventory.Host(name, address, port, "vagrant", Path("/keys") / name, (f"{address} x\n",))


def test_reads_what_vagrant_prints():
    assert inventory.parse(PRINTED) == [
        inventory.Host("reg1", "127.0.0.1", 2222, "vagrant", Path("/home/a b/keys/reg1")),
        inventory.Host("podman12", "192.168.121.7", 22, "vagrant", Path("/keys/first")),
    ]
    assert inventory.parse("") == []


@pytest.mark.parametrize(
    ("name", "kind", "port", "place"),
    [
        ("reg1", "reg", 22, "192.0.2.1"),
        ("bookworm12", "bookworm", 2222, "[192.0.2.1]:2222"),
    ],
)
def test_a_hosts_kind_and_its_name_in_known_hosts(name, kind, port, place):
    assert (host(name, port).kind, host(name, port).place) == (kind, place)


def test_the_fleet_file_is_valid_and_has_a_group_of_each_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(inventory, "ARCHIVES", tmp_path)
    path = tmp_path / "vagrant.toml"
    hosts = [host("reg1", 2222), host("bookworm1"), host("bookworm2", 2201), host("sid1", 2200)]
    path.write_text(inventory.fleet(hosts, tmp_path, "vagrant.known_hosts"))
    without = load(path, files_needed=False)
    assert without.groups() == {
        "registry_main": ("reg1",),
        "client_bookworm": ("bookworm1", "bookworm2"),
        "client_sid": ("sid1",),
        "registries": ("reg1",),
        "clients": ("bookworm1", "bookworm2", "sid1"),
    }
    assert without.hosts()["sid1"].ssh.port == 2200
    assert without.hosts()["sid1"].ssh.key == Path("/keys/sid1")
    assert without.registries["main"].image_archive is None
    for archive in ("registry.tar", "busybox.tar"):
        (tmp_path / archive).touch()
    path.write_text(inventory.fleet(hosts, tmp_path, "vagrant.known_hosts"))
    archives = load(path, files_needed=False)
    assert archives.registries["main"].image_archive == tmp_path / "registry.tar"
    assert archives.smoke.image_archive == tmp_path / "busybox.tar"


def test_kinds_without_docker_say_their_engine(tmp_path):
    text = inventory.fleet([host("reg1"), host("podman1"), host("containerd1")], tmp_path, "known")
    assert "[client.podman]" in text
    assert 'engine = "podman"' in text
    assert 'engine = "containerd"' in text


def test_paths_in_this_tree_are_relative(tmp_path):
    inside = inventory.ROOT / "vagrant" / ".vagrant" / "key"
    assert inventory._short(inside, inventory.ROOT / "inventories") == "../vagrant/.vagrant/key"
    assert inventory._short(inside, tmp_path) == str(inside)
    assert inventory._short(tmp_path / "key", inventory.ROOT / "inventories") == f"{tmp_path}/key"


def test_what_pyinfras_connector_is_told():
    told = inventory.connector([host("reg1"), host("sid1")], Path("/f.toml"), Path("/known"))
    assert told["groups"] == {
        "reg1": ["registry_main", "registries"],
        "sid1": ["client_sid", "clients"],
    }
    assert told["data"]["sid1"] == {
        "regfleet_fleet": "/f.toml",
        "ssh_known_hosts_file": "/known",
        "ssh_strict_host_key_checking": "yes",
    }


def call(*arguments, stdin=""):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / name for name in ("v.toml", "v.known_hosts", "@vagrant.json", "other")]
    for path in paths:
        path.touch()
    return paths


def test_without_input_nothing_is_touched(files):
    done = call(files[0])
    assert done.returncode == 1
    assert "no hosts on standard input" in done.stderr
    assert [path.exists() for path in files] == [True, True, True, True]


def test_removes_its_files_alone(files):
    assert call("--remove", files[0]).returncode == 0
    assert [path.exists() for path in files] == [False, False, False, True]


def test_without_an_answer_of_the_registry_host_there_is_no_inventory(files):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    done = call(files[0], stdin=PRINTED.partition("\n\n")[0].replace("2222", str(closed)))
    assert done.returncode == 0, done.stderr
    assert "none, since reg1 does not answer" in done.stderr
    assert [path.exists() for path in files] == [False, False, False, True]
