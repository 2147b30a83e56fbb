"""What a gateway knows of instances on other hosts: addresses, trust, and when it gives up."""

import http.client
import re
import socket
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from making import host, registry

from regfleet.fleet.registries import S3, Gateway
from regfleet.gateway import nginx
from regfleet.gateway.behind import ways as ways_to
from regfleet.gateway.places import behind
from regfleet.gateway.upstreams import upstreams
from regfleet.materials import Behind
from regfleet.secret import Secret

ONE = registry(gateway=Gateway("nginx:stable"))
HOSTS = (
    replace(host("reg1"), address="192.0.2.11"),
    replace(host("reg2"), address="2001:db8::2"),
)
TWO = replace(ONE, hosts=HOSTS)


def rendered(of, on="reg1"):
    places = behind(of.port)
    front = nginx.Front(
        name="main",
        home="/etc/regfleet",
        temporary="/tmp",
        user="nginx",
        places=places,
        instances=upstreams(of, on, places),
        port=of.port,
    )
    return nginx.render(front)


def test_of_one_host_nothing_leaves_it():
    text = rendered(ONE)
    assert "server 127.82.19.136:22500 max_fails=0;" in text
    assert "proxy_ssl" not in text
    assert "https://registry" not in text


def test_all_are_tried_again_when_all_have_failed():
    text = rendered(TWO)
    for each in ("127.0.0.1:22510", "[2001:db8::2]:22510"):
        assert text.count(f"server {each} max_fails=1 fail_timeout=5s;") == 2
        assert text.count(f"server {each} max_fails=0 backup;") == 2
    assert "192.0.2.11" not in text
    assert "keepalive 32" not in text
    # What says whether this host's own works asks no other.
    assert "upstream own {\n    zone own 1m;\n    server 127.0.0.1:22510 max_fails=0;\n  }" in text


@pytest.mark.parametrize("of", [ONE, TWO])
def test_nginx_starts_where_pages_have_64_kb(of):
    """It wants eight of them for what its workers share (ngx_http_upstream_zone_module.c)."""
    end = Behind("old", "old.lan:5000", "old.lan", ("192.0.2.1:5000",), tls=False)
    ways = ways_to([end], behind(5000), "/etc/regfleet", Secret("x"))
    found = re.findall(r"zone[= ]\w+[: ](\d+)([km])", rendered(of) + ways)
    assert len(found) > 6
    assert all(int(number) * (1024 if unit == "m" else 1) >= 512 for number, unit in found), found


def test_nobody_is_sent_anything_who_is_no_instance():
    text = rendered(TWO)
    assert "proxy_ssl_verify on;" in text
    assert "proxy_ssl_trusted_certificate /etc/regfleet/instances.crt;" in text
    assert "proxy_pass http://registry" not in text
    assert "proxy_pass http://uploads" not in text


def test_an_upload_to_a_bucket_may_take_longer():
    assert text_of_uploads(TWO) == "60s"
    assert text_of_uploads(replace(TWO, s3=S3("b", "r"))) == "900s"


def text_of_uploads(of):
    text = rendered(of).partition("https://uploads")[2]
    return text.partition("proxy_read_timeout ")[2].partition(";")[0]


class Dying:
    """An instance that dies over every request, once it has read its head."""

    def __init__(self):
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.asked += b"/v2/" in connection.recv(65536)
                connection.close()

    def close(self):
        self._socket.close()


def test_an_upload_that_died_with_its_registry_is_begun_anew(stands):
    """What the next registry says of it, 404, would make clients give up."""
    dying = Dying()
    try:
        stand = stands(others=(dying.place,))
        path = "/v2/team-a/app/blobs/uploads/9f7d9b1e-0d62-4d7c-8f5c-3a52ab0f2b1d?digest=sha256:x"
        torn = 0
        for _ in range(4):
            before = dying.asked
            try:
                answer = stand.ask("PUT", path, user="root")
            except http.client.RemoteDisconnected:
                torn += 1
                assert dying.asked > before
            else:
                assert (answer.status, dying.asked) == (404, before)
                assert answer.json["errors"][0]["code"] == "BLOB_UPLOAD_UNKNOWN"
        assert torn > 0
        assert stand.push("team-a/app", user="root").status == 201
    finally:
        dying.close()
