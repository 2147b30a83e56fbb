"""The job that reads all that backups keep; backup_verify.sh says how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from regfleet import shell
from regfleet.jobs.audit import following
from regfleet.jobs.backup import Place
from regfleet.jobs.interface import Answer, Job
from regfleet.model.backups import BadBlob, Verified


@dataclass(frozen=True, slots=True)
class Verification(Job[tuple[Verified, ...]]):
    """Compare every blob that the backups of registries keep with its name.

    Attributes:
        places: where the backups are, one for each registry.
    """

    places: tuple[Place, ...]

    name: ClassVar[str] = "verification"
    files: ClassVar[tuple[str, ...]] = (
        "collection.sh",
        "audit.sh",
        "backup_place.sh",
        "backup_verify.sh",
    )
    seconds: ClassVar[float] = 24 * 3600  # a disk of terabytes is read to its end

    def functions(self) -> str:
        """The functions, with what they need in variables."""
        return following() + "\n".join(shell.text("regfleet.jobs", name) for name in self.files)

    def steps(self) -> Sequence[tuple[str, ...]]:
        """Two calls for each registry."""
        return [
            call
            for each in self.places
            for call in (("verify_of", each.registry, *each.words[:3]), ("verify_run",))
        ]

    def read(self, answers: Sequence[Answer]) -> tuple[Verified, ...]:
        """What was found, in the order of the places."""
        return tuple(_verified(each.registry, answers) for each in self.places)


def _verified(registry: str, answers: Sequence[Answer]) -> Verified:
    its = [each for each in answers if each.fields and each.fields[0] == registry]
    whole = {each.key: each for each in its}["verified"]
    backups, blobs, size, bad = (whole.number(i) for i in range(1, 5))
    return Verified(
        registry=registry,
        backups=backups,
        blobs=blobs,
        size=size,
        bad_count=bad,
        bad=tuple(BadBlob(*each.fields[1:4]) for each in its if each.key == "bad"),
        unreadable=tuple(each.fields[2] for each in its if each.key == "unreadable"),
    )
