"""The way through jump hosts: OpenSSH's client with our settings, ended with the connection."""

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from making import SSH, host

from regfleet.ssh import jump
from regfleet.ssh.way import way


@pytest.mark.parametrize(
    ("jumps", "way"),
    [
        ("bastion", ["--", "ssh://bastion"]),
        ("ops@bastion:2222", ["--", "ssh://ops@bastion:2222"]),
        ("ssh://bastion:22", ["--", "ssh://bastion:22"]),
        ("edge, ops@inner:23,last", ["-J", "edge,ops@inner:23", "--", "ssh://last"]),
        ("-oProxyCommand=x", ["--", "ssh://-oProxyCommand=x"]),
    ],
)
def test_the_command_through_jump_hosts(jumps, way):
    command = jump.through(jumps, "10.0.0.1", 2200, SSH)
    assert command[:2] == ["ssh", "-F"]
    assert command[3:5] == ["-W", "[10.0.0.1]:2200"]
    assert command[5:] == way


@pytest.mark.skipif(not shutil.which("ssh"), reason="no OpenSSH client here")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"host_key_checking": "strict"},
            {"stricthostkeychecking": "true", "batchmode": "yes", "user": "theirs"},
        ),
        (
            {"host_key_checking": None},
            {"stricthostkeychecking": "false", "userknownhostsfile": "/theirs"},
        ),
        ({"host_key_checking": "accept-new"}, {"stricthostkeychecking": "accept-new"}),
        ({"host_key_checking": "off"}, {"stricthostkeychecking": "false"}),
        (
            {"known_hosts": Path("/a b/100%/known")},
            {"userknownhostsfile": "/a b/100%/known", "globalknownhostsfile": "none"},
        ),
        ({"key": Path("/a b/key")}, {"identityfile": "/a b/key"}),
    ],
)
def test_what_the_fleet_says_holds_before_the_users_own(tmp_path, home, changes, expected):
    (home / ".ssh" / "config").write_text(
        "Host bastion\n  User theirs\n  StrictHostKeyChecking no\n  BatchMode no\n"
        "  UserKnownHostsFile /theirs\n"
    )
    file = tmp_path / "ours"
    file.write_text(jump.settings(replace(SSH, **changes)))
    said = subprocess.run(
        ["ssh", "-G", "-F", file, "bastion"], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split(" ", 1) for line in said.splitlines()]
    for name, value in expected.items():
        assert next(found for key, found in lines if key == name).strip('"') == value


@pytest.mark.skipif(not shutil.which("ssh"), reason="no OpenSSH client here")
@pytest.mark.parametrize(("declared", "theirs"), [(None, True), (Path("/known"), False)])
def test_a_program_that_prints_host_keys_is_none_of_the_fleets(tmp_path, home, declared, theirs):
    (home / ".ssh" / "config").write_text("Host bastion\n  KnownHostsCommand /bin/theirs %H\n")
    file = tmp_path / "ours"
    file.write_text(jump.settings(replace(SSH, known_hosts=declared)))
    said = subprocess.run(
        ["ssh", "-G", "-F", file, "bastion"], capture_output=True, text=True, check=True
    ).stdout
    assert ("knownhostscommand /bin/theirs %H\n" in said) == theirs


def command_line(file):
    try:
        return file.read_bytes()
    except OSError:
        return b""


def gone(marker):
    """Whether no process has these words on its command line."""
    lines = map(command_line, Path("/proc").glob("[0-9]*/cmdline"))
    return not any(marker.encode() in line for line in lines)


def test_it_ends_with_all_that_it_started():
    marker = f"61.{os.getpid()}"  # of this run alone
    made = jump.Jump(["sh", "-c", f"trap '' TERM HUP; sleep {marker} & sleep {marker}"])
    deadline = time.monotonic() + 60
    while gone(marker):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    made.close()
    made.close()
    while not gone(marker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_its_last_words_are_told_and_are_few():
    made = jump.Jump(["sh", "-c", "yes | head -c 100000 >&2; printf 'no\\nway' >&2; exit 1"])
    assert made.said().endswith("y no way")
    assert len(made.said()) <= 2000
    made.close()


def test_a_host_whose_key_is_not_known_is_refused_where_nobody_says_otherwise(home):
    """`ask` would refuse it, too, without a terminal, but not say which one."""
    (home / ".ssh" / "config").write_text("Host x\n  User theirs\n")
    text = jump.settings(replace(SSH, host_key_checking=None))
    assert text.splitlines()[-1] == "StrictHostKeyChecking yes"


@pytest.mark.parametrize(
    ("answer", "command"),
    [
        ({}, []),
        ({"proxycommand": ("nc -X %h %p",)}, ["/bin/dash", "-c", "exec nc -X web1 22"]),
        ({"proxycommand": ("none",)}, []),
        ({"proxyjump": ("none",), "proxycommand": ("x",)}, ["/bin/dash", "-c", "exec x"]),
    ],
)
def test_a_proxy_command_runs_in_the_users_shell(monkeypatch, answer, command):
    monkeypatch.setenv("SHELL", "/bin/dash")
    assert jump.command(way(host(), answer)) == command
