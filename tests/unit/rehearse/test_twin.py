import stat

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from inside import SESSION
from regfleet.errors import UsageError
from regfleet.rehearse.docker import Docker
from regfleet.rehearse.images import Images
from regfleet.rehearse.twin import HostSpec, Twin, TwinHost

DOCKER = Docker("unix:///nowhere.sock")


@pytest.fixture
def twin(tmp_path):
    made = Twin("test", Images(DOCKER, tmp_path / "images"), tmp_path / "twin")
    made._ensure_key()
    return made


def test_the_key_is_private_and_stays(twin):
    assert stat.S_IMODE(twin.key.stat().st_mode) == 0o600
    before = twin.key.read_bytes()
    load_ssh_private_key(before, None)
    twin._ensure_key()
    assert twin.key.read_bytes() == before


def test_known_hosts_are_plain_and_go_by_name_and_address(twin):
    for number, name in enumerate(("reg1", "client1"), start=2):
        address, key = f"10.0.0.{number}", f"ssh-ed25519 KEY{number}"
        twin.hosts[name] = TwinHost(HostSpec(name), DOCKER, f"c-{name}", address, key)
    twin._write_ssh_files()
    assert twin.known_hosts.read_text() == (
        "reg1,10.0.0.2 ssh-ed25519 KEY2\nclient1,10.0.0.3 ssh-ed25519 KEY3\n"
    )
    assert "Host client1\n    HostName 10.0.0.3\n" in twin.ssh_config.read_text()


def test_sessions_in_the_log():
    log = """\
Accepted publickey for root from 10.0.0.1 port 1 ssh2: ED25519 SHA256:x
Starting session: command for root from 10.0.0.1 port 1 id 0
Close session: user root from 10.0.0.1 port 1 id 0
Starting session: subsystem 'sftp' for ops from 10.0.0.1 port 2 id 0
Starting session: shell on pts/0 for ops from 10.0.0.1 port 3 id 0
"""
    assert SESSION.findall(log) == ["command", "subsystem 'sftp'", "shell"]


def test_an_unknown_variant_is_a_usage_error(twin):
    with pytest.raises(UsageError, match="no host variant 'dcoker'") as caught:
        twin.images.host("bookworm", "dcoker")
    assert "sysv" in caught.value.hint
