"""daemon.json: read, written, and merged into by ownership (documents/merge.py). Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import NoReturn, TypeAlias

from regfleet.desired.model import DaemonSettings
from regfleet.documents import merge as merging
from regfleet.documents.interface import NotReadableError
from regfleet.documents.merge import KeyChange
from regfleet.fleet.model import Json
from regfleet.record import Owned

__all__ = ["Document", "KeyChange", "Merged", "NotJsonError", "merge", "parse", "render"]

Document = dict[str, Json]

_PASSWORD = re.compile(r"://[^/@\s]*@")  # a proxy's, say; RFC 3986, 3.2.1: userinfo
_DEEPEST = 64  # no daemon.json nests deeper than a few levels


class NotJsonError(ValueError):
    """The text is not a JSON object; the message says where it stops being one."""


Merged: TypeAlias = "merging.Merged[Document]"


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
    moved: Mapping[str, Json] | None = None,
) -> Merged:
    """Lay `want` over a document, and take out what was ours and is not wanted any more.

    Args:
        document: the parsed file.
        want: what the fleet file asks for; empty to take everything of ours out.
        owned: what this fleet owns on this host.
        others: what other fleets own on this host. What two fleets want belongs to both: it
            stays until the last of them takes it out.
        moved: values that come into the file from elsewhere, and are nobody's but the host's own:
            as if they had stood in it before.

    Raises:
        NotJsonError: a key that has to be a list of strings is something else.
    """
    more = {key: _joined(document.get(key), value) for key, value in (moved or {}).items()}
    try:
        merged = merging.merge(
            {**document, **more},
            want,
            owned.lists,
            owned.values,
            [(each.lists, each.values) for each in others],
            created=owned.daemon_created,
        )
    except NotReadableError as error:
        raise NotJsonError(str(error)) from error
    if not moved:
        return merged
    changes = merging.compare(document, merged.after or {}, want)
    return replace(merged, before=document, changes=changes)


def _joined(there: Json, moved: Json) -> Json:
    if isinstance(there, list) and isinstance(moved, list):
        return [*there, *(each for each in moved if each not in there)]
    return moved


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


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _where(text: str, error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        lines = text.splitlines() or [""]
        line = _PASSWORD.sub("://***@", lines[min(error.lineno, len(lines)) - 1].strip())
        return f"line {error.lineno}, column {error.colno}: {error.msg} (at: {line[:60]})"
    return str(error)
