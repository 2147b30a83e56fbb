"""What stands in for paramiko's and pyinfra's own classes answers as they do."""

import socket

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyinfra.api import Config, State
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.sshuserclient.client import get_host_keys

from regfleet.run import ssh

OPENSSH = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
KEYS = [
    key.public_key().public_bytes(*OPENSSH).decode()
    for key in (
        Ed25519PrivateKey.generate(),
        Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
    )
]
HOSTS = ["a.example", "192.0.2.1", "[a.example]:2222", "[2001:db8::1]:22", "b"]
STRANGE = [
    "", "# a.example " + KEYS[0], "a.example", "a.example ssh-ed25519",
    "a.example ssh-new AAAA", "*.example " + KEYS[0],
]  # fmt: skip


def told(keys, name):
    """All that connecting asks of known_hosts: the types in their order, and each key."""
    found = keys.get(name)
    return found and list(dict.fromkeys((kind, found[kind].asbytes()) for kind in found.keys()))  # noqa: SIM118


lines = st.one_of(
    st.builds(
        lambda names, key, hashed: (
            f"{','.join(map(paramiko.HostKeys.hash_host, names) if hashed else names)} {key} x"
        ),
        st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3),
        st.sampled_from(KEYS),
        st.booleans(),
    ),
    st.sampled_from(STRANGE),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=8))
def test_known_hosts_are_what_paramiko_finds_there(tmp_path, text):
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{line}\n" for line in text))
    ours, theirs = ssh.KnownHosts(str(file)), paramiko.HostKeys(str(file))
    for name in [*HOSTS, "nobody", "a.example:2222", "x.example"]:
        assert told(ours, name) == told(theirs, name)
        assert told(ours, name) == told(theirs, name)  # asked again


@pytest.mark.parametrize(
    "bad",
    [
        "a.example ssh-ed25519 %%%%",
        "|1|x|y ssh-ed25519 AAAA",
        "|1| a b",
        "@revoked c ssh-ed25519 A",
    ],
)
def test_a_line_that_cannot_be_read_hides_no_other(tmp_path, bad):
    """With paramiko's own it did: pyinfra went on without all lines behind it."""
    file = tmp_path / "known_hosts"
    file.write_text(f"{bad}\nb {KEYS[0]}\n")
    assert told(ssh.KnownHosts(str(file)), "b")
    ssh.use()
    assert told(get_host_keys((str(file),)), "b")


def test_several_files_are_one(tmp_path):
    (tmp_path / "one").write_text(f"a {KEYS[0]}\n")
    (tmp_path / "two").write_text(f"a {KEYS[2]}\nb {KEYS[1]}\n")
    keys = ssh.KnownHosts(str(tmp_path / "one"))
    assert told(keys, "b") is None
    keys.load(str(tmp_path / "two"))
    assert [kind for kind, _ in told(keys, "a")] == ["ssh-ed25519", "ecdsa-sha2-nistp256"]
    assert told(keys, "b")
    with pytest.raises(OSError, match="none"):
        keys.load(str(tmp_path / "none"))


def test_authenticated_ciphers_first_and_none_lost():
    ours, theirs = ssh.Transport._preferred_ciphers, paramiko.Transport._preferred_ciphers
    assert sorted(ours) == sorted(theirs)
    assert "gcm" in ours[0]


def test_packets_are_sent_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = socket.create_connection(server.getsockname())
        transport = ssh.Transport(sock, gss_kex=False, gss_deleg_creds=True)
        try:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        finally:
            transport.close()
            sock.close()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ssh.Transport(ours)


def test_hosts_are_reached_over_ssh_or_here():
    data = {"x": {"ssh_port": 22}, "@local": {}}
    inventory = ssh.Inventory((list(data.items()), {}))
    state = State(inventory, Config())
    assert list(inventory) == list(state.inventory.hosts.values())
    kinds = {host.name: host.connector_cls for host in inventory}
    assert kinds == {"x": SSHConnector, "@local": LocalConnector}
    assert inventory.get_host("x").data.ssh_port == 22
    assert inventory.get_host("x").connector.state is state
    assert "x" in inventory.get_host("x").print_prefix
