"""The job that reads all that a host's registries keep; audit.sh says how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from typing import ClassVar

from regfleet import shell
from regfleet.jobs.collection import Subject
from regfleet.jobs.interface import Answer, Job
from regfleet.model.audit import Audited, BrokenTag

_PROGRAM = "audit.awk"


@dataclass(frozen=True, slots=True)
class Audit(Job[tuple[Audited, ...]]):
    """Compare every blob with its name, and follow every tag to its blobs."""

    subjects: tuple[Subject, ...]

    name: ClassVar[str] = "audit"
    files: ClassVar[tuple[str, ...]] = ("collection.sh", "audit.sh")
    seconds: ClassVar[float] = 24 * 3600  # a disk of terabytes is read to its end

    def functions(self) -> str:
        """The functions, with the program that follows the tags in a variable."""
        return following() + "\n".join(shell.text("regfleet.jobs", name) for name in self.files)

    def steps(self) -> Sequence[tuple[str, ...]]:
        """Two calls for each registry."""
        return [call for each in self.subjects for call in (each.about(), ("audit_run",))]

    def read(self, answers: Sequence[Answer]) -> tuple[Audited, ...]:
        """What was found, in the order of the subjects."""
        return tuple(audited(each.service, answers) for each in self.subjects)


def following(accepts: str = "") -> str:
    """The variables of audit.sh and collection.sh, for jobs that look and collect nothing.

    Args:
        accepts: the types of manifests that a registry is asked for.
    """
    program = shell.text("regfleet.jobs", _PROGRAM)
    given = f"audit_program={quote(program)}\ncollection_marks=\ncollection_ends=\n"
    return f"{given}collection_accepts={quote(accepts)}\n"


def audited(service: str, answers: Sequence[Answer]) -> Audited:
    """What the answers tell of one registry.

    Raises:
        LookupError: nothing.
    """
    its = [each for each in answers if each.fields and each.fields[0] == service]
    whole = next((each for each in reversed(its) if each.key == "audited"), None)
    if whole is None:
        raise LookupError(f"nothing is said of {service}")
    tags, blobs, size, broken, damaged, empty = (whole.number(i) for i in range(1, 7))
    return Audited(
        service=service,
        tags=tags,
        blobs=blobs,
        size=size,
        broken_count=broken,
        damaged_count=damaged,
        empty_count=empty,
        broken=tuple(BrokenTag(*each.fields[1:4]) for each in its if each.key == "broken"),
        damaged=tuple(each.fields[1] for each in its if each.key == "damaged"),
        empty=tuple(each.fields[1] for each in its if each.key == "empty"),
    )
