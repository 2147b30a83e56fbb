"""Backups of registries' images, as hosts tell of them."""

from __future__ import annotations

from dataclasses import dataclass

from regfleet.model.audit import Audited


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A tag that is in no backup, or was not restored, because it cannot be pulled."""

    repository: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class BackedUp:
    """One backup of a registry, made or foreseen.

    Attributes:
        service: its service on the host.
        number: the backup's; 0 for one that is only foreseen.
        taken: when what it has was listed, in seconds since 1970.
        tags, blobs, size: what it has, and the bytes of the blobs.
        new_blobs, new_size: what of that was copied.
        left_out: the first of the tags that cannot be pulled; `left_out_count` is of all.
        state: the number of the state directory that was kept with it; 0 for none.
        kept, oldest: how many there are now, and when the oldest was made; 0 if only foreseen.
    """

    service: str
    number: int
    taken: int
    tags: int
    blobs: int
    size: int
    new_blobs: int
    new_size: int
    left_out_count: int = 0
    left_out: tuple[LeftOut, ...] = ()
    state: int = 0
    kept: int = 0
    oldest: int = 0


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought into a registry, or would bring.

    Attributes:
        service, number, taken, tags: as in `BackedUp`.
        new_blobs, new_size: what was copied.
        overwritten: tags that were pushed after the backup and have lost that.
        asked: for how many tags the registry itself answered afterwards.
        left_out: tags that the backup could not give whole.
        audited: what an audit of the whole registry found afterwards; None when only foreseen.
    """

    service: str
    number: int
    taken: int
    tags: int
    new_blobs: int
    new_size: int
    overwritten: int
    asked: int
    left_out: tuple[LeftOut, ...] = ()
    audited: Audited | None = None

    @property
    def ok(self) -> bool:
        """Whether everything that the backup has can be pulled now."""
        return not self.left_out and (self.audited is None or self.audited.ok)


@dataclass(frozen=True, slots=True)
class BadBlob:
    """A blob that backups need and cannot give.

    Attributes:
        reason: `damaged` or `missing`.
        backups: the numbers of those that need it, with commas between.
    """

    digest: str
    reason: str
    backups: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found when all that the backups of a registry keep was read.

    Attributes:
        backups: how many there are.
        blobs, size: what was read, and its bytes.
        bad: the first of the blobs that are not as backups need them; `bad_count` is of all.
        unreadable: what is wrong with backups whose own files are damaged.
    """

    registry: str
    backups: int
    blobs: int
    size: int
    bad_count: int
    bad: tuple[BadBlob, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are backups, and every one can give what it has."""
        return self.backups > 0 and not self.bad_count and not self.unreadable


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """A backup as its directory tells of it; None for what cannot be read."""

    number: int
    taken: int | None
    tags: int | None
    blobs: int | None
    size: int | None
    left_out: int | None


@dataclass(frozen=True, slots=True)
class KeptBackups:
    """The backups of one registry.

    Attributes:
        place: their directory on the host.
        backups: the oldest first.
        states: number and time (seconds since 1970) of each state directory kept there.
        error, hint: why nothing is known.
    """

    registry: str
    place: str = ""
    backups: tuple[KeptBackup, ...] = ()
    states: tuple[tuple[int, int], ...] = ()
    error: str = ""
    hint: str = ""
