"""Which directories of a host may hold a registry's images. Pure.

Root creates, mounts and perhaps deletes that directory. The fleet file's check refuses a declared
path by these lists; the touch checks again on the host, after it has resolved symbolic links.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from regfleet.fleet.engine_rules import image_directories

# Refused, with everything above them: directories of the system (hier(7), FHS 3.0) and of
# programs that keep their data there, as engines do. Directories below them are allowed.
_SYSTEM = (
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/tmp",  # noqa: S108 - named to be refused
    "/usr/local",
    "/usr/src",
    "/var/backups",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/kubelet",
    "/var/lib/rpm",
    "/var/lib/systemd",
    "/var/local",
    "/var/lock",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/run",
    "/var/spool",
    "/var/tmp",  # noqa: S108 - as above
)
SYSTEM = tuple(sorted((*_SYSTEM, *image_directories())))
# Refused with everything above and below them: programs, configuration, the kernel's file
# systems, and regfleet's own directory.
WHOLLY = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/lost+found",
    "/proc",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/sbin",
    "/usr/share",
    "/var/lib/regfleet",
)
# Emptied when the host starts (tmpfiles.d(5), hier(7)).
VOLATILE = ("/tmp", "/run", "/var/run")  # noqa: S108 - named to be warned of


def system_directory(path: str) -> str:
    """The system's directory because of which a path is refused; empty when it is allowed.

    Args:
        path: absolute, without `.` and `..`.
    """
    storage = PurePosixPath(_single_slash(path))
    for each in _refusing_directories(storage):
        return each
    return ""


def _refusing_directories(storage: PurePosixPath) -> Iterator[str]:
    for each in (*SYSTEM, *WHOLLY):
        if PurePosixPath(each).is_relative_to(storage):
            yield each
    for each in WHOLLY:
        if storage.is_relative_to(each):
            yield each


def overlaps(one: str, other: str) -> bool:
    """Whether two directories are the same, or one lies in the other."""
    first, second = (PurePosixPath(_single_slash(path)) for path in (one, other))
    return first.is_relative_to(second) or second.is_relative_to(first)


def is_volatile(path: str) -> bool:
    """Whether the host empties that directory when it starts."""
    return any(PurePosixPath(_single_slash(path)).is_relative_to(each) for each in VOLATILE)


def is_in_home(path: str) -> bool:
    """Whether an account other than root owns a directory above this path."""
    return PurePosixPath(_single_slash(path)).is_relative_to("/home")


def _single_slash(path: str) -> str:
    """The path with one leading slash: pathlib keeps `//` (POSIX), Linux treats it as `/`."""
    return "/" + path.lstrip("/")
