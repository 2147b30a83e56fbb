"""Where the control socket of a connection is that outlives a run. Quick to import.

Ours (`control_persist`), or the one that the user's OpenSSH configuration names (ControlPath).
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from regfleet.ssh.openssh_kept import kept_file, known
from regfleet.ssh.way import Way

_LONGEST_PATH = 90  # 107 bytes (unix(7)), and OpenSSH appends 17 while it makes the socket


def socket_to_use(way: Way) -> Path | None:
    """The control socket that exists; None if there is none that may be used.

    The user's own is left alone where the fleet file has rules for keys or host keys: that
    connection was made by other rules.
    """
    ssh = way.host.ssh
    declared = ssh.key or ssh.known_hosts or ssh.host_key_checking
    path = socket_to_keep(way) if ssh.control_persist else None if declared else way.control
    return path if path and _is_ours(path) else None


def socket_to_keep(way: Way) -> Path | None:
    """Our control socket; None if its path would be too long.

    It is another one for other settings, files of keys and host keys, or configurations: a changed
    host key file is read at once, not when a connection ends.
    """
    files = (*way.known_hosts, *way.keys, *way.certificates, *filter(None, (way.revoked,)))
    parts = (way, [_version(file) for file in files], known().of)
    path = _directory() / sha256(repr(parts).encode()).hexdigest()[:24]
    return path if len(os.fsencode(path)) <= _LONGEST_PATH else None


def _version(file: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        about = file.stat()
        return about.st_mtime_ns, about.st_size
    return None


def _directory() -> Path:
    """Where sockets are (XDG Base Directory Specification); the first one ends with the login."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    return (Path(base) / "regfleet" if base.startswith("/") else kept_file().parent) / "ssh"


def is_safe(directory: Path) -> bool:
    """Whether nobody else can put files there, as sshd asks of homes (sshd_config(5), StrictModes).

    As root with HOME of an account, the account could change what root's ssh reads and starts.
    """
    with suppress(OSError):
        for path in (directory.absolute(), directory.resolve()):
            for each in (path, *path.parents):
                about = each.stat()
                shared = about.st_mode & 0o022 and not about.st_mode & stat.S_ISVTX
                if shared or not {about.st_uid, each.lstat().st_uid} <= {0, os.geteuid()}:
                    return False
        return True
    return False


def _is_ours(path: Path) -> bool:
    """Whether it is a socket of this account. Who listens there is asked when it is connected."""
    with suppress(OSError):
        about = path.lstat()
        return stat.S_ISSOCK(about.st_mode) and about.st_uid == os.geteuid()
    return False
