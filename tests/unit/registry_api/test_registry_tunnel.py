"""The stream that http.client and TLS read from, over a real pair of sockets."""

import socket

import pytest

from regfleet.registry_api.target import trusting
from regfleet.registry_api.tunnel import Stream


@pytest.fixture
def ends():
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_waits_no_longer_than_it_may(ends):
    stream = Stream(ends[0], 0.01)
    with pytest.raises(TimeoutError):
        stream.recv(1)


def test_may_be_told_to_wait_less(ends):
    stream = Stream(ends[0])
    assert stream.gettimeout() is None
    stream.settimeout(0.01)
    assert stream.gettimeout() == 0.01
    with pytest.raises(TimeoutError):
        stream.recv(1)


@pytest.mark.parametrize(("size", "expected"), [(0, b"abcd"), (2, b"ab"), (4, b"abcd")])
def test_reads_into_a_buffer(ends, size, expected):
    ends[1].sendall(b"abcdef")
    buffer = bytearray(4)
    count = Stream(ends[0]).recv_into(memoryview(buffer), size)
    assert buffer[:count] == expected


def test_stays_open_while_a_file_reads_from_it(ends):
    near, far = ends
    stream = Stream(near)
    file = stream.makefile("rb")
    stream.close()
    far.sendall(b"line\n")
    assert file.readline() == b"line\n"
    assert near.fileno() != -1
    file.close()
    assert near.fileno() == -1


def test_a_file_that_is_closed_twice_counts_once(ends):
    stream = Stream(ends[0])
    files = [stream.makefile("rb"), stream.makefile("rb")]
    for _ in range(2):
        files[0].close()
    stream.close()
    assert ends[0].fileno() != -1
    files[1].close()
    assert ends[0].fileno() == -1


def test_closes_at_once_where_no_file_reads(ends):
    Stream(ends[0]).close()
    assert ends[0].fileno() == -1


@pytest.mark.parametrize("mode", ["r", "wb", "rwb"])
def test_is_read_as_bytes_only(ends, mode):
    with pytest.raises(ValueError, match="mode 'rb'"):
        Stream(ends[0]).makefile(mode)


def test_trust_is_in_the_given_ca_alone(authority):
    assert len(trusting(authority.certificate_pem).get_ca_certs()) == 1
