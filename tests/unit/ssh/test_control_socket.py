"""Which control socket may be used, and when it is another one."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from making import host

from regfleet.ssh import control_socket
from regfleet.ssh.way import way


@pytest.fixture(autouse=True)
def _runtime(tmp_path_factory, monkeypatch):
    """A directory for sockets whose name is short."""
    monkeypatch.chdir(tmp_path_factory.mktemp("r"))
    monkeypatch.setattr(control_socket, "_directory", lambda: Path("s"))
    Path("s").mkdir()


def way_with(answer=None, **ssh):
    plain = host("web1")
    return way(
        replace(plain, ssh=replace(plain.ssh, **{"host_key_checking": None, **ssh})), answer or {}
    )


def listen(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    return path


def test_none_unless_declared():
    assert control_socket.socket_to_use(way_with()) is None


def test_ours_once_it_is_there():
    ours = way_with(control_persist=60)
    assert control_socket.socket_to_use(ours) is None
    path = listen(control_socket.socket_to_keep(ours))
    assert control_socket.socket_to_use(ours) == path


def test_no_file_that_is_no_socket():
    ours = way_with(control_persist=60)
    control_socket.socket_to_keep(ours).touch()
    assert control_socket.socket_to_use(ours) is None


@pytest.mark.parametrize(
    "other",
    [{"user": "x"}, {"port": 2222}, {"key": Path("/k")}, {"host_key_checking": "off"}],
    ids=lambda other: next(iter(other)),
)
def test_another_one_for_other_settings(other):
    one, two = way_with(control_persist=60), way_with(control_persist=60, **other)
    assert control_socket.socket_to_keep(one) != control_socket.socket_to_keep(two)


def test_another_one_for_changed_host_keys():
    ours = way_with(control_persist=60, known_hosts=Path("known").absolute())
    before = control_socket.socket_to_keep(ours)
    Path("known").write_text("web1 ssh-ed25519 AAAA\n")
    assert control_socket.socket_to_keep(ours) != before


def test_a_long_path_is_none(monkeypatch):
    monkeypatch.setattr(control_socket, "_directory", lambda: Path("s" * 80))
    assert control_socket.socket_to_keep(way_with(control_persist=60)) is None


@pytest.mark.parametrize(
    "rules",
    [{"key": Path("/k")}, {"known_hosts": Path("/n")}, {"host_key_checking": "strict"}],
    ids=lambda rules: next(iter(rules)),
)
def test_the_users_own_only_where_no_rule_is_declared(rules):
    path = listen(Path("mine").absolute())
    answer = {"controlpath": (str(path),)}
    assert control_socket.socket_to_use(way_with(answer)) == path
    assert control_socket.socket_to_use(way_with(answer, **rules)) is None
    assert control_socket.socket_to_use(way_with({"controlpath": ("none",)})) is None


def test_where_another_account_can_put_files_nothing_is_kept(tmp_path):
    inner = tmp_path / "account" / "regfleet" / "ssh"
    inner.mkdir(parents=True, mode=0o700)
    assert control_socket.is_safe(inner)
    (tmp_path / "account").chmod(0o777)
    assert not control_socket.is_safe(inner)
    (tmp_path / "account").chmod(0o1777)  # as /tmp: others cannot rename what is ours
    assert control_socket.is_safe(inner)
    assert not control_socket.is_safe(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() != 0, reason="makes files of another account")
def test_root_keeps_nothing_in_the_home_of_an_account(tmp_path):
    inner = tmp_path / "account" / ".cache" / "ssh"
    inner.mkdir(parents=True, mode=0o700)
    os.chown(tmp_path / "account", 65534, 65534)
    assert not control_socket.is_safe(inner)
    os.chown(tmp_path / "account", 0, 0)
    link = tmp_path / "link"
    link.symlink_to(inner)
    assert control_socket.is_safe(link)
    os.chown(link, 65534, 65534, follow_symlinks=False)
    assert not control_socket.is_safe(link)
