"""Parse the output of the doctor's program on a host. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# The end of a line of `df -P`: total, used and free blocks or inodes, percent, mount point. A
# file system without fixed inodes (btrfs) prints `-` or 0.
_DF = re.compile(r"(\d+|-)\s+(\d+|-)\s+(\d+|-)\s+\S+\s+(/.*)$")


@dataclass(frozen=True, slots=True)
class Disk:
    """A mounted file system.

    Attributes:
        free: KiB.
        inodes: the number of free inodes; None if it has no fixed number.
    """

    mount: str
    free: int
    inodes: int | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """The engine's answer to a pull of an image that does not exist.

    Attributes:
        status: the command's exit status; 124 (or 143) after a timeout.
    """

    endpoint: str
    account: str
    status: int
    said: str


@dataclass(frozen=True, slots=True)
class Signs:
    """The doctor's facts of one host, in addition to the look.

    Attributes:
        disks: the file systems of the relevant directories.
        names: addresses by name, empty if it does not resolve. Names that could not be looked up
            are left out.
        ports: the listener by address and port: `NAME PID`, `?` if unknown, empty for none.
        certificates: names of files, by directory.
        tries: a pull for each registry and account.
        offers: images that the engine cannot pull, with its message.
        proxies: `http`, `https` and `no` of the engine.
        unreached: proxies that accept no connection, HOST:PORT, with what was said.
        stopped: whether an engine that is down was stopped, and did not fail.
        starting: whether systemd is starting the engine.
        words: the last log lines of an engine that is down, or does not answer.
        limited: Docker Hub's message that refused a pull by its rate limit, or empty.
        states: state and exit code by container.
        last: the last log line of each container that does not run.
        complete: whether the program finished.
    """

    disks: tuple[Disk, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tries: tuple[Try, ...] = ()
    offers: Mapping[str, str] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    unreached: Mapping[str, str] = field(default_factory=dict)
    stopped: bool = False
    starting: bool = False
    words: tuple[str, ...] = ()
    limited: str = ""
    states: Mapping[str, str] = field(default_factory=dict)
    last: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False


def parse(lines: Iterable[str]) -> Signs:
    """Parse the program's framed lines; lines of the look and unreadable lines are ignored."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("@"):
            key, _, rest = line[1:].partition(" ")
            fields.setdefault(key, []).append(rest.strip())

    def pairs(key: str) -> dict[str, str]:
        return {first: rest for first, _, rest in (each.partition(" ") for each in of(key))}

    def of(key: str) -> list[str]:
        return fields.get(key, [])

    certificates: dict[str, tuple[str, ...]] = {}
    for directory, _, name in (each.partition(" ") for each in of("cert")):
        certificates[directory] = (*certificates.get(directory, ()), name)
    return Signs(
        disks=_disks(of("disk"), of("inodes")),
        names={name: tuple(found.split()) for name, found in pairs("name").items()},
        ports=pairs("listener"),
        certificates=certificates,
        tries=tuple(filter(None, map(_try, of("try")))),
        offers={
            image: rest.partition(" ")[2] or "no answer"
            for image, rest in pairs("offer").items()
            if not rest.startswith("0")
        },
        proxies={kind: value for kind, value in pairs("proxy").items() if value},
        unreached={
            place: rest.partition(" ")[2]
            for place, rest in pairs("reaches").items()
            if rest.startswith("no")
        },
        stopped="stopped" in fields,
        starting="starting" in fields,
        words=tuple(of("word")),
        limited=next(iter(of("limited")), ""),
        states=pairs("state"),
        last=pairs("last"),
        complete="examined" in fields,
    )


def _disks(space: Iterable[str], inodes: Iterable[str]) -> tuple[Disk, ...]:
    found: dict[str, Disk] = {}
    for line in space:
        match = _DF.search(line)
        if match and match[3].isdigit() and match[1] not in ("-", "0"):
            found[match[4]] = Disk(match[4], int(match[3]))
    for line in inodes:
        match = _DF.search(line)
        if match and match[3].isdigit() and match[1] not in ("-", "0") and match[4] in found:
            found[match[4]] = Disk(match[4], found[match[4]].free, int(match[3]))
    return tuple(found.values())


def _try(value: str) -> Try | None:
    words = value.split(" ", 3)
    if len(words) < 3 or not words[2].isdigit():  # noqa: PLR2004 - ENDPOINT ACCOUNT STATUS [SAID]
        return None
    return Try(words[0], words[1], int(words[2]), words[3] if len(words) > 3 else "")  # noqa: PLR2004
