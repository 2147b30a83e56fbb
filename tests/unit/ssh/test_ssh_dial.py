"""Connections begun early are real ones, and never to a place that was not meant."""

import os
import socket

import pytest

from regfleet.fleet.load import load
from regfleet.ssh import dial, ways

FLEET = """\
version = 1
name = "dialled"

[ssh]
port = {port}

[registry.main]
hosts = ["reg1.example.com"]

[client.build]
hosts = [{hosts}]
registries = ["main"]
"""


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    dial.hang_up()


@pytest.fixture
def listening():
    """A port of all of 127.0.0.0/8."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def write(tmp_path, port, *addresses):
    hosts = [
        f'{{ name = "h{number}", address = "{address}" }}'
        for number, address in enumerate(addresses)
    ]
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET.format(port=port, hosts=", ".join(hosts)))
    return file


def port_of(server):
    return server.getsockname()[1]


def begun():
    return sorted(address for address, _ in dial._begun)


def test_what_was_begun_is_taken_once_and_speaks(tmp_path, listening):
    port = port_of(listening)
    dial.begin(write(tmp_path, port, "127.0.0.1"), ("h0",))
    theirs, _ = listening.accept()
    ours = dial.take("127.0.0.1", port)
    assert dial.take("127.0.0.1", port) is None
    with theirs, ours:
        theirs.sendall(b"SSH-2.0-x\r\n")
        assert ours.recv(100) == b"SSH-2.0-x\r\n"
        assert ours.gettimeout() == 10


def test_a_port_that_nobody_listens_on_is_none(tmp_path, listening):
    port = port_of(listening)
    listening.close()
    dial.begin(write(tmp_path, port, "127.0.0.1"))
    assert begun() == ["127.0.0.1"]
    assert dial.take("127.0.0.1", port) is None


def test_names_are_not_dialled_and_only_chosen_hosts_are(tmp_path, listening):
    port = port_of(listening)
    file = write(tmp_path, port, "127.0.0.1", "127.0.0.2", "localhost", "127.0.0.3", "::1")
    dial.begin(file, ("client_build",), ("h1",))
    assert begun() == ["127.0.0.1", "127.0.0.3", "::1"]


def test_no_more_than_are_worked_on_at_the_same_time(tmp_path, listening):
    file = write(tmp_path, port_of(listening), *(f"127.0.0.{number}" for number in range(1, 200)))
    dial.begin(file, ("client_build",), parallel=3)
    assert len(begun()) == 3
    dial.hang_up()
    assert begun() == []
    dial.begin(file)
    assert len(begun()) <= 20 * os.cpu_count()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (False, ["127.0.0.1"])),
        ("# Port 22\nHost *\n  HashKnownHosts yes\n  SendEnv LANG\n", (False, ["127.0.0.1"])),
        ("Host 127.*\n  ProxyJump bastion\n", (False, [])),
        ("Host 127.*\n  HostName 127.0.0.9\n", (False, [])),  # nothing is known yet
        ("Host 127.*\n  HostName 127.0.0.9\n", (True, ["127.0.0.9"])),
        ("Host other\n  Port 1\n", (True, ["127.0.0.1"])),
        ("Host 127.*\n  ProxyJump bastion\n", (True, [])),
        ("host x 127.*\n\tproxycommand nc %h %p\n", (True, [])),
    ],
)
def test_hosts_are_dialled_where_openssh_reaches_them(tmp_path, listening, home, text, expected):
    asked, dialled = expected
    (home / ".ssh" / "config").write_text(text)
    file = write(tmp_path, port_of(listening), "127.0.0.1")
    if asked:
        ways.prepare(load(file).hosts().values())
    dial.begin(file)
    assert begun() == dialled


def test_mistakes_are_left_for_the_command_to_tell(tmp_path, listening):
    dial.begin(tmp_path / "none.toml")
    file = write(tmp_path, port_of(listening), "127.0.0.1")
    dial.begin(file, ("no-such-host",))
    file.write_text(file.read_text() + "[nonsense]\n")
    dial.begin(file)
    assert begun() == []
