"""The client against a real registry, direct and through a real SSH connection."""

import http.server
import os
import socket
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest

from regfleet.errors import CertificateError
from regfleet.registry_api import bounds
from regfleet.registry_api import client as client_module
from regfleet.registry_api.bounds import Bounds
from regfleet.registry_api.channel import through
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError
from regfleet.registry_api.target import Target
from regfleet.registry_api.tunnel import direct

NOBODY = f"sha256:{'0' * 64}"


@pytest.fixture(params=["direct", "tunnel"])
def way(request, registry):
    """Both ways to the registry."""
    if request.param == "direct":
        return direct("127.0.0.1", registry.port)
    return through(request.getfixturevalue("transport"), registry.port)


class TestBothWays:
    def test_ping(self, registry, way):
        with registry.client(dial=way) as client:
            client.ping()
            client.ping()

    def test_an_image_from_push_to_delete(self, registry, way):
        digest, config = registry.push("team/app", "a", "b", content=os.urandom(16))
        with registry.client(dial=way) as client:
            assert "team/app" in list(client.catalog())
            assert {"a", "b"} <= set(client.tags("team/app"))
            for reference in ("a", digest):
                found = client.manifest("team/app", reference)
                assert (found.digest, found.config) == (digest, config)
                assert found.media_type.endswith("manifest.v2+json")
                assert found.size > 100
            assert client.delete("team/app", digest) is True
            assert client.delete("team/app", digest) is False
            assert "a" not in client.tags("team/app")
            with pytest.raises(RegistryError, match="404 MANIFEST_UNKNOWN") as caught:
                client.manifest("team/app", digest)
            assert caught.value.kind == "not-found"

    def test_a_large_answer(self, registry, way):
        tags = [f"{number:04}-{'x' * 100}" for number in range(400)]
        registry.push("team/large", *tags)
        with registry.client(dial=way) as client:
            assert sorted(client.tags("team/large")) == tags

    def test_wrong_password(self, registry, way):
        with registry.client("wrong", dial=way) as client:
            with pytest.raises(RegistryError, match="password of user 'ci'") as caught:
                client.ping()
            assert caught.value.kind == "unauthorized"
            assert "'wrong'" not in str(caught.value)

    def test_a_stranger_is_not_trusted(self, registry, way):
        with registry.client(dial=way, ca=None) as client:
            with pytest.raises(RegistryError, match="unknown authority") as caught:
                client.ping()
            assert caught.value.kind == "untrusted"

    def test_the_certificate_must_name_the_endpoint(self, registry, way):
        with registry.client(dial=way, endpoint="other.example:5000") as client:
            with pytest.raises(RegistryError, match="is for other names") as caught:
                client.ping()
            assert caught.value.kind == "wrong-name"


def test_through_ssh_to_where_nobody_listens(registry, transport):
    with registry.client(dial=through(transport, 1)) as client:
        with pytest.raises(RegistryError, match="no service listens") as caught:
            client.ping()
        assert caught.value.kind == "refused"


def test_through_an_sshd_that_forbids_it(registry, transport):
    dial = through(transport, registry.port, "127.0.0.2")
    with registry.client(dial=dial) as client, pytest.raises(RegistryError, match="sshd_config"):
        client.ping()


def test_a_bare_channel_does(registry, transport):
    def dial(_seconds):
        where = ("127.0.0.1", registry.port)
        return transport.open_channel("direct-tcpip", where, ("127.0.0.1", 0))

    with registry.client(dial=dial) as client:
        client.ping()


def test_without_tls_through_ssh(plain_registry, transport):
    plain_registry.push("app", "a")
    with plain_registry.client(dial=through(transport, plain_registry.port)) as client:
        client.ping()
        assert client.tags("app") == ("a",)


def test_a_closed_channel(registry, transport):
    with registry.client(dial=through(transport, registry.port)) as client:
        client.ping()
        transport.close()
        with pytest.raises(RegistryError, match="no SSH channel"):
            client.ping()


class TestPages:
    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_every_repository_once(self, start_registry, monkeypatch, size):
        monkeypatch.setattr(client_module, "PAGE", size)
        registry = start_registry(users=False)
        with registry.client() as client:
            assert list(client.catalog()) == []
            names = ["a", "b/c", "b/d", "e", "f"]
            for name in names:
                registry.push(name, "x")
            assert list(client.catalog()) == names

    def test_a_registry_that_allows_less_a_page(self, start_registry):
        registry = start_registry(users=False, page=2)
        names = ["a", "b", "c", "d", "e"]
        for name in names:
            registry.push(name, "x")
        with registry.client() as client:
            assert list(client.catalog()) == names

    def test_no_such_repository_has_no_tags(self, registry):
        with registry.client() as client:
            assert client.tags("no/such") == ()


class TestRefusals:
    def test_deletion_is_off(self, plain_registry):
        digest, _ = plain_registry.push("app", "x")
        with plain_registry.client() as client:
            with pytest.raises(RegistryError, match="405 UNSUPPORTED") as caught:
                client.delete("app", digest)
            assert caught.value.kind == "unsupported"
            assert "delete = true" in caught.value.hint

    def test_nothing_of_this_name(self, registry):
        with registry.client() as client:
            with pytest.raises(RegistryError) as caught:
                client.manifest("team/app", NOBODY)
            assert caught.value.kind == "not-found"
            assert client.delete("no/such", NOBODY) is False

    @pytest.mark.parametrize(
        ("repository", "reference"), [("../x", "a"), ("a", "b/c"), ("a?x", "a"), ("a", "")]
    )
    def test_nothing_is_asked_with_an_impossible_name(self, repository, reference):
        def dial(_seconds):
            pytest.fail("connected")

        client = RegistryClient(Target("r:5000", dial))
        with pytest.raises(RegistryError):
            client.manifest(repository, reference)
        with pytest.raises(RegistryError):
            client.delete(repository, reference)

    def test_an_expired_certificate(self, start_registry):
        registry = start_registry(at=datetime.now(timezone.utc) - timedelta(days=500))
        with registry.client() as client:
            with pytest.raises(RegistryError, match="has expired") as caught:
                client.ping()
            assert caught.value.kind == "expired"

    def test_tls_where_there_is_none(self, plain_registry, registry):
        with plain_registry.client(tls=True, ca=registry.ca) as client:
            with pytest.raises(RegistryError, match="no TLS is spoken") as caught:
                client.ping()
            assert caught.value.kind == "tls"

    def test_no_tls_where_there_is(self, registry):
        with registry.client(tls=False) as client:
            with pytest.raises(RegistryError, match="speaks TLS") as caught:
                client.ping()
            assert caught.value.kind == "tls"

    def test_nobody_listens(self):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
            client = RegistryClient(Target("r:5000", direct("127.0.0.1", port), tls=False))
            with pytest.raises(RegistryError) as caught:
                client.ping()
        assert caught.value.kind == "refused"

    @pytest.mark.parametrize("tls", [True, False])
    def test_nobody_answers(self, tls):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            dial = direct("127.0.0.1", silent.getsockname()[1])
            client = RegistryClient(Target("r:5000", dial, tls=tls, timeout=0.3))
            with pytest.raises(RegistryError) as caught:
                client.ping()
        assert caught.value.kind == "timeout"

    def test_no_such_host(self):
        client = RegistryClient(Target("r:5000", direct("no-such-host.invalid", 5000)))
        with pytest.raises(RegistryError) as caught:
            client.ping()
        assert caught.value.kind == "unreachable"

    def test_a_ca_that_is_none(self, registry):
        with registry.client(ca=b"junk") as client, pytest.raises(CertificateError):
            client.ping()


class TestAnotherService:
    """Web servers that are no registry, and answers that never come whole."""

    @pytest.fixture
    def web(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/v2/_catalog":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort")
                    return
                if self.path.startswith("/v2/loop"):
                    self.send_response(200)
                    self.send_header("Link", '</v2/loop/tags/list?last=x>; rel="next"')
                    self.end_headers()
                    self.wfile.write(b"{}")
                    return
                status = 404 if self.server.lost else 200
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<html>hello</html>")

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            server.lost = False
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield server
            server.shutdown()

    @pytest.mark.parametrize("lost", [True, False])
    def test_is_not_a_registry(self, web, lost):
        web.lost = lost
        dial = direct("127.0.0.1", web.server_port)
        client = RegistryClient(Target("r:5000", dial, tls=False))
        with client, pytest.raises(RegistryError) as caught:
            client.ping()
        assert caught.value.kind == "not-a-registry"

    def test_a_page_that_follows_itself_ends(self, web):
        dial = direct("127.0.0.1", web.server_port)
        with RegistryClient(Target("r:5000", dial, tls=False)) as client:
            with pytest.raises(RegistryError, match="names a page before it") as caught:
                client.tags("loop")
            assert caught.value.kind == "protocol"

    def test_half_an_answer_is_none(self, web, monkeypatch):
        dial = direct("127.0.0.1", web.server_port)
        with RegistryClient(Target("r:5000", dial, tls=False)) as client:
            with pytest.raises(RegistryError, match="broke") as caught:
                client.request("GET", "/v2/_catalog")
            assert caught.value.kind == "unreachable"
            monkeypatch.setattr(bounds, "REQUEST", Bounds(30, 3))
            with pytest.raises(RegistryError, match="endless"):
                client.request("GET", "/")


def test_a_kept_connection_that_was_closed_is_opened_again(start_registry):
    """As a registry does that is restarted between two requests."""
    registry = start_registry()
    connections = []

    def dial(_seconds):
        connections.append(socket.create_connection(("127.0.0.1", registry.port)))
        return connections[-1]

    with registry.client(dial=dial) as client:
        client.ping()
        client.ping()
        assert len(connections) == 1, "the connection was not kept"
        connections[0].shutdown(socket.SHUT_RDWR)
        client.ping()
        assert len(connections) == 2


PATCHED = """
from gevent import monkey; monkey.patch_all()
import json, sys
import gevent, paramiko
from regfleet.registry_api.checks import negative_checks
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.target import Credentials, Target
from regfleet.registry_api.channel import through
from regfleet.registry_api.tunnel import direct
from regfleet.secret import Secret

ssh, port, ca, user, password = json.loads(sys.stdin.read())
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect(**ssh)
dials = [direct("127.0.0.1", port), through(client.get_transport(), port)]

def work(dial):
    target = Target(f"127.0.0.1:{port}", dial, ca=ca.encode())
    with RegistryClient(target, Credentials(user, Secret(password))) as api:
        api.ping()
        list(api.catalog())
    return [check.verdict for check in negative_checks("main", target, user)]

jobs = [gevent.spawn(work, dial) for dial in dials * 3]
gevent.joinall(jobs, raise_error=True)
print({verdict for job in jobs for verdict in job.value if verdict != "skipped"})
client.close()
"""


def test_under_gevent(registry, sshd):
    """pyinfra patches the whole standard library; the client must not notice."""
    import json  # noqa: PLC0415

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PATCHED],
        input=json.dumps([sshd, registry.port, registry.ca.decode(), "ci", "pässword:with colon"]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == "{'passed'}\n", done.stderr
