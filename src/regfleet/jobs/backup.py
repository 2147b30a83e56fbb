"""The job that backs up a host's registries; backup.sh says how. And questions about backups."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import ClassVar

from regfleet import shell
from regfleet.jobs.audit import following
from regfleet.jobs.interface import Answer, Job
from regfleet.model.backups import (
    BackedUp,
    KeptBackup,
    KeptBackups,
    LeftOut,
)
from regfleet.shell import frame

_LONGEST = 18  # digits


@dataclass(frozen=True, slots=True)
class Place:
    """Where the backups of a registry are kept: TO/FLEET/REGISTRY.

    Attributes:
        mounted: whether another file system has to be mounted at `to`.
    """

    to: str
    mounted: bool
    fleet: str
    registry: str

    @property
    def words(self) -> tuple[str, ...]:
        """The words by which the shell functions know it."""
        return (self.to, "yes" if self.mounted else "no", self.fleet, self.registry)


@dataclass(frozen=True, slots=True)
class BackupSubject:
    """A registry that is backed up.

    Attributes:
        service, kind: its service on the host, and how that is run.
        storage: the directory of its images on the host.
        keep: how many backups stay.
        state: the encrypted state directory to keep with it; None for none.
    """

    service: str
    kind: str
    storage: str
    place: Place
    keep: int
    state: bytes | None = field(default=None, repr=False)

    def steps(self, *, foresee: bool) -> Iterator[tuple[str, ...]]:
        """The calls for this registry.

        Args:
            foresee: whether only to look.
        """
        about = (self.service, self.kind, self.storage, *self.place.words)
        yield ("backup_of", *about)
        if foresee:
            yield ("backup_foresee",)
            return
        yield ("backup_run", str(self.keep))
        if self.state is not None:
            encoded = base64.b64encode(self.state).decode()
            yield ("backup_state", str(self.keep), encoded)


@dataclass(frozen=True, slots=True)
class BackupJob(Job[tuple[BackedUp, ...]]):
    """Back up registries, one after another.

    Attributes:
        foresee: whether only to look what a backup would copy.
    """

    subjects: tuple[BackupSubject, ...]
    foresee: bool = False

    name: ClassVar[str] = "backup"
    files: ClassVar[tuple[str, ...]] = (
        "collection.sh",
        "audit.sh",
        "backup_place.sh",
        "backup.sh",
    )
    seconds: ClassVar[float] = 24 * 3600  # the first one copies all

    def functions(self) -> str:
        """The functions, with the program that follows tags in a variable."""
        return following() + "\n".join(shell.text("regfleet.jobs", name) for name in self.files)

    def steps(self) -> Sequence[tuple[str, ...]]:
        """A few calls for each registry."""
        return [call for each in self.subjects for call in each.steps(foresee=self.foresee)]

    def read(self, answers: Sequence[Answer]) -> tuple[BackedUp, ...]:
        """What was backed up, in the order of the subjects."""
        return tuple(_backed_up(each.service, answers) for each in self.subjects)


def left_out(service: str, answers: Iterable[Answer]) -> tuple[LeftOut, ...]:
    """The tags of a registry that were left out."""
    found = (each.fields for each in answers if each.key == "left-out")
    return tuple(LeftOut(*fields[1:4]) for fields in found if fields[0] == service)


def _backed_up(service: str, answers: Sequence[Answer]) -> BackedUp:
    its = [each for each in answers if each.fields and each.fields[0] == service]
    said = {each.key: each for each in its}
    done = said["backed-up"]
    number, taken, tags, blobs, size, new_blobs, new_size = (done.number(i) for i in range(1, 8))
    return BackedUp(
        service=service,
        number=number,
        taken=taken,
        tags=tags,
        blobs=blobs,
        size=size,
        new_blobs=new_blobs,
        new_size=new_size,
        left_out_count=said["whole"].number(1) if "whole" in said else 0,
        left_out=left_out(service, its),
        state=said["state"].number(1) if "state" in said else 0,
        kept=said["kept"].number(1) if "kept" in said else 0,
        oldest=said["kept"].number(2) if "kept" in said else 0,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST else None


# ---- questions, which need no lock ----


def render_list(places: Sequence[Place], mark: str) -> str:
    """The program that lists the backups at places (see `parse_list`)."""
    return _asking(mark, "backup_listed", places)


def render_state(place: Place, mark: str) -> str:
    """The program that gives the newest state directory at a place (see `parse_state`)."""
    return _asking(mark, "backup_state_given", (place,))


def _asking(mark: str, function: str, places: Sequence[Place]) -> str:
    names = ("backup_place.sh", "backup_list.sh")
    functions = "\n".join(shell.text("regfleet.jobs", name) for name in names)
    calls = "\n".join(
        " ".join((function, *map(quote, (each.registry, *each.words[:3])))) for each in places
    )
    return f"LC_ALL=C\nexport LC_ALL\n{functions}\n{frame.around(mark, calls)}"


def parse_list(lines: Iterable[str], mark: str) -> dict[str, KeptBackups] | None:
    """The backups by registry; None if the answer did not come to its end."""
    answer = frame.framed(lines, mark)
    if not answer.ended:
        return None
    said: dict[str, dict[str, list[list[str]]]] = {}
    for line in answer.lines:
        key, *words = line.rstrip("\n").removeprefix("@").split(" ")
        if words:
            said.setdefault(words[0], {}).setdefault(key, []).append(words[1:])
    return {name: _kept(name, each) for name, each in said.items()}


def _kept(name: str, said: Mapping[str, list[list[str]]]) -> KeptBackups:
    def words(key: str) -> str:
        return " ".join(said[key][0]) if key in said else ""

    backups = [
        KeptBackup(number, *map(_number, rest))
        for first, *rest in said.get("backup", ())
        if (number := _number(first)) is not None and len(rest) == 5  # noqa: PLR2004 - its fields
    ]
    states = [
        (number, when)
        for first, second, *_ in (each for each in said.get("state", ()) if len(each) > 1)
        if (number := _number(first)) is not None and (when := _number(second)) is not None
    ]
    return KeptBackups(
        name,
        words("place"),
        tuple(backups),
        tuple(sorted(states)),
        words("error"),
        words("hint"),
    )


def parse_state(lines: Iterable[str], mark: str) -> tuple[KeptBackups, bytes] | None:
    """What a place told, and the encrypted state directory; empty if it has none. None as above.

    Raises:
        ValueError: what came is not base64.
    """
    lines = list(lines)
    found = parse_list([line for line in lines if not line.startswith("@data ")], mark)
    if found is None:
        return None
    encoded = "".join(line[6:].strip() for line in lines if line.startswith("@data "))
    data = base64.b64decode(encoded, validate=True)
    return next(iter(found.values()), KeptBackups("")), data
