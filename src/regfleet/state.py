"""The state directory: what regfleet makes once and must keep, beside the fleet file.

Files are written whole or not at all (temporary file, fsync, rename, fsync of the directory)
and the directory comes into being with the first write, so that `plan` and `validate` leave no
trace. What the files mean is their writers' business: `pki`, `passwords`, `htpasswd`.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from regfleet.errors import StateError

_HINTS = {
    errno.ENOSPC: "free some space, or name another place with --state-dir",
    errno.EDQUOT: "free some space, or name another place with --state-dir",
    errno.EROFS: "name a writable place with --state-dir",
    errno.EACCES: "run as the user who owns it, or name another place with --state-dir",
    errno.EPERM: "run as the user who owns it, or name another place with --state-dir",
    errno.EEXIST: "something that is no directory stands there; move it away",
    errno.ENOTDIR: "something that is no directory stands there; move it away",
    errno.EISDIR: "a directory stands where a file should be; move it away",
    errno.ENAMETOOLONG: "a name in the fleet file is too long for a file name",
}


class StateDirectory:
    """A directory of small private files, read and replaced whole.

    Attributes:
        path: the directory, absolute. It need not exist before the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symlinks

    @classmethod
    def beside(cls, fleet_file: Path, fleet_name: str, given: Path | None = None) -> StateDirectory:
        """The state directory of a fleet.

        Args:
            fleet_file: the fleet file's path.
            fleet_name: the fleet's name.
            given: `--state-dir`. Its symlinks are followed, as the user named it; a symlink at
                the default place is refused, since it may have come with somebody's repository.
        """
        if given is not None:
            return cls(given.expanduser().resolve())
        return cls(fleet_file.absolute().parent / ".regfleet" / fleet_name)

    def path_of(self, name: str) -> Path:
        """Where the file `name` (relative, `/` between its parts) is or would be."""
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            raise StateError(f"{name!r} cannot name a file in the state directory")
        return self.path.joinpath(*parts)

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None where it does not exist.

        Raises:
            StateError: it exists and cannot be read, or the directory cannot be trusted.
        """
        target = self.path_of(name)
        if not self._check():
            return None
        with self._explained("read", target):
            self._refuse_symlinks(target)
            try:
                return target.read_bytes()
            except FileNotFoundError:
                return None

    def read_text(self, name: str) -> str | None:
        """As `read`, decoded from UTF-8."""
        content = self.read(name)
        if content is None:
            return None
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise StateError(
                f"{self.path_of(name)} is not the text that regfleet wrote: {error}",
                "restore it from a backup, or remove it to have it made anew",
            ) from error

    def names(self, folder: str) -> tuple[str, ...]:
        """The files in a folder, sorted; none where it is not there.

        Raises:
            StateError: as `read`.
        """
        if not self._check():
            return ()
        target = self.path_of(folder)
        self._refuse_symlinks(target)
        with self._explained("read", target):
            if not target.is_dir():
                return ()
            return tuple(sorted(each.name for each in target.iterdir() if each.is_file()))

    def write(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Replace a file, or create it; a crash leaves the old content or the new, never half.

        Raises:
            StateError: full disk, no permission, read-only, or an untrustworthy directory.
        """
        target = self.path_of(name)
        self._create()
        with self._explained("write", target):
            self._refuse_symlinks(target)
            for parent in reversed(target.relative_to(self.path).parents[:-1]):
                (self.path / parent).mkdir(mode=0o700, exist_ok=True)
            _replace(target, data, mode)

    def write_text(self, name: str, text: str, mode: int = 0o600) -> None:
        """As `write`, encoded in UTF-8."""
        self.write(name, text.encode(), mode)

    @contextlib.contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Hold the fleet for one regfleet at a time; never waits.

        The lock is the kernel's (flock(2)), so it goes with its holder, however that dies. Who
        holds it is written beside it for the sake of the message.

        Args:
            command: what the holder is doing, to be told to the next one: `apply`.

        Raises:
            StateError: another regfleet works on this fleet.
        """
        self._create()
        lock = FileLock(self.path / "lock", timeout=0, mode=0o600)
        with self._explained("lock", self.path):
            try:
                lock.acquire()
            except Timeout:
                raise StateError(
                    f"another regfleet works on this fleet: {self._holder()}",
                    "wait until it has finished, or end that process",
                ) from None
        try:
            owner = {
                "user": _user(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "command": command,
                "started": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC"),
            }
            self.write_text("lock.owner", json.dumps(owner))
            yield
        finally:
            with contextlib.suppress(OSError):
                (self.path / "lock.owner").unlink()
            lock.release()

    def _holder(self) -> str:
        """Who holds the lock, as far as it is written; it may be a moment too early to know."""
        try:
            owner = json.loads(self.read_text("lock.owner") or "")
            return (
                f"{owner['user']} on {owner['host']}, process {owner['pid']}, "
                f"{owner['command']}, since {owner['started']}"
            )
        except (ValueError, KeyError, TypeError, StateError):
            return "it has only just begun"

    def _check(self) -> bool:
        """Whether the directory exists; refuses one that somebody else could have laid there."""
        places = (self.path.parent, self.path) if self.path.parent.name == ".regfleet" else ()
        for place in places or (self.path,):
            with self._explained("read", place):
                try:
                    found = place.lstat()
                except FileNotFoundError:
                    return False
            if stat.S_ISLNK(found.st_mode):
                raise StateError(
                    f"{place} is a symbolic link; secrets are not written through it",
                    "name the directory that it points to with --state-dir, or remove the link",
                )
            if not stat.S_ISDIR(found.st_mode):
                raise StateError(f"{place} is not a directory", _HINTS[errno.ENOTDIR])
            if found.st_uid != os.geteuid():
                raise StateError(
                    f"{place} belongs to user {found.st_uid}, and regfleet runs as user "
                    f"{os.geteuid()}",
                    "run as its owner, chown it, or name another place with --state-dir",
                )
        return True

    def _create(self) -> None:
        """Have the directory there, private (0700) and ignored by git."""
        if not self._check():
            with self._explained("create", self.path):
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check()
        with self._explained("write", self.path):
            if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
                self.path.chmod(0o700)
            if not (self.path / ".gitignore").exists():
                _replace(self.path / ".gitignore", b"*\n", 0o600)

    def _refuse_symlinks(self, target: Path) -> None:
        for part in (target, *target.parents):
            if part == self.path:
                return
            if part.is_symlink():
                raise StateError(f"{part} is a symbolic link", "remove it and run again")

    @contextlib.contextmanager
    def _explained(self, verb: str, place: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise StateError(
                f"cannot {verb} {place}: {reason}", _HINTS.get(error.errno or 0, "")
            ) from error


def _replace(target: Path, data: bytes, mode: int) -> None:
    """Write beside the target, flush to the disk, rename over it, flush the directory."""
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name; OSError from Python 3.13 on
        return f"user {os.geteuid()}"
