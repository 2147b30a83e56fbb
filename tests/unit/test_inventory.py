"""A fleet file as pyinfra's inventory."""

import pytest
from pyinfra.api import Inventory
from pyinfra.api.exceptions import PyinfraError

from regfleet.inventory import FLEET_DATA, VARIABLE, from_environment, groups
from regfleet.ssh import openssh_files, openssh_kept
from regfleet.ssh.client import Connector

FLEET = """
version = 1
name = "acme"
[ssh]
user = "ops"
key = "id"
known_hosts = "known_hosts"
[registry.main]
hosts = ["reg1"]
endpoint = "reg1:5000"
[registry.outside]
external = true
endpoint = "outside.example"
[client.build]
hosts = ["web[1:2]", { name = "db", address = "192.0.2.20", ssh = { port = 2222 } }, "@local"]
registries = ["main"]
[client.more]
hosts = ["web1"]
registries = ["main"]
"""


@pytest.fixture(autouse=True)
def unconfigured(tmp_path, monkeypatch):
    """No SSH configuration."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(openssh_files, "SYSTEM", tmp_path / "none")
    openssh_kept.forget()
    yield
    openssh_kept.forget()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "acme.toml"
    path.write_text(FLEET)
    for name in ("id", "known_hosts"):
        (tmp_path / name).touch()
    return path


def test_groups_are_the_declared_names(file):
    assert {group: [name for name, _ in hosts] for group, hosts in groups(file).items()} == {
        "registry_main": ["@regfleet/reg1"],
        "client_build": ["@regfleet/web1", "@regfleet/web2", "@regfleet/db", "@local"],
        "client_more": ["@regfleet/web1"],
        "registries": ["@regfleet/reg1"],
        "clients": ["@regfleet/web1", "@regfleet/web2", "@regfleet/db", "@local"],
    }


def test_each_host_says_how_to_reach_it_and_whose_it_is(file):
    hosts = dict(groups(file)["clients"])
    found = hosts["@regfleet/db"]
    assert found.pop("regfleet_way").to_json() == "ops@192.0.2.20:2222"
    assert found == {
        "ssh_hostname": "192.0.2.20",
        "ssh_port": 2222,
        "ssh_user": "ops",
        "ssh_key": str(file.parent / "id"),
        "ssh_known_hosts_file": str(file.parent / "known_hosts"),
        "ssh_strict_host_key_checking": "yes",
        FLEET_DATA: str(file),
    }
    assert hosts["@local"] == {FLEET_DATA: str(file)}


def test_a_host_of_two_groups_is_the_same_in_both(file):
    found = groups(file)
    same = "@regfleet/web1"
    assert dict(found["client_build"])[same] == dict(found["client_more"])[same]


def test_group_names_are_names_that_pyinfra_takes_up(file):
    """It takes a module's names that do not begin with an underscore and hold lists or tuples."""
    for group, hosts in groups(file).items():
        assert not group.startswith("_")
        assert isinstance(hosts, list)


@pytest.mark.parametrize("content", ["", "version = 1\nname = 3\n", "\x00", "["])
def test_a_wrong_file_is_pyinfras_own_error(tmp_path, content):
    path = tmp_path / "wrong.toml"
    path.write_text(content)
    with pytest.raises(PyinfraError, match=r"wrong\.toml"):
        groups(path)


def test_the_variable_names_the_file(monkeypatch, file):
    monkeypatch.setenv(VARIABLE, str(file))
    assert from_environment() == file


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_it_says_so(monkeypatch, value):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(PyinfraError, match=VARIABLE):
        from_environment()


def test_pyinfra_knows_the_hosts_by_their_names_and_reaches_them_by_our_connector(file):
    made = {
        group: (hosts, {}) for group, hosts in groups(file).items() if group.startswith("client_")
    }
    names = list(dict.fromkeys(name for hosts, _ in made.values() for name, _ in hosts))
    inventory = Inventory((names, {}), **made)
    assert [host.name for host in inventory] == ["web1", "web2", "db", "@local"]
    assert inventory.get_host("web1").connector_cls is Connector
    assert inventory.get_host("db").data.regfleet_way.port == 2222
    assert [host.name for host in inventory.get_group("client_more")] == ["web1"]


def test_a_configuration_that_cannot_be_used_is_told_when_a_host_is_connected_to(file, tmp_path):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Port nonsense\n")
    hosts = dict(groups(file)["clients"])
    assert "OpenSSH's configuration cannot be used" in hosts["@regfleet/db"]["regfleet_error"]
