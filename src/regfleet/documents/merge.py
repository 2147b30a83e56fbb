"""Merging into a document by ownership: ours in and out, everybody else's untouched. Pure.

Works on any mapping: a plain dict by top-level key (daemon.json), a `Document` by path. Merge
then unmerge gives back the same content; keys keep their order, lists theirs.

A list is owned entry by entry, a value as a whole. Tables that had to be made for them are owned
as well, as values `{}`, and go when they are empty again. A secret value is owned by its digest.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from regfleet.desired.model import DaemonSettings
from regfleet.documents.interface import Document, NotReadableError, parts, path, same, shown
from regfleet.fleet.model import Json
from regfleet.record import OwnedList, OwnedValue

D = TypeVar("D", bound=MutableMapping[str, Json])

_SEALED = "sha256"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What happens to one key: `before` and `after` are None where it is absent.

    Attributes:
        secret: neither of the two is to be shown.
    """

    key: str
    before: Json
    after: Json
    reason: str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Ownership:
    """What one fleet owns in one document, by key."""

    lists: Mapping[str, OwnedList] = field(default_factory=dict)
    values: Mapping[str, OwnedValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Merged(Generic[D]):
    """The outcome of a merge.

    Attributes:
        before: the document as it is.
        after: the document as it is to be; None when the file goes (we made it, nothing is left).
        owned_lists, owned_values: the new ownership of the fleet.
        changes: one for each key that differs, in the document's order.
    """

    before: D
    after: D | None
    owned_lists: Mapping[str, OwnedList]
    owned_values: Mapping[str, OwnedValue]
    changes: tuple[KeyChange, ...]


def merge(
    document: D,
    want: DaemonSettings,
    owned_lists: Mapping[str, OwnedList],
    owned_values: Mapping[str, OwnedValue],
    others: Sequence[tuple[Mapping[str, OwnedList], Mapping[str, OwnedValue]]] = (),
    *,
    created: bool = False,
) -> Merged[D]:
    """Lay `want` over a document, and take out what was ours and is not wanted any more.

    Args:
        document: the parsed file; it is not touched.
        want: what the fleet file asks for; empty to take everything of ours out.
        owned_lists, owned_values: what this fleet owns in this file.
        others: what each other fleet owns in it. What two fleets want belongs to both: it stays
            until the last of them takes it out.
        created: the file was made by a fleet, and goes when nothing is left in it.

    Raises:
        NotReadableError: a key that has to be a list of strings is something else, or it cannot
            be edited without changing what others wrote.
    """
    after = copy.copy(document)
    owned = Ownership(owned_lists, owned_values)
    rivals = [Ownership(*each) for each in others]
    lists = {
        key: new
        for key in dict.fromkeys((*owned.lists, *want.lists))
        if (new := _merge_list(after, key, want, owned, rivals))
    }
    values: dict[str, OwnedValue] = {}
    for key in dict.fromkeys((*owned.values, *want.values)):
        if key in want.values:
            value = _set_value(after, key, want.values[key], owned.values.get(key), rivals)
            if value:
                sealed = key in want.secret
                values[key] = replace(value, value=_seal(key, value.value)) if sealed else value
        elif not _is_table(document, owned.values[key]):
            _restore_value(after, key, owned.values[key], rivals)
    if isinstance(document, Document) and isinstance(after, Document):
        tables = _tables(document, [*lists, *values], owned, rivals)
        values |= {table: OwnedValue({}, None, existed=False) for table in tables}
        _prune(after, owned, set(tables).union(*(each.values for each in rivals)))
    secret = want.secret | {key for key, value in owned.values.items() if _is_sealed(value.value)}
    changes = compare(document, after, want, secret)
    gone = created and _is_blank(after)
    return Merged(document, None if gone else after, lists, values, changes)


def compare(
    before: D, after: D, want: DaemonSettings, secret: Collection[str] = ()
) -> tuple[KeyChange, ...]:
    """One change for each key that differs, in the documents' order."""
    return tuple(
        KeyChange(key, before.get(key), after.get(key), _reason(key, want), key in secret)
        for key in dict.fromkeys((*before, *after))
        if _differs(before, after, key)
    )


def _differs(document: D, after: D, key: str) -> bool:
    if (key in document) != (key in after):
        return True
    before, now = document.get(key), after.get(key)
    if isinstance(document, Document) and (before is None or now is None):
        # YAML's null has become a table, or the other way about: what is in it is what differs.
        return not same(before or {}, now or {}) and not isinstance(before or now, dict)
    return not same(before, now)


def _merge_list(
    after: D, key: str, want: DaemonSettings, owned: Ownership, others: Sequence[Ownership]
) -> OwnedList | None:
    current = after.get(key)
    if current is None:
        entries: list[str] = []
    elif isinstance(current, list) and all(isinstance(entry, str) for entry in current):
        entries = [str(entry) for entry in current]
    else:
        line = after.line(key) if isinstance(after, Document) else 0
        raise NotReadableError(f'"{shown(key)}" is not a list of strings', line)
    theirs = [each.lists[key] for each in others if key in each.lists]
    elsewhere = {entry for each in theirs for entry in each.entries}
    existed = all(each.existed for each in theirs) if theirs else key in after
    before = owned.lists.get(key) or OwnedList((), existed)
    wanted = want.lists.get(key, ())
    kept = [
        entry
        for entry in entries
        if entry in wanted or entry not in before.entries or entry in elsewhere
    ]
    added = [entry for entry in wanted if entry not in kept]
    ours = tuple(
        entry for entry in wanted if entry in added or entry in before.entries or entry in elsewhere
    )
    if kept or added or before.existed:
        after[key] = [*kept, *added]
    else:
        after.pop(key, None)
    return OwnedList(ours, before.existed) if ours else None


def _set_value(
    after: D, key: str, value: Json, ours: OwnedValue | None, others: Sequence[Ownership]
) -> OwnedValue | None:
    before = ours or _value_of(others, key)
    if before is None:
        if key in after and same(after[key], value):
            return None  # somebody has said the same by hand: theirs to keep
        before = OwnedValue(value, after.get(key), existed=key in after)
    after[key] = copy.deepcopy(value)
    return OwnedValue(value, before.before, before.existed)


def _restore_value(after: D, key: str, ours: OwnedValue, others: Sequence[Ownership]) -> None:
    if key not in after or not _stands(key, after[key], ours.value):
        return  # changed by hand since: no longer ours
    theirs = _value_of(others, key)
    if theirs and _is_sealed(theirs.value):
        return  # theirs, and what it is we cannot know
    if theirs:
        after[key] = copy.deepcopy(theirs.value)
    elif ours.existed:
        after[key] = copy.deepcopy(ours.before)
    else:
        after.pop(key, None)


def _seal(key: str, value: Json) -> Json:
    """What the record says of a secret value. It stands in the file itself, on the same host."""
    return {_SEALED: hashlib.sha256(json.dumps([key, value]).encode()).hexdigest()}


def _is_sealed(value: Json) -> bool:
    return isinstance(value, dict) and list(value) == [_SEALED]


def _stands(key: str, value: Json, recorded: Json) -> bool:
    return same(_seal(key, value) if _is_sealed(recorded) else value, recorded)


def _value_of(others: Sequence[Ownership], key: str) -> OwnedValue | None:
    return next((each.values[key] for each in others if key in each.values), None)


def _is_table(document: D, value: OwnedValue) -> bool:
    return isinstance(document, Document) and value.value == {} and not value.existed


def _tables(
    document: Document, keys: Sequence[str], owned: Ownership, others: Sequence[Ownership]
) -> list[str]:
    """The tables around our keys that are not written there without us."""
    made = {*owned.values}.union(*(each.values for each in others))
    around = dict.fromkeys(table for key in keys for table in _around(key))
    return [table for table in around if table in made or not document.has_table(table)]


def _prune(after: Document, owned: Ownership, needed: set[str]) -> None:
    left = [
        key for key, value in owned.values.items() if key not in needed and _is_table(after, value)
    ]
    for key in sorted(left, key=lambda key: len(parts(key)), reverse=True):
        after.prune(key)


def _around(key: str) -> Iterator[str]:
    place = parts(key)
    return (path(*place[:end]) for end in range(1, len(place)))


def _is_blank(after: D) -> bool:
    return not after.text().strip() if isinstance(after, Document) else not after


def _reason(key: str, want: DaemonSettings) -> str:
    return want.reasons.get(key, "no longer declared")
