"""What may be taken of time and bytes, by operations within operations."""

import socket

import pytest

from regfleet.errors import UsageError
from regfleet.registry_api.bounds import MIB, SECONDS_VARIABLE, Allowance, Bounds
from regfleet.registry_api.errors import RegistryError, cut, only_registry_errors
from regfleet.registry_api.tunnel import Stream, direct


def test_bytes_count_for_the_operation_and_for_the_one_around_it():
    whole = Allowance(Bounds(60, 10), "all")
    Allowance(Bounds(60, 8), "first", whole).take(8)
    second = Allowance(Bounds(60, 8), "second", whole)
    second.take(2)
    with pytest.raises(RegistryError, match="all: an endless answer") as caught:
        second.take(1)
    assert caught.value.kind == "protocol"
    with pytest.raises(RegistryError, match="one: an endless answer, more than 1 MiB"):
        Allowance(Bounds(60, MIB), "one").take(MIB + 1)


def test_time_is_the_least_of_both():
    whole = Allowance(Bounds(0.001, 10), "all")
    part = Allowance(Bounds(60, 10), "part", whole)
    with pytest.raises(RegistryError, match="all: not finished") as caught:
        _ = [part.seconds() for _ in iter(int, 1)]  # without end, were it not for the other
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize(("said", "seconds"), [("", 30), ("30", 30), ("3", 3), ("300", 300)])
def test_the_environment_makes_it_longer_or_shorter(monkeypatch, said, seconds):
    monkeypatch.setenv(SECONDS_VARIABLE, said)
    assert seconds - 1 < Allowance(Bounds(30, 1), "x").seconds() <= seconds


@pytest.mark.parametrize("said", ["soon", "0", "-1", "nan", "inf"])
def test_what_is_no_number_of_seconds(monkeypatch, said):
    monkeypatch.setenv(SECONDS_VARIABLE, said)
    with pytest.raises(UsageError, match=SECONDS_VARIABLE):
        Allowance(Bounds(30, 1), "x")


def test_who_takes_nothing_of_what_is_sent_is_not_waited_for():
    near, far = socket.socketpair()
    with near, far:
        stream = Stream(near, 0.01, Allowance(Bounds(30, 1), "x"))
        with pytest.raises(TimeoutError):
            stream.sendall(b"x" * 10_000_000)
        stream.allow(Allowance(Bounds(1e-9, 1), "GET /"))
        with pytest.raises(RegistryError, match="GET /: not finished"):
            stream.sendall(b"x")


def test_a_kept_stream_gets_an_allowance_for_each_operation():
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"abcdef")
        stream = Stream(near, 1, Allowance(Bounds(30, 3), "first"))
        assert stream.recv(3) == b"abc"
        stream.allow(Allowance(Bounds(30, 3), "second"))
        assert stream.recv(3) == b"def"
        far.sendall(b"g")
        with pytest.raises(RegistryError, match="second: an endless answer"):
            stream.recv(1)


def test_the_second_address_of_a_name_is_tried(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("127.0.0.2", "127.0.0.1")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        direct("two.example", port)(5).close()


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), ValueError("digits"), KeyError("x"), MemoryError()]
)
def test_whatever_a_parser_raises_is_the_registrys_error(error):
    with (
        pytest.raises(RegistryError, match=f"r:5000: .*{type(error).__name__}") as caught,
        only_registry_errors("r:5000"),
    ):
        raise error
    assert caught.value.kind == "protocol"


def test_an_error_of_ours_stays_what_it_is():
    with pytest.raises(UsageError), only_registry_errors("r:5000"):
        raise UsageError("x", "y")


@pytest.mark.parametrize(("length", "shown"), [(10, 10), (200, 200), (201, 200), (10**6, 200)])
def test_of_what_is_said_a_message_has_room_for_some(length, shown):
    assert len(cut("x" * length)) == shown
