"""pyinfra's inventory and paramiko's connection, with less around them."""

import socket
from dataclasses import replace

import paramiko
import pytest
from making import host
from pyinfra.api import Config, State
from pyinfra.connectors.local import LocalConnector

from regfleet.fleet.machines import LOCAL
from regfleet.ssh import client
from regfleet.ssh.login import TooManyKeysError
from regfleet.ssh.transport import Transport
from regfleet.ssh.way import way

PLACE = host("x")


def test_authenticated_ciphers_first_and_none_lost():
    one, other = socket.socketpair()
    with one, other:
        ours = Transport(one).get_security_options().ciphers
        theirs = paramiko.Transport(other).get_security_options().ciphers
    assert sorted(ours) == sorted(theirs)
    assert "gcm" in ours[0]


def test_packets_are_sent_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = socket.create_connection(server.getsockname())
        transport = Transport(sock, gss_kex=False, gss_deleg_creds=True)
        try:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        finally:
            transport.close()
            sock.close()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Transport(ours)


def test_a_connection_wakes_up_seldom():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Transport(ours)
        assert ours.gettimeout() > 1


def test_hosts_are_reached_over_ssh_or_here():
    inventory = client.inventory({"x": PLACE, LOCAL: replace(PLACE, name=LOCAL)})
    state = State()
    state.init(inventory, Config())
    assert [each.name for each in state.inventory] == ["x", LOCAL]
    kinds = {each.name: each.connector_cls for each in inventory}
    assert kinds == {"x": client.SessionConnector, LOCAL: LocalConnector}
    found = inventory.get_host("x")
    assert found.connector.state is state
    assert "x" in found.print_prefix


@pytest.fixture
def connector(tmp_path):
    inventory = client.inventory({"x": PLACE})
    state = State()
    state.init(inventory, Config())
    found = inventory.get_host("x").connector
    found.way = way(host("x", known_hosts=tmp_path / "known", port=2222), {})
    return found


def test_what_a_connection_is_made_of(connector, monkeypatch):
    given = []

    def connect(_, *place, **arguments):
        given.append((place, arguments))

    monkeypatch.setattr(paramiko.SSHClient, "connect", connect)
    connector.begun = begun = object()
    connector.connect()
    connector.connect()
    (place, first), (_, again) = given
    assert place == ("x", 2222, "ops")
    assert first["timeout"] == 10
    assert first["sock"] is begun
    assert again["sock"] is None  # it is used up
    assert again["transport_factory"] == connector.client.transport


def test_a_connection_that_a_host_ended_after_some_keys_is_made_again(connector, monkeypatch):
    """MaxAuthTries of sshd_config(5): the remaining keys go into another connection."""
    strategies = []

    def connect(*_, auth_strategy, **__):
        strategies.append(auth_strategy)
        if len(strategies) < 3:
            raise TooManyKeysError

    monkeypatch.setattr(paramiko.SSHClient, "connect", connect)
    connector.connect()
    assert len(strategies) == 3
    assert len(set(map(id, strategies))) == 1
    strategies.clear()

    def never(*_, **__):
        strategies.append(1)
        raise TooManyKeysError

    monkeypatch.setattr(paramiko.SSHClient, "connect", never)
    with pytest.raises(TooManyKeysError):
        connector.connect()
    assert len(strategies) == 20
