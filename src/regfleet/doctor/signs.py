"""What the doctor's program says of a host, parsed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# The end of a line of `df -P`: blocks or inodes in all, used and free, percent, mount point. A
# file system without inodes of its own (btrfs) says `-` or 0 of all.
_DF = re.compile(r"(\d+|-)\s+(\d+|-)\s+(\d+|-)\s+\S+\s+(/.*)$")


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system, by where it is mounted.

    Attributes:
        free: KiB.
        inodes: how many are free, None where it does not count them.
    """

    mount: str
    free: int
    inodes: int | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """What the engine said to a pull of what is not there.

    Attributes:
        status: the command's exit status; 124 (or 143) where it was ended.
    """

    endpoint: str
    account: str
    status: int
    said: str


@dataclass(frozen=True, slots=True)
class Signs:
    """What one host shows, beside the look.

    Attributes:
        disks: the file systems that matter.
        names: addresses by name; none where it is not resolved. Names that could not be asked
            for are not here.
        ports: who listens, by port: `NAME PID`, `?`, or empty for nobody.
        certificates: names of files, by directory.
        tries: a pull for each registry and account.
        offers: images that are not there: what the engine said when asked for them, empty where
            they can be had.
        proxies: `http`, `https` and `no` of the engine.
        stopped: whether an engine that does not run was stopped, and did not fail.
        words: what an engine that does not run said last.
        limited: where Docker Hub has refused a pull for their number: its words.
        states: state and exit code by container.
        last: last words by container that does not run.
        complete: whether the program came to its end.
    """

    disks: tuple[Disk, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ports: Mapping[int, str] = field(default_factory=dict)
    certificates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tries: tuple[Try, ...] = ()
    offers: Mapping[str, str] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    stopped: bool = False
    words: tuple[str, ...] = ()
    limited: str = ""
    states: Mapping[str, str] = field(default_factory=dict)
    last: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False


def parse(lines: Iterable[str]) -> Signs:
    """Signs from the program's lines; those of the look, and what cannot be read, are left out."""
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
        ports={int(port): who for port, who in pairs("port").items() if port.isdigit()},
        certificates=certificates,
        tries=tuple(filter(None, map(_try, of("try")))),
        offers={
            image: rest.partition(" ")[2] or "no answer"
            for image, rest in pairs("offer").items()
            if not rest.startswith("0")
        },
        proxies={kind: value for kind, value in pairs("proxy").items() if value},
        stopped="stopped" in fields,
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
