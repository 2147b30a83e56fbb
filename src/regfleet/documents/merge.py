"""Merges a fleet's settings into a document, and removes them, by ownership. Pure.

What others wrote stays unchanged. Merge then unmerge restores the document; keys and list entries
keep their order.

A fleet owns a list entry by entry, and a value as a whole. It also owns the tables that it had to
make, recorded as values `{}`, and removes them when they are empty again. Of a secret value the
record holds only the digest.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from regfleet.documents.interface import Document, NotReadableError, parts, path, same, shown
from regfleet.fleet.values import Json
from regfleet.model.desired import NOT_DECLARED, WantedSettings
from regfleet.record import OwnedList, OwnedValue

_SEALED = "sha256"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """The change of one key: `before` or `after` is None when the key is absent.

    Attributes:
        secret: whether neither value may be shown.
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
class Merged:
    """The outcome of a merge.

    Attributes:
        before: the document before the merge.
        after: the document after it; None when the file is removed, because a fleet created it
            and nothing is left in it.
        owned_lists, owned_values: what the fleet owns after the merge.
        changes: the change of each key that differs, in the document's order.
    """

    before: Document
    after: Document | None
    owned_lists: Mapping[str, OwnedList]
    owned_values: Mapping[str, OwnedValue]
    changes: tuple[KeyChange, ...]


def merge(
    document: Document,
    want: WantedSettings,
    owned_lists: Mapping[str, OwnedList],
    owned_values: Mapping[str, OwnedValue],
    others: Sequence[tuple[Mapping[str, OwnedList], Mapping[str, OwnedValue]]] = (),
    *,
    created: bool = False,
    moved: Mapping[str, Json] | None = None,
) -> Merged:
    """Write the wanted settings into a document, and remove owned settings that are not wanted.

    Args:
        document: the parsed file; it is not changed.
        want: the settings that the fleet file asks for; empty to remove all of the fleet's.
        owned_lists, owned_values: what this fleet owns in this file.
        others: what each other fleet owns in it. A setting of several fleets belongs to all of
            them and stays until the last one removes it.
        created: whether a fleet created the file; it is removed when nothing is left in it.
        moved: values of the host's own that move into the file (from dockerd's flags); no fleet
            owns them.

    Raises:
        NotReadableError: a key that must be a list of strings is something else, or cannot be
            edited without changing what others wrote.
    """
    there = copy.copy(document)
    for key, more in (moved or {}).items():
        there[key] = _merge_moved(there.get(key), more)
    after = copy.copy(there)
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
                values[key] = (
                    replace(value, value=_digest_of_secret(key, value.value)) if sealed else value
                )
        elif not _is_table(owned.values[key]):
            _restore_value(after, key, owned.values[key], rivals)
    tables = _tables_to_own(there, [*lists, *values], owned, rivals)
    values |= {table: OwnedValue({}, None, existed=False) for table in tables}
    _prune_tables(after, owned, {*tables, *values}.union(*(each.values for each in rivals)))
    secret = want.secret | {key for key, value in owned.values.items() if _is_sealed(value.value)}
    changes = compare(document, after, want, secret)
    gone = created and after.is_blank()
    return Merged(document, None if gone else after, lists, values, changes)


def compare(
    before: Document, after: Document, want: WantedSettings, secret: Collection[str] = ()
) -> tuple[KeyChange, ...]:
    """One change for each key that differs, in the documents' order."""
    return tuple(
        KeyChange(key, before.get(key), after.get(key), _reason_of(key, want), key in secret)
        for key in dict.fromkeys((*before, *after))
        if _differs(before, after, key)
    )


def _differs(document: Document, after: Document, key: str) -> bool:
    if (key in document) != (key in after):
        return True
    before, now = document.get(key), after.get(key)
    if before is None or now is None:
        # YAML's null has become a table, or the reverse: the keys in the table show the change.
        other = now if before is None else before
        return other is not None and not isinstance(other, dict)
    return not same(before, now)


def _merge_moved(there: Json, moved: Json) -> Json:
    if isinstance(there, list) and isinstance(moved, list):
        return [*there, *(each for each in moved if each not in there)]
    return moved


def _merge_list(
    after: Document, key: str, want: WantedSettings, owned: Ownership, others: Sequence[Ownership]
) -> OwnedList | None:
    current = after.get(key)
    if current is None:
        entries: list[str] = []
    elif isinstance(current, list) and all(isinstance(entry, str) for entry in current):
        entries = [str(entry) for entry in current]
    else:
        raise NotReadableError(f'"{shown(key)}" is not a list of strings', after.line(key))
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
    after: Document, key: str, value: Json, ours: OwnedValue | None, others: Sequence[Ownership]
) -> OwnedValue | None:
    before = ours or _find_owned_value(others, key)
    if before is None:
        if key in after and same(after[key], value):
            return None  # somebody has set the same value by hand: the fleet does not own it
        before = OwnedValue(value, after.get(key), existed=key in after)
    after[key] = copy.deepcopy(value)
    return OwnedValue(value, before.before, before.existed)


def _restore_value(
    after: Document, key: str, ours: OwnedValue, others: Sequence[Ownership]
) -> None:
    if key not in after or not _equals_recorded(key, after[key], ours.value):
        return  # changed by hand since: the fleet no longer owns it
    theirs = _find_owned_value(others, key)
    if theirs and _is_sealed(theirs.value):
        return  # another fleet's secret, whose value the record does not hold
    if theirs:
        after[key] = copy.deepcopy(theirs.value)
    elif ours.existed:
        after[key] = copy.deepcopy(ours.before)
    else:
        after.pop(key, None)


def _digest_of_secret(key: str, value: Json) -> Json:
    """The record's digest of a secret value, which itself is in the file on the same host."""
    return {_SEALED: hashlib.sha256(json.dumps([key, value]).encode()).hexdigest()}


def _is_sealed(value: Json) -> bool:
    return isinstance(value, dict) and list(value) == [_SEALED]


def _equals_recorded(key: str, value: Json, recorded: Json) -> bool:
    return same(_digest_of_secret(key, value) if _is_sealed(recorded) else value, recorded)


def _find_owned_value(others: Sequence[Ownership], key: str) -> OwnedValue | None:
    return next((each.values[key] for each in others if key in each.values), None)


def _is_table(value: OwnedValue) -> bool:
    return value.value == {} and not value.existed


def _tables_to_own(
    document: Document, keys: Sequence[str], owned: Ownership, others: Sequence[Ownership]
) -> list[str]:
    """The tables around the fleet's keys that the file would not have without the fleet."""
    made = {*owned.values}.union(*(each.values for each in others))
    around = dict.fromkeys(table for key in keys for table in _tables_around(key))
    return [table for table in around if table in made or not document.has_table(table)]


def _prune_tables(after: Document, owned: Ownership, needed: set[str]) -> None:
    left = [key for key, value in owned.values.items() if key not in needed and _is_table(value)]
    for key in sorted(left, key=lambda key: len(parts(key)), reverse=True):
        after.prune(key)


def _tables_around(key: str) -> Iterator[str]:
    place = parts(key)
    return (path(*place[:end]) for end in range(1, len(place)))


def _reason_of(key: str, want: WantedSettings) -> str:
    return want.reasons.get(key, NOT_DECLARED)
