"""The state directory as one encrypted file, for backups: packed, and unpacked into a new one.

The file is a line of JSON, then the encrypted archive. The key is made from a passphrase by scrypt
(RFC 7914), with the parameters that OWASP's "Password Storage Cheat Sheet" gives for 128 MiB; the
archive is encrypted by AES-256-GCM (NIST SP 800-38D), which also proves that nothing of it, nor of
the line, was changed.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from regfleet import state_paths
from regfleet.errors import PasswordError, StateError
from regfleet.secret import Secret
from regfleet.state import MAX_BYTES, StateDirectory

SHORTEST = 16  # characters of a passphrase: it guards the fleet's CA for years
MOST_BYTES = 32 << 20  # of the encrypted file
_MOST_UNPACKED = 256 << 20
_MOST_FILES = 100_000
_VERSION = 1
_COST = (2**17, 8, 1)  # n, r, p: 128 MiB
_MOST_COST = (2**20, 16, 4)
_LINE = 1024  # bytes
# Of this machine alone, or made anew by the next run.
_LEFT_OUT = frozenset({state_paths.LOCK, state_paths.LOCK_OWNER, state_paths.REPORT})


def check_passphrase(passphrase: Secret, whose: str) -> None:
    """Refuse one that can be guessed.

    Raises:
        PasswordError: it is too short.
    """
    if len(passphrase.reveal()) < SHORTEST:
        raise PasswordError(
            f"{whose} is shorter than {SHORTEST} characters",
            "make one, as in `openssl rand -base64 32`, and keep it apart from the backups",
        )


def pack(state: StateDirectory, passphrase: Secret) -> bytes:
    """The encrypted files of a state directory, without the pages of runs.

    Raises:
        StateError: it does not exist, cannot be read, or is too large.
    """
    archive = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=archive, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        found = 0
        for name in _names(state):
            content = state.read(name)
            if content is not None:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o600
                entry.mtime = state.path_of(name).stat().st_mtime
                tar.addfile(entry, io.BytesIO(content))
                found += 1
    if not found:
        raise StateError(
            f"there is nothing in the state directory {state.path}",
            "run `regfleet apply` first, or name the directory with --state-dir",
        )
    sealed = _seal(archive.getvalue(), passphrase)
    if len(sealed) > MOST_BYTES:
        raise StateError(
            f"the state directory {state.path} is too large for a backup: {len(sealed) >> 20} MiB",
            f"remove old runs from {state.path / state_paths.RUNS}",
        )
    return sealed


def _names(state: StateDirectory) -> Iterator[str]:
    """The files in it, as `StateDirectory` names them."""
    for folder, folders, files in os.walk(state.path):
        folders.sort()
        for file in sorted(files):
            path = Path(folder, file)
            name = path.relative_to(state.path).as_posix()
            page = name.endswith(".html")
            if name not in _LEFT_OUT and not page and stat.S_ISREG(path.lstat().st_mode):
                yield name


def _seal(content: bytes, passphrase: Secret) -> bytes:
    salt, nonce = os.urandom(16), os.urandom(12)
    about = {
        "regfleet-state": _VERSION,
        "packed": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "scrypt": list(_COST),
        "scrypt-salt": base64.b64encode(salt).decode(),
        "nonce": base64.b64encode(nonce).decode(),
    }
    line = json.dumps(about).encode() + b"\n"
    key = _key(passphrase, salt, _COST)
    return line + AESGCM(key).encrypt(nonce, content, line)


def _key(passphrase: Secret, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    n, r, p = cost
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.reveal().encode())


def unpack(sealed: bytes, passphrase: Secret) -> dict[str, tuple[bytes, float]]:
    """Content and time (seconds since 1970) of the files in it, by name.

    Raises:
        StateError: the passphrase is another, or it is damaged or not of regfleet.
    """
    line, _, content = sealed.partition(b"\n")
    try:
        salt, nonce, cost = _about(line)
        packed = AESGCM(_key(passphrase, salt, cost)).decrypt(nonce, content, line + b"\n")
    except InvalidTag:
        raise StateError(
            "the kept state directory cannot be decrypted: it was encrypted with another "
            "passphrase, or is damaged",
            "give the passphrase that was in use when it was kept; --list shows when that was",
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(
            f"the kept state directory is not one that regfleet wrote: {error}"
        ) from None
    try:
        return dict(_unpacked(packed))
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        raise StateError(f"the kept state directory cannot be unpacked: {error}") from None


def _about(line: bytes) -> tuple[bytes, bytes, tuple[int, int, int]]:
    """Salt, nonce and cost of the key.

    Raises:
        ValueError, KeyError, TypeError, RecursionError: it is no line of ours.
    """
    about = json.loads(line[:_LINE])
    n, r, p = (int(each) for each in about["scrypt"])
    given = (about["scrypt-salt"], about["nonce"])
    salt, nonce = (base64.b64decode(each, validate=True) for each in given)
    most = zip((n, r, p), _MOST_COST, strict=True)
    if about["regfleet-state"] != _VERSION or not all(0 < each <= limit for each, limit in most):
        raise ValueError("it is of another version")
    return salt, nonce, (n, r, p)


def _unpacked(packed: bytes) -> Iterator[tuple[str, tuple[bytes, float]]]:
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        plain = file.read(_MOST_UNPACKED + 1)
    if len(plain) > _MOST_UNPACKED:
        raise ValueError("it is too large")
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        for count, entry in enumerate(tar):
            parts = PurePosixPath(entry.name).parts
            if not entry.isreg() or entry.name.startswith("/") or ".." in parts or not parts:
                raise ValueError(
                    f"it has an entry that regfleet does not write: {entry.name[:80]!r}"
                )
            if count >= _MOST_FILES or entry.size > MAX_BYTES:
                raise ValueError("it is too large")
            found = tar.extractfile(entry)
            yield entry.name, (found.read() if found else b"", entry.mtime)


def write(state: StateDirectory, files: dict[str, tuple[bytes, float]]) -> int:
    """Write the files into a state directory that has none of them, or the same ones.

    Returns:
        How many were written.

    Raises:
        StateError: one has another content there; then nothing is written.
    """
    new = []
    for name, (content, when) in files.items():
        there = state.read(name)
        if there is not None and there != content and name != state_paths.GIT_IGNORE:
            raise StateError(
                f"{state.path_of(name)} is there, and is another than in the backup",
                "nothing was written; name an empty directory with --state-dir, or move this away",
            )
        if there is None:
            new.append((name, content, when))
    # The CA last: what begins anew without one ends with all.
    for name, content, when in sorted(new, key=lambda each: each[0] == state_paths.CA_KEY):
        state.write(name, content)
        os.utime(state.path_of(name), (when, when))
    return len(new)
