"""YAML files of others, edited in place: registries.yaml of k3s and RKE2.

Block and flow style are both edited as they are; what is new is written in block style, strings
in double quotes, lists indented like those that are there. YAML is read as PyYAML reads it (1.1,
as k3s's own reader does, gopkg.in/yaml.v2); `null` where a table belongs is an empty table.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import yaml

from regfleet.documents import brackets
from regfleet.documents.edited import (
    CannotEditError,
    EditedDocument,
    cut_lines,
    insert_lines,
    line_end,
    line_number,
    line_start,
)
from regfleet.documents.interface import NotReadableError, Parts, parts
from regfleet.fleet.model import Json

Pair: TypeAlias = "tuple[yaml.ScalarNode, yaml.Node]"

_MOST_NODES = 100_000  # aliases of aliases make a small file a huge tree
_STEP = 2
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9._-]*", re.ASCII)
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"


def parse(text: str | None) -> YamlDocument:
    """A YAML file as a document; an absent one, or one of comments alone, is empty.

    Raises:
        NotReadableError: it is not YAML, or not one table.
    """
    return YamlDocument(text or "")


class YamlDocument(EditedDocument):
    """A YAML file."""

    def line(self, key: str) -> int:
        """See Document."""
        found = 0
        node = _compose(self._text)
        for name in parts(key):
            pair = _pair(node, name)
            if not pair:
                break
            found, node = line_number(self._text, pair[0].start_mark.index), pair[1]
        return found

    def has_table(self, key: str) -> bool:
        """See Document."""
        return key in self

    def prune(self, key: str) -> None:
        """See Document."""
        if self.get(key, 0) not in ({}, None):
            return
        if not _has_comment(self._text, _way(self._text, parts(key))):
            del self[key]

    def _read(self, text: str) -> dict[str, Json]:
        try:
            root = _compose(text)
            tree = _Reader().value(root) if root else {}
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = f"not YAML: {error.problem or error.context}"
            raise NotReadableError(message, mark.line + 1 if mark else 0) from error
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            if isinstance(error, NotReadableError):
                raise
            message = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise NotReadableError(f"not YAML: {message}") from error
        if tree is None:
            return {}
        if not isinstance(tree, dict):
            raise NotReadableError("a list or a value where a table belongs", 1)
        return tree

    def _put(self, place: Parts, value: Json) -> str:
        text = self._text
        way = _way(text, place)
        if len(way) < len(place):
            return _add(text, way, place[len(way) :], value)
        return _replace(text, way, value)

    def _cut(self, place: Parts) -> str:
        text = self._text
        way = _way(text, place)
        around = way[-2][1] if len(way) > 1 else _compose(text)
        if not isinstance(around, yaml.MappingNode):
            raise CannotEditError("there is no table around it")
        if around.flow_style:
            return brackets.remove(text, _spans(around), _index(around, way[-1]))
        return _cut_line(text, way[-1])


class _Reader:
    """From nodes to what JSON has; keys are text, as they are written."""

    def __init__(self) -> None:
        self._scalars = yaml.SafeLoader("")
        self._count = 0

    def value(self, node: yaml.Node) -> Json:
        self._count += 1
        if self._count > _MOST_NODES:
            raise NotReadableError("it is too large, with all its aliases")
        if isinstance(node, yaml.MappingNode):
            return self._table(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        value = self._scalars.construct_object(node) if _is_known(node.tag) else node.value
        return value if isinstance(value, bool | int | str | None) else str(node.value)

    def _table(self, node: yaml.MappingNode) -> dict[str, Json]:
        table: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        for key, inner in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise NotReadableError("a key that is no text", key.start_mark.line + 1)
            if key.tag == _MERGE:
                for each in inner.value if isinstance(inner, yaml.SequenceNode) else [inner]:
                    value = self.value(each)
                    merged = {**(value if isinstance(value, dict) else {}), **merged}
            elif key.value in table:
                raise NotReadableError(f'"{key.value}" stands twice', key.start_mark.line + 1)
            else:
                table[key.value] = self.value(inner)
        return {**merged, **table}


def _is_known(tag: str) -> bool:
    return tag.rpartition(":")[2] in {"bool", "int", "null", "str"}


@functools.lru_cache(maxsize=4)
def _compose(text: str) -> yaml.Node | None:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return node if isinstance(node, yaml.Node) else None


def _pair(node: yaml.Node | None, name: str) -> Pair | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    pairs = (pair for pair in node.value if pair[0].value == name and pair[0].tag != _MERGE)
    return next(pairs, None)


def _way(text: str, place: Parts) -> list[Pair]:
    """The pairs that lead to a place, as far as they are written."""
    way: list[Pair] = []
    node = _compose(text)
    for name in place:
        pair = _pair(node, name)
        if not pair:
            break
        way.append(pair)
        node = pair[1]
    return way


def _spans(node: yaml.MappingNode | yaml.SequenceNode) -> list[brackets.Span]:
    if isinstance(node, yaml.SequenceNode):
        return [(item.start_mark.index, _end(item)) for item in node.value]
    return [(key.start_mark.index, max(_end(key), _end(value))) for key, value in node.value]


def _index(node: yaml.MappingNode, pair: Pair) -> int:
    return next(index for index, each in enumerate(node.value) if each[0] is pair[0])


def _end(node: yaml.Node) -> int:
    """Where the last thing in a node ends; that of PyYAML lies behind comments and blank lines."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        key, value = last if isinstance(last, tuple) else (None, last)
        inner = _end(value)
        # An alias is the node that it stands for, somewhere above.
        return max(inner, _end(key)) if key is not None else inner
    return int(node.end_mark.index)


def _line_behind(text: str, position: int) -> int:
    """Where the line after a node's end starts; a block scalar's end is on that line already."""
    while position and text[position - 1] in " \t\r\n":
        position -= 1
    return line_end(text, position)


# ---- a value that is there ----


def _replace(text: str, way: Sequence[Pair], value: Json) -> str:
    key, there = way[-1]
    start, end = there.start_mark.index, _end(there)
    if isinstance(there, yaml.CollectionNode) and not there.flow_style:
        if isinstance(there, yaml.SequenceNode) and isinstance(value, list) and value:
            return _edit_list(text, there, value)
        # On the key's line; what was written in block style under it goes.
        colon = text.index(":", key.end_mark.index) + 1
        behind = line_end(text, colon)
        return f"{text[:colon]} {_flow(value)}" + cut_lines(
            text[colon:], behind - colon, _line_behind(text, end) - colon
        )
    if isinstance(there, yaml.SequenceNode) and isinstance(value, list):
        return _edit_list(text, there, value)
    if not isinstance(there, yaml.ScalarNode):
        return text[:start] + _flow(value) + text[end:]
    written = _flow(value) if isinstance(value, dict | list) else _scalar(value, there)
    if start == end:
        return f"{text[:start]} {written}{text[end:]}"
    if there.style in {"|", ">"}:
        end = len(text[:end].rstrip())
    return text[:start] + written + text[end:]


def _edit_list(text: str, there: yaml.SequenceNode, new: list[Json]) -> str:
    """New items first, while there still are neighbours to be written like."""
    reader = _Reader()
    stays = brackets.kept([reader.value(item) for item in there.value], new)
    count = len(stays)
    for item in new[sum(stays) :]:
        node = _list_from(text, there.start_mark.index)
        spans = _spans(node)
        if node.flow_style:
            text = brackets.append(text, node.start_mark.index, spans, _flow(item))
        else:
            line = f"{' ' * node.start_mark.column}- {_flow(item)}"
            text = insert_lines(text, _line_behind(text, spans[-1][1]), [line])
    for index in reversed(range(count)):
        if stays[index]:
            continue
        node = _list_from(text, there.start_mark.index)
        start, end = _spans(node)[index]
        if node.flow_style:
            text = brackets.remove(text, _spans(node), index)
        else:
            text = cut_lines(text, line_start(text, start), _line_behind(text, end))
    return text


def _list_from(text: str, start: int) -> yaml.SequenceNode:
    return next(
        node
        for node in _all(_compose(text))
        if isinstance(node, yaml.SequenceNode) and node.start_mark.index == start
    )


def _all(node: yaml.Node | None) -> Iterator[yaml.Node]:
    if node is None:
        return
    yield node
    if isinstance(node, yaml.CollectionNode):
        for item in node.value:
            for inner in item if isinstance(item, tuple) else (item,):
                yield from _all(inner)


# ---- a value that is new ----


def _add(text: str, way: Sequence[Pair], place: Parts, value: Json) -> str:
    for name in reversed(place[1:]):
        value = {name: value}
    name = place[0]
    around = way[-1][1] if way else _compose(text)
    if isinstance(around, yaml.MappingNode) and around.flow_style:
        item = f"{_key(name)}: {_flow(value)}"
        return brackets.append(text, around.start_mark.index, _spans(around), item)
    if isinstance(around, yaml.MappingNode):
        column = around.start_mark.column
        lines = _block(text, name, value, column)
        return insert_lines(text, _line_behind(text, _end(around)), lines)
    if around is None or (around.tag == _NULL and not way):
        return insert_lines(text, len(text), _block(text, name, value, 0))
    if around.tag != _NULL:
        raise CannotEditError("there is a value where a table belongs")
    start, end = around.start_mark.index, around.end_mark.index
    text = text[:start].rstrip(" ") + text[end:] if end > start else text
    key = way[-1][0]
    lines = _block(text, name, value, key.start_mark.column + _step(text))
    return insert_lines(text, _behind_comments(text, key), lines)


def _behind_comments(text: str, key: yaml.Node) -> int:
    """Behind a key without a value, and the comments in its place: they are no part of ours."""
    position = line_end(text, key.end_mark.index)
    while position < len(text):
        line = text[position : line_end(text, position)]
        comment = line.lstrip(" ")
        if not comment.startswith("#") or len(line) - len(comment) <= key.start_mark.column:
            break
        position = line_end(text, position)
    return position


def _block(text: str, name: str, value: Json, column: int) -> list[str]:
    indent = " " * column
    if isinstance(value, dict) and value:
        lines = [f"{indent}{_key(name)}:"]
        for inner, each in value.items():
            lines += _block(text, inner, each, column + _step(text))
        return lines
    if isinstance(value, list) and value:
        dash = " " * (column + _dash_step(text))
        return [f"{indent}{_key(name)}:", *(f"{dash}- {_flow(item)}" for item in value)]
    return [f"{indent}{_key(name)}: {_flow(value)}"]


def _step(text: str) -> int:
    """How much further a table in a table is indented in this file."""
    for key, value in _block_pairs(text):
        if isinstance(value, yaml.MappingNode):
            return int(value.start_mark.column - key.start_mark.column)
    return _STEP


def _dash_step(text: str) -> int:
    """How much further than its key a list is indented in this file."""
    for key, value in _block_pairs(text):
        if isinstance(value, yaml.SequenceNode):
            return int(value.start_mark.column - key.start_mark.column)
    return _step(text)


def _block_pairs(text: str) -> Iterator[Pair]:
    """Keys with what is written in block style under them."""
    for node in _all(_compose(text)):
        if isinstance(node, yaml.MappingNode) and not node.flow_style:
            for key, value in node.value:
                below = value.start_mark.line > key.end_mark.line
                if isinstance(value, yaml.CollectionNode) and not value.flow_style and below:
                    yield key, value


def _key(name: str) -> str:
    plain = _PLAIN_KEY.fullmatch(name) and yaml.safe_load(name) == name
    return name if plain else _quoted(name)


def _scalar(value: Json, like: yaml.ScalarNode) -> str:
    """A scalar in the quotes of another, where it can be written so."""
    if isinstance(value, str) and like.style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, str) and like.style is None and like.tag.endswith(":str"):
        plain = re.fullmatch(r"[A-Za-z/][A-Za-z0-9./:@_-]*", value, re.ASCII)
        if plain and not value.endswith(":") and yaml.safe_load(value) == value:
            return value
    return _flow(value)


def _flow(value: Json) -> str:
    """A value on one line: YAML's flow style, strings in double quotes."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_quoted(name)}: {_flow(inner)}" for name, inner in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flow(item) for item in value)}]"
    return json.dumps(value)


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


# ---- a value that goes ----


def _cut_line(text: str, pair: Pair) -> str:
    key, value = pair
    start = line_start(text, key.start_mark.index)
    if text[start : key.start_mark.index].strip():
        raise CannotEditError("it does not start a line")
    return cut_lines(text, start, _line_behind(text, max(_end(value), _end(key))))


def _has_comment(text: str, way: Sequence[Pair]) -> bool:
    """Whether an empty table has a comment: beside its key, or under it and further in."""
    key, value = way[-1]
    start, end = int(key.end_mark.index), int(value.end_mark.index)
    if any(isinstance(each, yaml.MappingNode) and each.flow_style for _, each in way[:-1]):
        return "#" in text[start:end]
    after = line_end(text, max(start, end - 1))
    if "#" in text[start:after]:
        return True
    line = text[after : line_end(text, after)]
    step = len(line) - len(line.lstrip(" "))
    return line.lstrip(" ").startswith("#") and step > int(key.start_mark.column)
