r"""Edits JSON files of others in place: Docker's daemon.json.

A new member goes after the last one of its object, a new item after the last one of its list, in
the style of the existing ones. All else keeps its bytes: `1e3`, `\u00e9`, blanks, line ends.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from regfleet.documents.edited import EditedDocument, indentation, line_number, newline
from regfleet.documents.interface import NotReadableError, Parts, parts, same
from regfleet.documents.json_scan import Node, scan
from regfleet.documents.json_words import explained
from regfleet.fleet.values import Json

BOM = "\ufeff"  # RFC 8259, 8.1: a parser may ignore a byte order mark

_PASSWORD = re.compile(r"://[^/@\s]*@")  # as in a proxy's URL; RFC 3986, 3.2.1: userinfo
_LARGEST = 1 << 20  # characters; real files have some thousand
_DEEPEST = 64  # a real daemon.json nests a few levels
_INDENT = "  "  # for a file without indented lines


class NotJsonError(NotReadableError):
    """The text is not a JSON object; the message says where the mistake is."""


def parse(text: str | None) -> JsonDocument:
    """A JSON file as a document; an absent or blank one is an empty object.

    Raises:
        NotJsonError: it is not strict JSON with one object (no comments, trailing commas or
            NaN), or has a value that other programs would read differently.
        NotReadableError: an object has two members of one name, or the file is too large.
    """
    return JsonDocument(text or "")


class JsonDocument(EditedDocument):
    """A JSON file that holds an object; a byte order mark before it stays."""

    def line(self, key: str) -> int:
        """See Document."""
        found, node = 0, _root(self._text)
        for name in parts(key):
            inner = node.member(name) if node else None
            if node is None or inner is None:
                break
            span = next(span for each, span in node.keys if each == name)
            found, node = line_number(self._text, span[0]), inner
        return found

    def has_table(self, key: str) -> bool:
        """See Document."""
        return isinstance(self.get(key), dict)

    def prune(self, key: str) -> None:
        """See Document."""
        if self.get(key) == {}:
            del self[key]

    def is_blank(self) -> bool:
        """See Document; an object without members is blank too."""
        return not self._tree

    def _parse_text(self, text: str) -> dict[str, Json]:
        text = text.removeprefix(BOM)
        if not text.strip():
            return {}
        if len(text) > _LARGEST:
            raise NotReadableError(f"the file is larger than {_LARGEST >> 20} MB")
        try:
            tree = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise NotJsonError(_explain(text, error)) from error
        if not isinstance(tree, dict):
            raise NotJsonError(f"a JSON {type(tree).__name__} where an object belongs")
        _refuse_unwritable(tree)
        _refuse_duplicates(text)
        return tree

    def _set_in_text(self, place: Parts, value: Json) -> str:
        tree = self.tree()
        around = tree
        for name in place[:-1]:
            inner = around.get(name)
            around[name] = inner = inner if isinstance(inner, dict) else {}
            around = inner
        around[place[-1]] = value
        return _rewrite(self._text, tree)

    def _cut_from_text(self, place: Parts) -> str:
        tree = self.tree()
        around: Json = tree
        for name in place[:-1]:
            around = around[name] if isinstance(around, dict) else {}
        if isinstance(around, dict):
            del around[place[-1]]
        return _rewrite(self._text, tree)


def _root(text: str) -> Node | None:
    """The object of a text; None when the text is blank."""
    start = len(BOM) if text.startswith(BOM) else 0
    return scan(text, start) if text[start:].strip() else None


def _rewrite(text: str, tree: dict[str, Json]) -> str:
    """The text for a new tree; unchanged parts are copied from the old text."""
    root = _root(text)
    style = _Style.of(text, root)
    if root is None:
        mark = BOM if text.startswith(BOM) else ""
        return f"{mark}{style.written(tree, '')}{style.newline}"
    return text[: root.start] + _rewrite_value(text, root, tree, style) + text[root.end :]


@dataclass(frozen=True, slots=True)
class _Style:
    """The style of a file, in which new values are written.

    Attributes:
        newline: its line end.
        indent: the indentation of one level.
        colon, comma: the text between a key and its value, and between two items on one line.
        objects, lists: whether objects and lists have a line for each member or item.
    """

    newline: str
    indent: str
    colon: str
    comma: str
    objects: bool
    lists: bool

    @classmethod
    def of(cls, text: str, root: Node | None) -> _Style:
        """The style of a text, taken from its last object and list."""
        if root is None or not root.values:
            return cls(newline(text), _INDENT, ": ", ", ", objects=True, lists=True)
        first = root.spans[0][0]
        whole = "\n" in text[root.start : root.spans[-1][0]]
        colon = text[root.keys[-1][1][1] : root.values[-1].start]
        apart = "\n" in text[root.start : first]
        return cls(
            newline(text),
            (indentation(text, first) if apart else "") or _INDENT,
            colon if "\n" not in colon else ": ",
            ", " if whole or colon != ":" else ",",
            objects=whole and _is_apart(text, root, "{"),
            lists=whole and _is_apart(text, root, "["),
        )

    def written(self, value: Json, indent: str) -> str:
        """The text of a value, on a line of that indentation."""
        inner = indent + self.indent
        if isinstance(value, dict) and value:
            members = [self.member(name, each, inner) for name, each in value.items()]
            return self._rewrite_items("{}", members, indent, apart=self.objects)
        if isinstance(value, list) and value:
            items = [self.written(each, inner) for each in value]
            return self._rewrite_items("[]", items, indent, apart=self.lists)
        return json.dumps(value, ensure_ascii=False)

    def member(self, name: str, value: Json, indent: str) -> str:
        """The text of a key and its value."""
        key = json.dumps(name, ensure_ascii=False)
        return f"{key}{self.colon}{self.written(value, indent)}"

    def _rewrite_items(self, both: str, inside: Sequence[str], indent: str, *, apart: bool) -> str:
        start, between, end = "", self.comma, ""
        if apart:
            end = self.newline + indent
            start = end + self.indent
            between = f",{start}"
        return both[0] + start + between.join(inside) + end + both[1]


def _is_apart(text: str, root: Node, kind: str) -> bool:
    """Whether the last object (or list) below the root has a line for each item; true if none."""
    inside = [node for node in root.all() if node.kind == kind and node.values and node is not root]
    return not inside or "\n" in text[inside[-1].start : inside[-1].spans[0][0]]


def _rewrite_value(text: str, node: Node, value: Json, style: _Style) -> str:
    """The text of a value in the place of an existing one."""
    written = text[node.start : node.end]
    there = json.loads(written)
    if same(there, value):
        return written
    if node.kind == "{" and isinstance(value, dict):
        kept = [
            text[span[0] : old.start] + _rewrite_value(text, old, value[name], style)
            if name in value
            else None
            for (name, span), old in zip(node.keys, node.values, strict=True)
        ]
        names = [name for name in value if name not in there]
        indent = _indent_inside(text, node, style)
        added = [style.member(name, value[name], indent) for name in names]
        return _rewrite_items(text, node, kept, added, style, apart=style.objects)
    if node.kind == "[" and isinstance(value, list):
        at, kept = 0, []
        for old, item in zip(node.values, there, strict=True):
            stays = at < len(value) and same(item, value[at])
            at += stays
            kept.append(text[old.start : old.end] if stays else None)
        indent = _indent_inside(text, node, style)
        added = [style.written(item, indent) for item in value[at:]]
        return _rewrite_items(text, node, kept, added, style, apart=style.lists)
    return style.written(value, indentation(text, node.start))


def _indent_inside(text: str, node: Node, style: _Style) -> str:
    """The indentation of a new member or item, if it gets its own line."""
    if node.values and "\n" in text[node.start : node.spans[-1][0]]:
        return indentation(text, node.spans[-1][0])
    return indentation(text, node.start) + style.indent


def _rewrite_items(
    text: str,
    node: Node,
    kept: Sequence[str | None],
    added: Sequence[str],
    style: _Style,
    *,
    apart: bool,
) -> str:
    """The text of an object or a list after some members or items are removed and others added.

    Each is removed with the comma and the blanks before it, so that removing the last added one
    restores the text before it.

    Args:
        kept: the text of each existing member or item; None for a removed one.
        added: the text of each new one.
        apart: whether an empty object or list gets a line for each.
    """
    spans, opening, closing = node.spans, text[node.start], text[node.end - 1]
    if not spans:
        blank = text[node.start + 1 : node.end - 1]
        own = "\n" in blank or (apart and not blank)
        end = style.newline + indentation(text, node.start) if own else ""
        start = end + style.indent if own else blank
        between = f",{start}" if own else style.comma
        return opening + start + between.join(added) + end + closing
    first, last = text[node.start + 1 : spans[0][0]], text[spans[-1][1] : node.end - 1]
    gaps = ["", *(text[one[1] : other[0]] for one, other in itertools.pairwise(spans))]
    left = [(gap, each) for gap, each in zip(gaps, kept, strict=True) if each is not None]
    left += [(_separator(gaps, first, style), each) for each in added]
    if not left:
        return opening + ("" if last else first) + closing
    rest = "".join(gap + each for gap, each in left[1:])
    return opening + first + left[0][1] + rest + last + closing


def _separator(gaps: Sequence[str], first: str, style: _Style) -> str:
    """The text between the last existing item and a new one after it."""
    before = gaps[-1] if len(gaps) > 1 else first
    if "\n" in before.partition(",")[2] or ("\n" in before and "," not in before):
        return f",{style.newline}{before.rpartition(chr(10))[2]}"  # blank lines are not repeated
    return before if len(gaps) > 1 else style.comma


def _refuse_duplicates(text: str) -> None:
    """Refuse two members of one name: programs differ in which one they use."""

    def pairs(members: list[tuple[str, Json]]) -> None:
        if len({name for name, _ in members}) < len(members):
            raise _DuplicateError

    try:
        json.loads(text, object_pairs_hook=pairs)
    except _DuplicateError:
        pass
    else:
        return
    for node in scan(text).all():
        seen: dict[str, int] = {}
        for name, span in node.keys:
            line = line_number(text, span[0])
            if name in seen:
                raise NotReadableError(
                    f'the key "{name}" occurs twice, first on line {seen[name]}',
                    line,
                    "remove one of the two by hand (the engine uses the last), then run this again",
                )
            seen[name] = line


class _DuplicateError(ValueError):
    pass


def _refuse_unwritable(tree: dict[str, Json]) -> None:
    """Refuse values that Python's parser accepts but that could not be written back."""
    level: list[Json] = [tree]
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
    raise NotJsonError(f"the file nests deeper than {_DEEPEST} levels")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _explain(text: str, error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        number, column, words = explained(text, error)
        lines = text.split("\n")
        line = _PASSWORD.sub("://***@", lines[min(number, len(lines)) - 1].strip())
        return f"line {number}, column {column}: {words} (at: {line[:60]})"
    return str(error)
