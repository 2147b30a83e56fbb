"""Edits YAML files of others in place: registries.yaml of k3s and RKE2.

Block and flow style are both kept; new values are written in block style, strings in double
quotes, lists indented like existing ones. PyYAML reads YAML 1.1, as k3s's own reader does
(gopkg.in/yaml.v2); `null` in the place of a table is an empty table.
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
    after_comments,
    cut_lines,
    insert_lines,
    line_end,
    line_number,
    line_start,
)
from regfleet.documents.interface import NotReadableError, Parts, parts
from regfleet.documents.yaml_text import quoted
from regfleet.fleet.values import Json

Pair: TypeAlias = "tuple[yaml.ScalarNode, yaml.Node]"

_MOST_NODES = 100_000  # aliases of aliases make a small file a huge tree
_STEP = 2
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9._-]*", re.ASCII)
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"


def parse(text: str | None) -> YamlDocument:
    """A YAML file as a document; an absent file, or one with only comments, is empty.

    Raises:
        NotReadableError: it is not YAML, or its top level is not a table.
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
        if not _has_comment(self._text, _pairs_to(self._text, parts(key))):
            del self[key]

    def _parse_text(self, text: str) -> dict[str, Json]:
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
            raise NotReadableError("the top level is a list or a value, not a table", 1)
        return tree

    def _set_in_text(self, place: Parts, value: Json) -> str:
        text = self._text
        way = _pairs_to(text, place)
        if len(way) < len(place):
            return _add_value(text, way, place[len(way) :], value)
        return _replace_value(text, way, value)

    def _cut_from_text(self, place: Parts) -> str:
        text = self._text
        way = _pairs_to(text, place)
        around = way[-2][1] if len(way) > 1 else _compose(text)
        if not isinstance(around, yaml.MappingNode):
            raise CannotEditError("it is not in a table")
        if around.flow_style:
            return brackets.remove(text, _spans(around), _index_of(around, way[-1]))
        return _cut_line(text, way[-1])


class _Reader:
    """Turns PyYAML's nodes into JSON values; keys are strings as written."""

    def __init__(self) -> None:
        self._scalars = yaml.SafeLoader("")
        self._count = 0

    def value(self, node: yaml.Node) -> Json:
        self._count += 1
        if self._count > _MOST_NODES:
            raise NotReadableError("the file is too large with all its aliases")
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
                raise NotReadableError("a key that is not a string", key.start_mark.line + 1)
            if key.tag == _MERGE:
                for each in inner.value if isinstance(inner, yaml.SequenceNode) else [inner]:
                    value = self.value(each)
                    merged = {**(value if isinstance(value, dict) else {}), **merged}
            elif key.value in table:
                raise NotReadableError(
                    f'the key "{key.value}" occurs twice', key.start_mark.line + 1
                )
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


def _pairs_to(text: str, place: Parts) -> list[Pair]:
    """The pairs along the path to a place, as far as the file has them."""
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
        return [(item.start_mark.index, _node_end(item)) for item in node.value]
    return [
        (key.start_mark.index, max(_node_end(key), _node_end(value))) for key, value in node.value
    ]


def _index_of(node: yaml.MappingNode, pair: Pair) -> int:
    return next(index for index, each in enumerate(node.value) if each[0] is pair[0])


def _node_end(node: yaml.Node) -> int:
    """The end of the last value in a node; PyYAML's end includes comments and blank lines."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        key, value = last if isinstance(last, tuple) else (None, last)
        inner = _node_end(value)
        # An alias is the node that it refers to, which is further up.
        return max(inner, _node_end(key)) if key is not None else inner
    return int(node.end_mark.index)


def _next_line(text: str, position: int) -> int:
    """The start of the line after a node; a block scalar's end is on that line already."""
    while position and text[position - 1] in " \t\r\n":
        position -= 1
    return line_end(text, position)


# ---- a value that is there ----


def _replace_value(text: str, way: Sequence[Pair], value: Json) -> str:
    key, there = way[-1]
    start, end = there.start_mark.index, _node_end(there)
    if isinstance(there, yaml.CollectionNode) and not there.flow_style:
        if isinstance(there, yaml.SequenceNode) and isinstance(value, list) and value:
            return _edit_list(text, there, value)
        # The new value goes on the key's line and replaces the block under it.
        colon = text.index(":", key.end_mark.index) + 1
        behind = line_end(text, colon)
        return f"{text[:colon]} {_render_flow(value)}" + cut_lines(
            text[colon:], behind - colon, _next_line(text, end) - colon
        )
    if isinstance(there, yaml.SequenceNode) and isinstance(value, list):
        return _edit_list(text, there, value)
    if not isinstance(there, yaml.ScalarNode):
        return text[:start] + _render_flow(value) + text[end:]
    written = (
        _render_flow(value) if isinstance(value, dict | list) else _render_scalar(value, there)
    )
    if start == end:
        return f"{text[:start]} {written}{text[end:]}"
    if there.style in {"|", ">"}:
        end = len(text[:end].rstrip())
    return text[:start] + written + text[end:]


def _edit_list(text: str, there: yaml.SequenceNode, new: list[Json]) -> str:
    """Add new items first, while old items are there to take the style from."""
    reader = _Reader()
    stays = brackets.kept([reader.value(item) for item in there.value], new)
    count = len(stays)
    for item in new[sum(stays) :]:
        node = _list_from(text, there.start_mark.index)
        spans = _spans(node)
        if node.flow_style:
            text = brackets.append(text, node.start_mark.index, spans, _render_flow(item))
        else:
            line = f"{' ' * node.start_mark.column}- {_render_flow(item)}"
            below = _next_line(text, spans[-1][1])
            position = after_comments(text, below, column=node.start_mark.column)
            text = insert_lines(text, position, [line])
    for index in reversed(range(count)):
        if stays[index]:
            continue
        node = _list_from(text, there.start_mark.index)
        start, end = _spans(node)[index]
        if node.flow_style:
            text = brackets.remove(text, _spans(node), index)
        else:
            text = cut_lines(text, line_start(text, start), _next_line(text, end))
    return text


def _list_from(text: str, start: int) -> yaml.SequenceNode:
    return next(
        node
        for node in _all_nodes(_compose(text))
        if isinstance(node, yaml.SequenceNode) and node.start_mark.index == start
    )


def _all_nodes(node: yaml.Node | None) -> Iterator[yaml.Node]:
    if node is None:
        return
    yield node
    if isinstance(node, yaml.CollectionNode):
        for item in node.value:
            for inner in item if isinstance(item, tuple) else (item,):
                yield from _all_nodes(inner)


# ---- a value that is new ----


def _add_value(text: str, way: Sequence[Pair], place: Parts, value: Json) -> str:
    for name in reversed(place[1:]):
        value = {name: value}
    name = place[0]
    around = way[-1][1] if way else _compose(text)
    if isinstance(around, yaml.MappingNode) and around.flow_style:
        item = f"{_render_key(name)}: {_render_flow(value)}"
        return brackets.append(text, around.start_mark.index, _spans(around), item)
    if isinstance(around, yaml.MappingNode):
        column = around.start_mark.column
        lines = _render_block(text, name, value, column)
        below = _next_line(text, _node_end(around))
        return insert_lines(text, after_comments(text, below, column=column), lines)
    if around is None or (around.tag == _NULL and not way):
        return insert_lines(text, len(text), _render_block(text, name, value, 0))
    if around.tag != _NULL:
        raise CannotEditError("there is a value in the place of a table")
    start, end = around.start_mark.index, around.end_mark.index
    text = text[:start].rstrip(" ") + text[end:] if end > start else text
    key = way[-1][0]
    lines = _render_block(text, name, value, key.start_mark.column + _table_step(text))
    return insert_lines(text, _position_after_comments(text, key), lines)


def _position_after_comments(text: str, key: yaml.Node) -> int:
    """The position after a key without a value, and after the comments under it."""
    position = line_end(text, key.end_mark.index)
    while position < len(text):
        line = text[position : line_end(text, position)]
        comment = line.lstrip(" ")
        if not comment.startswith("#") or len(line) - len(comment) <= key.start_mark.column:
            break
        position = line_end(text, position)
    return position


def _render_block(text: str, name: str, value: Json, column: int) -> list[str]:
    indent = " " * column
    if isinstance(value, dict) and value:
        lines = [f"{indent}{_render_key(name)}:"]
        for inner, each in value.items():
            lines += _render_block(text, inner, each, column + _table_step(text))
        return lines
    if isinstance(value, list) and value:
        dash = " " * (column + _dash_step(text))
        return [
            f"{indent}{_render_key(name)}:",
            *(f"{dash}- {_render_flow(item)}" for item in value),
        ]
    return [f"{indent}{_render_key(name)}: {_render_flow(value)}"]


def _table_step(text: str) -> int:
    """The indentation that this file adds to a table in a table."""
    for key, value in _block_pairs(text):
        if isinstance(value, yaml.MappingNode):
            return int(value.start_mark.column - key.start_mark.column)
    return _STEP


def _dash_step(text: str) -> int:
    """The indentation that this file adds to a list under its key."""
    for key, value in _block_pairs(text):
        if isinstance(value, yaml.SequenceNode):
            return int(value.start_mark.column - key.start_mark.column)
    return _table_step(text)


def _block_pairs(text: str) -> Iterator[Pair]:
    """Each key with the block collection under it."""
    for node in _all_nodes(_compose(text)):
        if isinstance(node, yaml.MappingNode) and not node.flow_style:
            for key, value in node.value:
                below = value.start_mark.line > key.end_mark.line
                if isinstance(value, yaml.CollectionNode) and not value.flow_style and below:
                    yield key, value


def _render_key(name: str) -> str:
    plain = _PLAIN_KEY.fullmatch(name) and yaml.safe_load(name) == name
    return name if plain else quoted(name)


def _render_scalar(value: Json, like: yaml.ScalarNode) -> str:
    """A scalar in the same quotes as an existing one, if these can hold it."""
    if isinstance(value, str) and like.style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, str) and like.style is None and like.tag.endswith(":str"):
        plain = re.fullmatch(r"[A-Za-z/][A-Za-z0-9./:@_-]*", value, re.ASCII)
        if plain and not value.endswith(":") and yaml.safe_load(value) == value:
            return value
    return _render_flow(value)


def _render_flow(value: Json) -> str:
    """A value on one line, in flow style with double quotes."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{quoted(name)}: {_render_flow(inner)}" for name, inner in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{', '.join(_render_flow(item) for item in value)}]"
    return json.dumps(value)


# ---- a value that goes ----


def _cut_line(text: str, pair: Pair) -> str:
    key, value = pair
    start = line_start(text, key.start_mark.index)
    if text[start : key.start_mark.index].strip():
        raise CannotEditError("it does not start on a line of its own")
    return cut_lines(text, start, _next_line(text, max(_node_end(value), _node_end(key))))


def _has_comment(text: str, way: Sequence[Pair]) -> bool:
    """Whether an empty table has a comment: beside its key, or indented under it."""
    key, value = way[-1]
    start, end = int(key.end_mark.index), int(value.end_mark.index)
    around = [_compose(text), *(each for _, each in way[:-1])]
    if any(isinstance(each, yaml.MappingNode) and each.flow_style for each in around):
        return "#" in text[start:end]
    after = line_end(text, max(start, end - 1))
    if "#" in text[start:after]:
        return True
    line = text[after : line_end(text, after)]
    step = len(line) - len(line.lstrip(" "))
    return line.lstrip(" ").startswith("#") and step > int(key.start_mark.column)
