"""Merging into daemon.json by ownership: ours in and out, everybody else's untouched. Pure.

Merge then unmerge gives back the same document; keys keep their order, lists theirs.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn

from regfleet.desired.model import DaemonSettings
from regfleet.fleet.model import Json
from regfleet.record import Owned, OwnedList, OwnedValue

Document = dict[str, Json]

_DEEPEST = 64  # no daemon.json nests deeper than a few levels


class NotJsonError(ValueError):
    """The text is not a JSON object; the message says where it stops being one."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What happens to one key of daemon.json: `before` and `after` are None where it is absent."""

    key: str
    before: Json
    after: Json
    reason: str


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a merge.

    Attributes:
        before: the document as it is.
        after: the document as it is to be; None when the file goes (we made it, nothing is left).
        owned_lists, owned_values: the new ownership of the fleet.
        changes: one for each key that differs, in the document's order.
    """

    before: Document
    after: Document | None
    owned_lists: Mapping[str, OwnedList]
    owned_values: Mapping[str, OwnedValue]
    changes: tuple[KeyChange, ...]


def parse(text: str | None) -> Document:
    """A daemon.json as a document; an absent or blank file is an empty one.

    Raises:
        NotJsonError: dockerd would not read it either (encoding/json: no comments, no trailing
            commas, no NaN, one object), or it cannot be written again as it was read.
    """
    if text is None or not text.strip():
        return {}
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(_where(text, error)) from error
    if not isinstance(document, dict):
        raise NotJsonError(f"a JSON {type(document).__name__} where an object belongs")
    _refuse_unwritable(document)
    return document


def render(document: Document, like: str | None = None) -> str:
    """A document as text, indented as `like` is (two spaces where that cannot be told)."""
    indent: int | str = 2
    found = re.search(r'\{[ \t]*\r?\n([ \t]+)"', like or "")
    if found:
        indent = found[1]
    return json.dumps(document, indent=indent, ensure_ascii=False) + "\n"


def merge(
    document: Document,
    want: DaemonSettings,
    owned: Owned,
    others: Collection[Owned] = (),
) -> Merged:
    """Lay `want` over a document, and take out what was ours and is not wanted any more.

    Args:
        document: the parsed file.
        want: what the fleet file asks for; empty to take everything of ours out.
        owned: what this fleet owns on this host.
        others: what other fleets own on this host. What two fleets want belongs to both: it
            stays until the last of them takes it out.

    Raises:
        NotJsonError: a key that has to be a list of strings is something else.
    """
    after = dict(document)
    lists = {
        key: new
        for key in dict.fromkeys((*owned.lists, *want.lists))
        if (new := _merge_list(after, key, want, owned, others))
    }
    values: dict[str, OwnedValue] = {}
    for key in dict.fromkeys((*owned.values, *want.values)):
        if key in want.values:
            value = _set_value(after, key, want.values[key], owned.values.get(key), others)
            if value:
                values[key] = value
        else:
            _restore_value(after, key, owned.values[key], others)
    changes = tuple(
        KeyChange(key, document.get(key), after.get(key), _reason(key, want))
        for key in dict.fromkeys((*document, *after))
        if (key in document) != (key in after) or not _same(document.get(key), after.get(key))
    )
    gone = not after and owned.daemon_created
    return Merged(document, None if gone else after, lists, values, changes)


def _merge_list(
    after: Document, key: str, want: DaemonSettings, owned: Owned, others: Collection[Owned]
) -> OwnedList | None:
    current = after.get(key)
    if current is None:
        entries: list[str] = []
    elif isinstance(current, list) and all(isinstance(entry, str) for entry in current):
        entries = [str(entry) for entry in current]
    else:
        raise NotJsonError(f'"{key}" is not a list of strings')
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
    after: Document, key: str, value: Json, ours: OwnedValue | None, others: Collection[Owned]
) -> OwnedValue | None:
    before = ours or _value_of(others, key)
    if before is None:
        if key in after and _same(after[key], value):
            return None  # somebody has said the same by hand: theirs to keep
        before = OwnedValue(value, after.get(key), existed=key in after)
    after[key] = copy.deepcopy(value)
    return OwnedValue(value, before.before, before.existed)


def _restore_value(after: Document, key: str, ours: OwnedValue, others: Collection[Owned]) -> None:
    if key not in after or not _same(after[key], ours.value):
        return  # changed by hand since: no longer ours
    theirs = _value_of(others, key)
    if theirs:
        after[key] = copy.deepcopy(theirs.value)
    elif ours.existed:
        after[key] = copy.deepcopy(ours.before)
    else:
        after.pop(key, None)


def _value_of(others: Collection[Owned], key: str) -> OwnedValue | None:
    return next((each.values[key] for each in others if key in each.values), None)


def _same(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON; for Python, true is 1 and 1 is 1.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _refuse_unwritable(document: Document) -> None:
    """Refuse what Python's parser lets pass and what could not be written, or copied, again."""
    level: list[Json] = [document]
    for _ in range(_DEEPEST):
        inside: list[Json] = []
        for value in level:
            if isinstance(value, dict):
                inside += [*value, *value.values()]
            elif isinstance(value, list):
                inside += value
            elif isinstance(value, float) and not math.isfinite(value):
                raise NotJsonError("a number that is too large")
            elif isinstance(value, str) and not _encodes(value):
                raise NotJsonError(f"half a surrogate pair in {value!a}")
        if not inside:
            return
        level = inside
    raise NotJsonError(f"it is nested deeper than {_DEEPEST} levels")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(key: str, want: DaemonSettings) -> str:
    return want.reasons.get(key, "no longer declared")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _where(text: str, error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        lines = text.splitlines() or [""]
        line = lines[min(error.lineno, len(lines)) - 1].strip()
        return f"line {error.lineno}, column {error.colno}: {error.msg} (at: {line[:60]})"
    return str(error)
