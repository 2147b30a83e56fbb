"""How a host is reached, and the one form in which anything is started there."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import shells
from making import host
from pyinfra.connectors.sshuserclient.client import get_missing_host_key_policy

from regfleet.shell.command import shell_command
from regfleet.ssh.connection import WAY, connection_data
from regfleet.ssh.way import way

LEAST = {
    "ssh_hostname": "web1",
    "ssh_port": 22,
    "ssh_user": "ops",
    "ssh_strict_host_key_checking": "yes",
}


def data(place):
    found = connection_data(way(place, {}))
    assert found.pop(WAY).host == place
    return found


@pytest.mark.parametrize(
    ("ssh", "changes"),
    [
        ({}, {}),
        ({"port": 2222}, {"ssh_port": 2222}),
        ({"user": "root"}, {"ssh_user": "root"}),
        ({"key": Path("/k")}, {"ssh_key": "/k"}),
        ({"known_hosts": Path("/h")}, {"ssh_known_hosts_file": "/h"}),
        ({"host_key_checking": "accept-new"}, {"ssh_strict_host_key_checking": "accept-new"}),
        ({"host_key_checking": "off"}, {"ssh_strict_host_key_checking": "off"}),
        ({"sudo": False}, {}),
    ],
)
def test_the_settings_as_pyinfra_names_them(ssh, changes):
    assert data(host(**ssh)) == {**LEAST, **changes}


def test_without_a_user_it_is_that_of_the_ssh_configuration():
    found = connection_data(way(host(user=None, port=None), {"user": ("me",), "port": ("23",)}))
    assert (found["ssh_user"], found["ssh_port"]) == ("me", 23)


def test_the_address_is_what_is_connected_to():
    assert data(replace(host(), address="192.0.2.7"))["ssh_hostname"] == "192.0.2.7"


@pytest.mark.parametrize(
    ("checking", "policy"),
    [("strict", "StrictPolicy"), ("accept-new", "AcceptNewPolicy"), ("off", "WarningPolicy")],
)
def test_pyinfra_knows_the_words_for_host_keys(checking, policy):
    word = data(host(host_key_checking=checking))["ssh_strict_host_key_checking"]
    assert type(get_missing_host_key_policy(word)).__name__ == policy


# ---- the command ----


def started(shell, command, stdin=""):
    """Runs a command's whole form as sshd does: by a shell's -c, with input behind it."""
    quoted = command.replace("'", "'\\''")
    tool = "busybox sh" if shell == "busybox" else shell
    body = f"{tool} -c '{quoted}' <<'EOF'\n{stdin}\nEOF\necho \"status $?\"\n"
    done = shells.run("dash" if shell == "busybox" else shell, body)
    return done.stdout.decode().splitlines()


EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())


@EVERY_SHELL
@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("echo hello", ["hello", "@exit 0"]),
        ("echo hello; exit 7", ["hello", "@exit 7"]),
        ("echo wrong >&2", ["wrong", "@exit 0"]),
        ("kill -9 $$", ["@exit 137"]),
    ],
)
def test_it_says_how_it_ended_and_never_fails_itself(shell, program, expected):
    *said, status = started(shell, shell_command("sh -s", sudo=False), program)
    assert [line for line in said if "Killed" not in line] == expected
    assert status == "status 0"


@EVERY_SHELL
def test_what_is_left_of_the_input_is_read(shell):
    """Or else whoever writes it would be told of a broken pipe."""
    command = shell_command("true", sudo=False)
    body = f"{{ head -c 500000 /dev/zero && echo written >&2; }} | {{ {command}; }}\n"
    done = shells.run(shell, body)
    assert done.stdout == b"@exit 0\n"
    assert done.stderr == b"written\n"


def test_sudo_never_asks():
    command = shell_command("sh -s", sudo=True)
    assert "sudo -n -H sh -s; " in command
    assert "doas -n sh -s; " in command
    assert shell_command("sh -s", sudo=False).startswith("exec sh -c 'sh -s 2>&1;")


@EVERY_SHELL
@pytest.mark.parametrize(
    ("there", "said"),
    [
        (("sudo",), "sudo -n -H sh -s"),
        (("doas",), "doas -n sh -s"),
        (("sudo", "doas"), "sudo -n -H sh -s"),
        ((), "sudo: not found, and no doas"),
    ],
)
def test_doas_where_there_is_no_sudo(shell, there, said, tmp_path):
    for name in there:
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} $*\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "sh").symlink_to(shutil.which("sh"))
    program = f"PATH={tmp_path}; {shell_command('sh -s', sudo=True)}"
    first, status = started(shell, program)[:2]
    assert first == said
    assert status == ("@exit 0" if there else "@exit 127")
