import os
import stat
import subprocess

import pytest
import shells
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from inside import SESSION
from regfleet.errors import UsageError
from regfleet.rehearse.docker import Docker
from regfleet.rehearse.images import Images
from regfleet.rehearse.twin import _AUTHORIZE, HostSpec, Twin, TwinHost

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


PROGRAMS = """
systemctl() { echo running; }
docker() { :; }
getent() { echo "$2:x:0:0::$PWD/$2:/bin/sh"; }
chown() { :; }
ip() { [ -z "$ADDRESS" ] || echo "2: eth0    inet $ADDRESS/24 scope global eth0"; }
cut() { case $* in *ssh_host*) command cut -d' ' -f1,2 key.pub ;; *) command cut "$@" ;; esac; }
"""


@pytest.mark.parametrize("shell", shells.parameters())
@pytest.mark.parametrize(
    ("address", "key"), [("10.0.0.2", None), ("10.0.0.2", ""), ("", "ssh-ed25519 K c\n")]
)
def test_a_host_without_an_address_or_a_key_is_not_up_yet(shell, address, key, tmp_path):
    for user in ("root", "ops", "vagrant"):
        (tmp_path / user / ".ssh").mkdir(parents=True)
    found = []
    for is_address, is_key in ((address, key), ("10.0.0.2", "ssh-ed25519 K c\n")):
        if is_key is not None:
            (tmp_path / "key.pub").write_text(is_key)
        found.append(
            subprocess.run(
                [*shells.COMMANDS[shell], "-c", PROGRAMS + _AUTHORIZE],
                input="key", capture_output=True, text=True, check=False, cwd=tmp_path,
                env={**os.environ, "ADDRESS": is_address},
            )
        )  # fmt: skip
    assert found[0].returncode != 0, found[0]
    assert (found[1].returncode, found[1].stdout) == (0, "10.0.0.2 ssh-ed25519 K\n"), found[1]


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
