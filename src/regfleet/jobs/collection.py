"""The job that collects the garbage of a host's registries; collection.sh says how."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import ClassVar

from regfleet import shell
from regfleet.jobs.interface import Answer, Job
from regfleet.model.collections import Collected
from regfleet.registry_api.answers import MANIFEST_TYPES
from regfleet.secret import Secret

_MARKS, _ENDS = "collection_mark.awk", "collection_end.sh"
USUAL_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Meeting:
    """The hosts of a registry that is collected, which all only read meanwhile.

    Attributes:
        token: of this collection alone.
        me: the host of the job.
        collector: the host that collects.
        others: the other ones.
    """

    token: str
    me: str
    collector: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """A registry whose garbage is collected.

    Attributes:
        service, kind: its service on the host, and how that is run.
        where: ADDRESS:PORT at which its own host reaches it.
        probe: what it is asked there, as the touch takes it.
        config: the path of its configuration on the host.
        storage: the directory of its data on the host.
        program: the words that call the registry's program where it runs.
        inside: the path of its configuration there.
        login: NAME:PASSWORD of one of its users; None if it has none, or none is known here.
        minutes: how old manifests without a tag have to be.
        without: lines of REPOSITORY TAG in base64: tags that count as deleted, to look alone.
        meeting: where other hosts run it, too; None where none does, or only to look.
    """

    service: str
    kind: str
    where: str
    probe: str
    config: str
    storage: str
    program: tuple[str, ...]
    inside: str
    login: Secret | None = field(default=None, repr=False)
    minutes: int = USUAL_MINUTES
    without: str = ""
    meeting: Meeting | None = None

    @property
    def collects(self) -> bool:
        """Whether its job collects, and does not only hold it for another host."""
        return self.meeting is None or self.meeting.me == self.meeting.collector

    def about(self) -> tuple[str, ...]:
        """The call that says which registry it is."""
        about = (self.service, self.kind, self.where, self.probe, self.config, self.storage)
        return ("collection_of", *about, self.inside, *self.program, "garbage-collect")

    def steps(self, *, foresee: bool) -> list[tuple[str, ...]]:
        """The calls for this registry.

        Args:
            foresee: whether only to look.
        """
        calls = [self.about()]
        if self.login:
            encoded = base64.b64encode(self.login.reveal().encode()).decode()
            calls.append(("collection_as", encoded))
        if self.without and foresee:
            calls.append(("collection_as_if", self.without))
        meeting = self.meeting
        if meeting and meeting.me != meeting.collector:
            return [*calls, ("collection_hold", meeting.token, meeting.me, meeting.collector)]
        if meeting and not foresee:
            calls.append(("collection_leads", meeting.token, meeting.me, *meeting.others))
        calls.append(("collection_foresee" if foresee else "collection_run", str(self.minutes)))
        return calls


@dataclass(frozen=True, slots=True)
class Collection(Job[tuple[Collected, ...]]):
    """Collect the garbage of registries, one after another; or hold one for the host that does.

    Attributes:
        foresee: whether only to look what a collection would delete.
    """

    subjects: tuple[Subject, ...]
    foresee: bool = False

    name: ClassVar[str] = "collection"
    files: ClassVar[tuple[str, ...]] = ("collection.sh", "collection_hosts.sh")
    # It reads every manifest and deletes thousands of files: of a large registry that takes hours.
    seconds: ClassVar[float] = 6 * 3600

    def functions(self) -> str:
        """The functions, with the texts of other programs in variables."""
        marks = shell.text("regfleet.jobs", _MARKS)
        ends = base64.b64encode(shell.text("regfleet.jobs", _ENDS).encode()).decode()
        texts = {"marks": marks, "ends": ends, "accepts": ", ".join(MANIFEST_TYPES)}
        given = "".join(f"collection_{name}={quote(text)}\n" for name, text in texts.items())
        return given + "\n".join(shell.text("regfleet.jobs", name) for name in self.files)

    def steps(self) -> Sequence[tuple[str, ...]]:
        """A few calls for each registry."""
        return [call for each in self.subjects for call in each.steps(foresee=self.foresee)]

    def read(self, answers: Sequence[Answer]) -> tuple[Collected, ...]:
        """What was collected, in the order of the subjects."""
        found = {
            each.fields[0]: Collected(each.fields[0], *(each.number(i) for i in range(1, 8)))
            for each in answers
            if each.key == "collected"
        }
        its = (each for each in self.subjects if each.collects)
        return tuple(found[each.service] for each in its)
