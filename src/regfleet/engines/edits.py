"""A configuration file that others write too, as an engine's part of a plan. Pure."""

from __future__ import annotations

import copy
import difflib
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from regfleet.documents.interface import Document, NotReadableError, same
from regfleet.documents.merge import Merged, merge
from regfleet.errors import HostError
from regfleet.fleet.values import Json
from regfleet.model.desired import NOT_DECLARED, DesiredHost, WantedSettings
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Action, Activation, Change, EditFile, RemovePath, Step
from regfleet.model.resource import Resource
from regfleet.record import Owned, OwnedEdit

Read = Callable[[str | None], Document]

SECRET_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Edited:
    """What becomes of one file: nothing, or one change and one step.

    Attributes:
        merged: the document before and after.
        owned: the fleet's new ownership in it.
        expected: as in `EnginePlan`.
    """

    merged: Merged
    changes: tuple[Change, ...] = ()
    steps: tuple[Step, ...] = ()
    owned: OwnedEdit = field(default_factory=OwnedEdit)
    expected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Editor:
    """Merges what is wanted into files of one format that the look brought as text.

    Attributes:
        read: the format.
        want, seen, owned, others: as an engine's `plan` has them.
    """

    read: Read
    want: DesiredHost
    seen: ObservedHost
    owned: Owned
    others: Collection[Owned]

    def edit(
        self,
        path: str,
        settings: WantedSettings,
        *,
        at: str = "",
        activation: Activation = "none",
        engine: str = "",
        moved: Mapping[str, Json] | None = None,
    ) -> Edited:
        """What becomes of one file.

        Args:
            path: by which the file is declared and recorded.
            at: where it is, where that is another path.
            settings: what is wanted in it; empty to take everything of ours out.
            activation: what has to be done for the engine to take it up.
            engine: the word of the engine whose WORD_accepts judges the new text; empty for none.
            moved: as in `merge`.

        Raises:
            HostError: the file cannot be read, or not be edited without loss.
        """
        at = at or path
        text = self.seen.texts.get(at)
        mine = self.owned.edits.get(path, OwnedEdit())
        theirs = [each.edits[path] for each in self.others if path in each.edits]
        created = text is None or any(each.created for each in (mine, *theirs))
        merged = self._merge(at, settings, mine, theirs, created=created, moved=moved)
        ours = bool(merged.owned_lists or merged.owned_values)
        after = OwnedEdit(created and ours, merged.owned_lists, merged.owned_values)
        found = self.seen.paths.get(at)
        readable = bool(settings.secret and found and found.mode & 0o077)
        if merged.after is None:
            changed = text is not None
        else:
            changed = merged.after.text() != merged.before.text()
        if not changed and not readable:
            return Edited(merged, owned=after)
        change, step = self._step(at, merged)
        if not changed and found:
            change = replace(change, reason=f"mode {found.mode:04o} is not {SECRET_MODE:04o}")
        if isinstance(step, EditFile):
            mode = SECRET_MODE if settings.secret else step.mode
            foreign = text is not None and not mine and not theirs
            step = replace(step, mode=mode, foreign=foreign, engine=engine)
        digest = "absent" if text is None else hashlib.sha256(text.encode()).hexdigest()
        change = replace(change, activation=activation)
        return Edited(merged, (change,), (step,), after, ((at, digest),))

    def _merge(
        self,
        path: str,
        settings: WantedSettings,
        mine: OwnedEdit,
        theirs: Sequence[OwnedEdit],
        *,
        created: bool,
        moved: Mapping[str, Json] | None,
    ) -> Merged:
        try:
            return merge(
                self.read(self.seen.texts.get(path)),
                settings,
                mine.lists,
                mine.values,
                [(each.lists, each.values) for each in theirs],
                created=created,
                moved=moved,
            )
        except NotReadableError as error:
            raise HostError(
                self.want.name,
                f"{path} cannot be edited: {error}",
                error.hint or "mend the file by hand (it was left as it is), then run this again",
            ) from error

    def _step(self, path: str, merged: Merged) -> tuple[Change, Step]:
        reason = next((each.reason for each in merged.changes), NOT_DECLARED)
        diff = _diff(merged)
        if merged.after is None:
            return Change(Resource("file", path), "delete", reason, diff=diff), RemovePath(path)
        action: Action = "update" if path in self.seen.texts else "create"
        change = Change(Resource("file", path), action, reason, diff=diff)
        ours = merged.owned_lists or merged.owned_values
        if not ours and self._is_as_before(path, merged.after):
            return change, RemovePath(path)  # what stood there before us comes back to the byte
        return change, EditFile(path, merged.after.text())

    def _is_as_before(self, path: str, after: Document) -> bool:
        original = self.seen.originals.get(path)
        try:
            return original is not None and same(self.read(original).tree(), after.tree())
        except NotReadableError:
            return False


def _diff(merged: Merged) -> str:
    """Changed lines alone: those around them may hold what others keep secret."""
    before, after = _shown(merged, merged.before, "was"), _shown(merged, merged.after, "will be")
    lines = list(difflib.unified_diff(before, after, lineterm="", n=0))
    return "\n".join(line for line in lines[2:] if not line.startswith("@@"))


def _shown(merged: Merged, document: Document | None, word: str) -> list[str]:
    if document is None:
        return []
    document = copy.copy(document)
    for change in merged.changes:
        if change.secret and change.key in document:
            document[change.key] = f"(secret, as it {word})"
    return document.text().splitlines()
