"""A control socket on which another account, another program or an OpenSSH that refuses listens."""

import os
import socket
import struct
import threading
from pathlib import Path

import pytest

from regfleet.ssh.multiplex import Multiplexed, MultiplexError

HELLO = struct.pack(">II", 1, 4)
TO_CHECK, TO_OPEN = struct.pack(">I", 0x10000004), struct.pack(">I", 0x10000002)


def packet(content):
    return struct.pack(">I", len(content)) + content


def answer(kind, *numbers, text=""):
    content = struct.pack(">I", kind) + b"".join(struct.pack(">I", each) for each in numbers)
    return packet(content + struct.pack(">I", len(text)) + text.encode())


@pytest.fixture
def listen(tmp_path):
    """Starts a listener that reads two messages of a connection, then sends the bytes and ends."""
    started = []

    def begin(said):
        path = tmp_path / "s"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(5)
                    client.sendall(said)
                    try:
                        while client.recv(1000):
                            pass
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        started.append(server)
        return Path(path)

    yield begin
    for server in started:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def test_a_client_that_is_alive(listen):
    alive = packet(HELLO) + answer(0x80000005, 0, os.getpid())
    assert Multiplexed(listen(alive)).is_active()


@pytest.mark.parametrize(
    "said",
    [
        packet(struct.pack(">II", 1, 3)),
        packet(struct.pack(">II", 2, 4)),
        packet(b""),
        packet(HELLO) + packet(b"\x00"),
        packet(HELLO) + answer(0x80000003, 0, text="no"),
        b"\xff\xff\xff\xff",
        b"SSH-2.0-x\r\n",
    ],
    ids=["version", "type", "empty", "short", "failure", "endless", "sshd"],
)
def test_anything_else_is_no_kept_connection(listen, said):
    assert not Multiplexed(listen(said)).is_active()


def test_no_file_and_no_listener(tmp_path):
    assert not Multiplexed(tmp_path / "none").is_active()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left"))
    left.close()
    assert not Multiplexed(tmp_path / "left").is_active()


def test_why_it_gave_no_channel(listen):
    refused = packet(HELLO) + answer(0x80000002, 0, text="Permission denied")
    channel = Multiplexed(listen(refused)).open_session()
    with pytest.raises(MultiplexError, match="Permission denied"):
        channel.exec_command("true")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another account")
def test_a_listener_of_another_account(tmp_path):
    path = tmp_path / "s"
    tmp_path.chmod(0o777)
    ready, other = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(tmp_path)
            os.setuid(65534)
            server = socket.socket(socket.AF_UNIX)
            server.bind("s")
            server.listen()
            other.sendall(b"x")
            client, _ = server.accept()
            client.sendall(packet(HELLO) + answer(0x80000005, 0, 1))
            client.recv(1)
        finally:
            os._exit(0)
    other.close()
    try:
        assert ready.recv(1)
        channel = Multiplexed(path).open_session()
        with pytest.raises(MultiplexError, match="another account"):
            channel.exec_command("true")
    finally:
        ready.close()
        os.waitpid(child, 0)


def test_one_that_was_given_up_is_not_used_again(listen):
    connection = Multiplexed(listen(packet(HELLO) + answer(0x80000005, 0, os.getpid())))
    assert connection.is_active()
    connection.give_up()
    assert not connection.is_active()
