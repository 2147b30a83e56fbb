"""The state directory beside the fleet file: what regfleet makes once and must keep.

Files are written atomically (temporary file, fsync, rename, fsync of the directory). The first
write creates the directory, so `plan` and `validate` leave no trace. The modules that write the
files (`pki`, `passwords`, `htpasswd`...) define their contents.

These files decide whom every host trusts, so regfleet treats them as untrusted input. It neither
reads nor writes a directory or file that others own, may write to, or reach under another name;
the error names the command that mends it. A file is read up to `MAX_BYTES`.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import secrets
import shlex
import socket
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from regfleet import state_paths
from regfleet.errors import StateError

MAX_BYTES = 16 * 1024 * 1024  # the longest file is htpasswd: a line of 70 bytes for each user
_WRITABLE = 0o022  # by the group or by others
_OWNER_SHOWN = 200  # characters of the lock holder's description of itself

_HINTS = {
    errno.ENOSPC: "free some space, or name another place with --state-dir",
    errno.EDQUOT: "free some space, or name another place with --state-dir",
    errno.EROFS: "name a writable place with --state-dir",
    errno.EACCES: "run as the user who owns it, or name another place with --state-dir",
    errno.EPERM: "run as the user who owns it, or name another place with --state-dir",
    errno.EEXIST: "a file is in the place of a directory; move it away",
    errno.ENOTDIR: "a file is in the place of a directory; move it away",
    errno.EISDIR: "a directory is in the place of a file; move it away",
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
            given: `--state-dir`. Its symlinks are followed, because the user named it. A symlink
                at the default place is refused, because a cloned repository may contain it.
        """
        if given is not None:
            return cls(given.expanduser().resolve())
        return cls(fleet_file.absolute().parent / state_paths.HOME / fleet_name)

    def path_of(self, name: str) -> Path:
        """The path of the file `name` (relative, `/` between its parts), existing or not."""
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            raise StateError(f"{name!r} cannot name a file in the state directory")
        return self.path.joinpath(*parts)

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None when it does not exist.

        Raises:
            StateError: it cannot be read, or others can change it or a directory above it.
        """
        target = self.path_of(name)
        if not self._directory_exists() or not self._check_folders(target):
            return None
        with self._os_errors_as_state_errors("read", target):
            found = _lstat(target)
            if found is None:
                return None
            _refuse_unless_file(target, found)
            # Without O_NONBLOCK, opening a FIFO put there meanwhile would block (open(2)).
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(target, flags), "rb") as file:
                _refuse_unless_file(target, os.fstat(file.fileno()))
                content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise _too_long_error(target)
        return content

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
                "restore it from a backup, or remove it, and regfleet makes a new one",
            ) from error

    def names(self, folder: str) -> tuple[str, ...]:
        """The names of the files in a folder, sorted; none when it does not exist.

        Raises:
            StateError: as `read`.
        """
        if not self._directory_exists():
            return ()
        target = self.path_of(folder)
        if not self._check_folders(target / "any"):
            return ()
        with self._os_errors_as_state_errors("read", target):
            return tuple(sorted(each.name for each in target.iterdir() if each.is_file()))

    def write(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Replace a file, or create it; a crash leaves the old content or the new, never half.

        Raises:
            StateError: full disk, no permission, read-only, or an untrustworthy directory.
        """
        target = self.path_of(name)
        self._create()
        with self._os_errors_as_state_errors("write", target):
            for parent in self._folders(target):
                parent.mkdir(mode=0o700, exist_ok=True)
            self._check_folders(target)
            if (found := _lstat(target)) is not None:
                _refuse_unless_file(target, found, linked=True)  # replaced, so links do no harm
            replace_file(target, data, mode)

    def write_text(self, name: str, text: str, mode: int = 0o600) -> None:
        """As `write`, encoded in UTF-8."""
        self.write(name, text.encode(), mode)

    def remove(self, name: str) -> None:
        """Remove a file, if it exists.

        Raises:
            StateError: it cannot be removed, or the directory cannot be trusted.
        """
        target = self.path_of(name)
        if self._directory_exists() and self._check_folders(target):
            with self._os_errors_as_state_errors("remove", target):
                target.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Lock the fleet for one regfleet at a time; never waits.

        The kernel holds the lock (flock(2)), so it ends with its holder, however that ends. The
        holder describes itself in a file beside it, for the message.

        Args:
            command: the holder's command, for the message: `apply`.

        Raises:
            StateError: another regfleet works on this fleet.
        """
        self._create()
        place = self.path / state_paths.LOCK
        if (found := _lstat(place)) is not None:
            _refuse_unless_file(place, found)
        lock = FileLock(place, timeout=0, mode=0o600)
        with self._os_errors_as_state_errors("lock", self.path):
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
            self.write_text(state_paths.LOCK_OWNER, json.dumps(owner))
            yield
        finally:
            with contextlib.suppress(OSError):
                (self.path / state_paths.LOCK_OWNER).unlink()
            lock.release()

    def _holder(self) -> str:
        """The lock holder's description of itself, for the message."""
        try:
            owner = json.loads(self.read_text(state_paths.LOCK_OWNER) or "")
            said = (
                f"{owner['user']} on {owner['host']}, process {owner['pid']}, "
                f"{owner['command']}, since {owner['started']}"
            )
        except (ValueError, KeyError, TypeError, RecursionError, StateError):
            return "it has only just begun"
        return "".join(each if each.isprintable() else "?" for each in said[:_OWNER_SHOWN])

    def _directory_exists(self) -> bool:
        """Whether the directory exists; refuses one that others could have put there.

        Others may list `.regfleet`, which holds only directories, but not a fleet's directory.
        """
        parent = self.path.parent
        if parent.name == state_paths.HOME and not _check_directory(parent, loose=_WRITABLE):
            return False
        return _check_directory(self.path, loose=_WRITABLE if self._is_empty() else 0o077)

    def _is_empty(self) -> bool:
        """Whether the directory exists and is empty: the user may have just made it."""
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            return next(entries, None) is None
        return False

    def _folders(self, target: Path) -> list[Path]:
        """The directories between the state directory and a file in it, outermost first."""
        return [
            self.path / parent for parent in reversed(target.relative_to(self.path).parents[:-1])
        ]

    def _check_folders(self, target: Path) -> bool:
        return all(_check_directory(folder, loose=_WRITABLE) for folder in self._folders(target))

    def _create(self) -> None:
        """Create the directory if need be, private (0700) and ignored by git."""
        if not self._directory_exists():
            with self._os_errors_as_state_errors("create", self.path):
                self.path.parent.parent.mkdir(parents=True, exist_ok=True)
                if self.path.parent.name == state_paths.HOME:
                    self.path.parent.mkdir(mode=0o700, exist_ok=True)
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory_exists()
        with self._os_errors_as_state_errors("write", self.path):
            if stat.S_IMODE(self.path.stat().st_mode) & 0o077:  # it is empty
                self.path.chmod(0o700)
            ignore = self.path / state_paths.GIT_IGNORE
            if not ignore.exists():
                replace_file(ignore, b"*\n", 0o600)

    @contextlib.contextmanager
    def _os_errors_as_state_errors(self, verb: str, place: Path) -> Iterator[None]:
        with _os_errors_as_state_errors(verb, place):
            yield


class StagedState(StateDirectory):
    """A state directory that holds writes in memory until `keep`.

    A run that ends before it touches a host must not leave a CA or a password that no host knows:
    the next run would use them as the fleet's.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._waiting: dict[str, tuple[bytes, int]] = {}

    def read(self, name: str) -> bytes | None:
        """The content written in memory, else the file's; see `StateDirectory.read`."""
        if name in self._waiting:
            return self._waiting[name][0]
        return super().read(name)

    def names(self, folder: str) -> tuple[str, ...]:
        """The names of the files in a folder, with those written in memory."""
        parts = (name.rpartition("/") for name in self._waiting)
        waiting = {name for place, _, name in parts if place == folder}
        return tuple(sorted({*super().names(folder), *waiting}))

    def write(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Hold a file in memory for `keep`.

        Raises:
            StateError: the name leads out of the directory.
        """
        self.path_of(name)
        self._waiting[name] = (data, mode)

    def new(self) -> frozenset[str]:
        """The names of files in memory that the directory does not have.

        Raises:
            StateError: as `StateDirectory.read`.
        """
        return frozenset(
            name for name in self._waiting if super(StagedState, self).read(name) is None
        )

    def keep(self) -> None:
        """Write all files from memory, in the order of their `write` calls.

        Raises:
            StateError: as `StateDirectory.write`.
        """
        while self._waiting:
            name = next(iter(self._waiting))
            super().write(name, *self._waiting[name])
            del self._waiting[name]


@contextlib.contextmanager
def _os_errors_as_state_errors(verb: str, place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StateError(
            f"cannot {verb} {place}: {reason}", _HINTS.get(error.errno or 0, "")
        ) from error


def _lstat(place: Path) -> os.stat_result | None:
    """The status of a path without following symbolic links; None when it does not exist."""
    try:
        return place.lstat()
    except FileNotFoundError:
        return None


def _check_directory(place: Path, *, loose: int) -> bool:
    """Whether a directory exists.

    Args:
        loose: permission bits that it must not have.

    Raises:
        StateError: the path is not a directory, or others own it or may change it.
    """
    with _os_errors_as_state_errors("read", place):
        found = _lstat(place)
    if found is None:
        return False
    if stat.S_ISLNK(found.st_mode):
        raise _symbolic_link_error(place)
    if not stat.S_ISDIR(found.st_mode):
        raise StateError(f"{place} is not a directory", _HINTS[errno.ENOTDIR])
    _refuse_foreign(place, found, loose)
    return True


def _refuse_unless_file(place: Path, found: os.stat_result, *, linked: bool = False) -> None:
    """Refuse a path that is not a plain file, or that others own or may change.

    The file's mode may allow others to read it: the directory around it is private.

    Args:
        linked: whether it may have other names (hard links).
    """
    if stat.S_ISLNK(found.st_mode):
        raise _symbolic_link_error(place)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
    if not stat.S_ISREG(found.st_mode):
        raise StateError(
            f"{place} is not a plain file (but a pipe, a socket or a device)",
            f"find out who made it, and remove it: rm {shlex.quote(str(place))}",
        )
    _refuse_foreign(place, found, _WRITABLE)
    if found.st_nlink > 1 and not linked:
        name = shlex.quote(str(place))
        raise StateError(
            f"{place} has {found.st_nlink} names (hard links): others can write to it by another",
            f"if its content is yours, replace it by a copy: cp -p {name} {name}.own && "
            f"mv {name}.own {name}",
        )
    if found.st_size > MAX_BYTES:
        raise _too_long_error(place)


def _refuse_foreign(place: Path, found: os.stat_result, loose: int) -> None:
    name = shlex.quote(str(place))
    if found.st_uid != os.geteuid():
        raise StateError(
            f"{place} belongs to user {found.st_uid}, but regfleet runs as user {os.geteuid()}",
            f"run as its owner; or, if its content is yours: sudo chown -R {os.geteuid()} {name}",
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & loose:
        who = "write to" if mode & loose & _WRITABLE else "read"
        bits = "go-w" if loose == _WRITABLE else "go="
        raise StateError(
            f"others may {who} {place} (mode {mode:04o})",
            f"if its content is yours: chmod -R {bits} {name}",
        )


def _symbolic_link_error(place: Path) -> StateError:
    return StateError(
        f"{place} is a symbolic link, which regfleet does not follow",
        "remove it, or copy what it points to (a mounted secret is made of links): "
        f"cp -RL {shlex.quote(str(place))} COPY && chmod -R go= COPY",
    )


def _too_long_error(place: Path) -> StateError:
    return StateError(
        f"{place} is longer than {MAX_BYTES >> 20} MiB: regfleet did not write it",
        "restore it from a backup",
    )


def replace_file(target: Path, data: bytes, mode: int) -> None:
    """Write beside the target, flush to the disk, rename over it, flush the directory.

    Raises:
        OSError: it cannot be written; the target is as it was.
    """
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
