"""The public halves of keys, which say whether an agent has them."""

import subprocess

import paramiko
import pytest
from making import host

from regfleet.ssh.login import Login, public_half
from regfleet.ssh.way import way


def made(file, *options):
    subprocess.run(["ssh-keygen", "-q", "-f", file, *options], check=True, stdin=subprocess.DEVNULL)
    return paramiko.PublicBlob.from_file(f"{file}.pub").key_blob


KINDS = pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])


@KINDS
def test_a_passphrase_does_not_hide_the_public_half(tmp_path, kind):
    public = made(tmp_path / "key", "-t", kind, "-N", "secret")
    assert public_half(tmp_path / "key") == public
    (tmp_path / "key.pub").rename(tmp_path / "public")
    public_half.cache_clear()
    assert public_half(tmp_path / "key") == public
    assert public_half(tmp_path / "public") == public


@pytest.mark.parametrize(
    "content",
    ["", "nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END", "a b c", "\0"],
)
def test_what_is_no_key_has_none(tmp_path, content):
    (tmp_path / "key").write_text(content)
    assert public_half(tmp_path / "key") is None
    assert public_half(tmp_path / "none") is None


class Refusing:
    """A transport that takes no key and counts them; it ends after some."""

    def __init__(self, most):
        self.most = most
        self.offered = []

    def auth_publickey(self, user, key):
        self.offered.append((user, key.get_name()))
        raise paramiko.AuthenticationException

    def is_active(self):
        return len(self.offered) < self.most


def test_keys_of_files_are_offered_once_in_the_files_order(tmp_path, home):
    files = []
    for kind in ("rsa", "ed25519", "ecdsa"):
        files.append(tmp_path / kind)
        made(files[-1], "-t", kind, "-N", "")
    made(tmp_path / "locked", "-t", "ed25519", "-N", "x")
    answer = {"identityfile": tuple(map(str, [*files, tmp_path / "locked", home / "none"]))}
    login = Login(way(host(), answer))
    transport = Refusing(2)
    with pytest.raises(paramiko.AuthenticationException):
        login.authenticate(transport)
    assert transport.offered == [("ops", "ssh-rsa"), ("ops", "ssh-ed25519")]
    transport = Refusing(9)
    with pytest.raises(paramiko.AuthenticationException, match="locked has a passphrase, and no"):
        login.authenticate(transport)
    assert transport.offered == [("ops", "ecdsa-sha2-nistp256")]
