"""A state directory that is encrypted, and comes back with the right passphrase alone."""

import gzip
import io
import os
import tarfile

import pytest

from regfleet import backup_state, state_paths
from regfleet.errors import PasswordError, StateError
from regfleet.secret import Secret
from regfleet.state import StateDirectory

KEY = Secret("correct horse battery staple")
OTHER = Secret("correct horse battery stable")


@pytest.fixture
def state(tmp_path):
    found = StateDirectory(tmp_path / "state")
    found.write(state_paths.CA_KEY, b"the key")
    found.write(state_paths.password("main", "ci"), b"canary-password\n")
    found.write(state_paths.run_entry(1), b"{}")
    found.write(state_paths.run_page(1), b"<html>")
    found.write(state_paths.REPORT, b"<html>")
    os.utime(found.path_of(state_paths.CA_KEY), (1000, 1000))
    return found


def test_it_comes_back(state, tmp_path):
    sealed = backup_state.pack(state, KEY)
    assert b"canary" not in sealed
    files = backup_state.unpack(sealed, KEY)
    new = StateDirectory(tmp_path / "new")
    assert backup_state.write(new, files) == 4
    assert new.read(state_paths.CA_KEY) == b"the key"
    assert new.path_of(state_paths.CA_KEY).stat().st_mtime == 1000
    assert new.path_of(state_paths.CA_KEY).stat().st_mode & 0o777 == 0o600
    assert new.read(state_paths.password("main", "ci")) == b"canary-password\n"
    assert new.read(state_paths.run_page(1)) is None
    assert backup_state.write(new, files) == 0
    assert backup_state.pack(state, KEY) != sealed


def test_what_is_there_stays(state, tmp_path):
    files = backup_state.unpack(backup_state.pack(state, KEY), KEY)
    new = StateDirectory(tmp_path / "new")
    new.write(state_paths.CA_KEY, b"another key")
    with pytest.raises(StateError, match="is another than in the backup"):
        backup_state.write(new, files)
    assert new.read(state_paths.password("main", "ci")) is None


@pytest.mark.parametrize("where", [3, 40, 200, -1])
def test_nothing_of_it_can_be_changed(state, where):
    sealed = bytearray(backup_state.pack(state, KEY))
    sealed[where] ^= 1
    with pytest.raises(StateError):
        backup_state.unpack(bytes(sealed), KEY)


def test_another_passphrase(state):
    with pytest.raises(StateError, match="another passphrase"):
        backup_state.unpack(backup_state.pack(state, KEY), OTHER)


@pytest.mark.parametrize(
    "sealed",
    [
        b"",
        b"{}\n",
        b"[1]\nx",
        b'{"regfleet-state": 1, "scrypt": [9e18, 8, 1], "scrypt-salt": "", "nonce": ""}\nx',
        b'{"regfleet-state": 2, "scrypt": [2, 8, 1], "scrypt-salt": "", "nonce": ""}\nx',
        b'{"regfleet-state": 1, "scrypt": [1073741824, 8, 1], "scrypt-salt": "", "nonce": ""}\nx',
    ],
)
def test_what_is_none(sealed):
    with pytest.raises(StateError, match="not one that regfleet wrote"):
        backup_state.unpack(sealed, KEY)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("../out", tarfile.REGTYPE), ("/out", tarfile.REGTYPE), ("a", tarfile.SYMTYPE)],
)
def test_what_leads_out_is_refused(name, kind):
    """By somebody who has the passphrase."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, "/etc/passwd"
        tar.addfile(entry)
    sealed = backup_state._seal(gzip.compress(plain.getvalue()), KEY)
    with pytest.raises(StateError, match="an entry that regfleet does not write"):
        backup_state.unpack(sealed, KEY)


def test_there_is_nothing(tmp_path):
    with pytest.raises(StateError, match="there is nothing"):
        backup_state.pack(StateDirectory(tmp_path / "none"), KEY)


def test_a_passphrase_that_can_be_guessed():
    backup_state.check_passphrase(KEY, "the passphrase")
    with pytest.raises(PasswordError, match="shorter than 16"):
        backup_state.check_passphrase(Secret("short"), "the passphrase")
