"""The job that restores a backup into a registry; restore.sh says how."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from regfleet import shell
from regfleet.jobs.audit import audited, following
from regfleet.jobs.backup import Place, left_out
from regfleet.jobs.collection import Subject
from regfleet.jobs.interface import Answer, Job
from regfleet.model.backups import Restored
from regfleet.registry_api.answers import MANIFEST_TYPES


@dataclass(frozen=True, slots=True)
class RestoreJob(Job[Restored]):
    """Bring what a backup has into a registry, and audit that.

    Attributes:
        subject: the registry on its host.
        place: where the backups are kept.
        number: the backup's; 0 for the newest.
        overwrite: whether tags that were pushed after the backup give way.
        foresee: whether only to look.
    """

    subject: Subject
    place: Place
    number: int = 0
    overwrite: bool = False
    foresee: bool = False

    name: ClassVar[str] = "restore"
    files: ClassVar[tuple[str, ...]] = (
        "collection.sh",
        "audit.sh",
        "backup_place.sh",
        "restore.sh",
    )
    seconds: ClassVar[float] = 24 * 3600

    def functions(self) -> str:
        """The functions, with what they need in variables."""
        texts = (shell.text("regfleet.jobs", name) for name in self.files)
        return following(", ".join(MANIFEST_TYPES)) + "\n".join(texts)

    def steps(self) -> Sequence[tuple[str, ...]]:
        """The calls: which registry, from where, and the restore with its audit."""
        calls = [self.subject.about()]
        if self.subject.login:
            encoded = base64.b64encode(self.subject.login.reveal().encode()).decode()
            calls.append(("collection_as", encoded))
        calls.append(("restore_from", *self.place.words, str(self.number)))
        newer = "yes" if self.overwrite else "no"
        if self.foresee:
            return [*calls, ("restore_foresee", newer)]
        return [*calls, ("restore_run", newer), ("audit_run",)]

    def read(self, answers: Sequence[Answer]) -> Restored:
        """What was restored."""
        service = self.subject.service
        done = {each.key: each for each in answers}["restored"]
        number, taken, tags, new_blobs, new_size, overwritten, asked = (
            done.number(i) for i in range(1, 8)
        )
        return Restored(
            service=service,
            number=number,
            taken=taken,
            tags=tags,
            new_blobs=new_blobs,
            new_size=new_size,
            overwritten=overwritten,
            asked=asked,
            left_out=left_out(service, answers),
            audited=None if self.foresee else audited(service, answers),
        )
