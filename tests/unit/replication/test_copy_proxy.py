"""The HTTP proxy of copies: for whom it is, and what it is asked. Real ones: tests/fleet."""

import contextlib
import socket
import threading

import pytest

from regfleet.replication import engine
from regfleet.replication.engine import client, transport

BY = ("p.lan", 3128)


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("", "hub.example", False),
        ("", "localhost", True),
        ("", "127.0.0.9", True),
        ("", "::1", True),
        ("*", "hub.example", True),
        ("example", "hub.example", True),
        ("hub.example", "hub.example", True),
        ("hub.example", "HUB.example.", True),
        ("HUB.example", "hub.example", True),
        ("hub.example", "sub.hub.example", True),
        ("hub.example", "othub.example", False),
        (".hub.example", "hub.example", False),
        (".hub.example", "sub.hub.example", True),
        ("*.hub.example", "hub.example", False),
        ("*.hub.example", "sub.hub.example", True),
        ("a,hub.example,b", "hub.example", True),
        ("hub.example:5000", "hub.example", True),
        ("hub.example:5001", "hub.example", False),
        ("10.0.0.0/8", "10.9.8.7", True),
        ("10.0.0.0/8", "11.9.8.7", False),
        ("10.9.8.7", "10.9.8.7", True),
        ("10.9.8.7:5000", "10.9.8.7", True),
        ("10.9.8.7:5001", "10.9.8.7", False),
        ("fd00::/8", "fd00::1", True),
        ("fd00::1", "fd00::1", True),
        ("[fd00::1]:5001", "fd00::1", False),
        ("9.8.7", "10.9.8.7", False),
    ],
)
def test_whom_it_is_for(no_proxy, host, direct):
    """As Go's programs read `no_proxy` (golang.org/x/net/http/httpproxy, Config.NoProxy)."""
    proxy = engine.Proxy({"https": "http://p.lan:3128", "no_proxy": no_proxy})
    assert proxy.way(host, 5000, True) == (None if direct else BY)


def test_each_scheme_has_its_own():
    proxy = engine.Proxy({"http": "http://p.lan", "https": "http://q.lan:1"})
    assert proxy.way("hub.example", 80, False) == ("p.lan", 80)
    assert proxy.way("hub.example", 443, True) == ("q.lan", 1)
    assert engine.Proxy({"https": "http://q.lan:1"}).way("hub.example", 80, False) is None


@pytest.mark.parametrize("url", ["https://p.lan:1", "socks5://p.lan:1"])
def test_others_are_refused(url):
    with pytest.raises(engine.Problem, match="is not http://HOST:PORT"):
        engine.Proxy({"https": url})


@pytest.fixture
def answering():
    """`answering(bytes)`: the port of a proxy that says that, and what it was asked."""
    places, asked = [], []

    def start(said):
        place = socket.create_server(("127.0.0.1", 0))
        places.append(place)

        def serve():
            while True:
                try:
                    made, _ = place.accept()
                except OSError:
                    return
                with made:
                    asked.append(made.recv(4096).decode())
                    made.sendall(said)
                    # Closed with something unread, it would be reset before all is read there.
                    made.shutdown(socket.SHUT_WR)
                    with contextlib.suppress(ConnectionError):
                        while made.recv(4096):
                            pass

        threading.Thread(target=serve, daemon=True).start()
        return place.getsockname()[1], asked

    yield start
    for each in places:
        each.close()


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (b"HTTP/1.1 407 no\r\n\r\n", engine.Problem, "refuses the login"),
        (b"HTTP/1.0 401 no\r\n\r\n", engine.Problem, "refuses the login"),
        (b"HTTP/1.1 403 \x1b[31mno\r\n\r\n", engine.Away, r"403 \?\[31mno"),
        (b"x" * 10, engine.Away, "no answer of HTTP"),
        (b"x" * 400_000, engine.Away, "no answer of HTTP"),
        (b"HTTP/1.1 200 ok\r\n\r\nno TLS at all", engine.Away, "SSL|record"),
    ],
)
def test_what_a_proxy_answers(answering, monkeypatch, said, error, words):
    monkeypatch.setattr(client, "TRIES", 1)
    port, asked = answering(said)
    by = {"https": f"http://127.0.0.1:{port}", "user": "ä", "password": "b"}
    registry = engine.Registry(
        {"url": "https://hub.example:5000"}, engine.Clock(20), None, engine.Proxy(by)
    )
    with pytest.raises(error, match=words):
        registry.ping()
    lines = asked[0].split("\r\n")
    assert lines[:2] == ["CONNECT hub.example:5000 HTTP/1.1", "Host: hub.example:5000"]
    assert lines[2] == "Proxy-Authorization: Basic w6Q6Yg=="


def test_a_proxy_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(client, "TRIES", 1)
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    by = engine.Proxy({"https": f"http://127.0.0.1:{port}"})
    registry = engine.Registry({"url": "https://hub.example"}, engine.Clock(20), None, by)
    with pytest.raises(engine.Away, match=f"the HTTP proxy 127.0.0.1:{port}: .*refused"):
        registry.ping()


def test_a_proxy_that_hangs_is_named(monkeypatch):
    monkeypatch.setattr(client, "TRIES", 1)
    monkeypatch.setattr(transport, "WAIT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as place:
        by = engine.Proxy({"https": f"http://127.0.0.1:{place.getsockname()[1]}"})
        registry = engine.Registry({"url": "https://hub.example"}, engine.Clock(20), None, by)
        with pytest.raises(engine.Away, match="the HTTP proxy gives no answer: timed out"):
            registry.ping()


def test_a_plain_registry_is_asked_by_its_whole_url(answering):
    port, asked = answering(b"HTTP/1.1 200 ok\r\nContent-Length: 2\r\n\r\n{}")
    proxy = engine.Proxy({"http": f"http://127.0.0.1:{port}", "user": "a", "password": "b"})
    registry = engine.Registry({"url": "http://hub.example:5000"}, engine.Clock(20), None, proxy)
    registry.ping()
    lines = asked[0].split("\r\n")
    assert lines[0] == "GET http://hub.example:5000/v2/ HTTP/1.1"
    assert "Host: hub.example:5000" in lines
    assert "Proxy-Authorization: Basic YTpi" in lines


def test_an_own_instance_is_reached_without_it():
    proxy = engine.Proxy({"https": "http://127.0.0.1:1"})
    settings = {"url": "https://hub.example:5000", "connect": "127.0.0.1:2"}
    assert engine.Registry(settings, engine.Clock(20), None, proxy)._proxy is None
