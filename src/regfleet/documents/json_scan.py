"""Finds the positions of members and items in a JSON text. Pure.

The text must be valid JSON: the scan checks nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_BLANKS = re.compile(r"[ \t\r\n]*")  # RFC 8259, 2: the whitespace of JSON
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r"[^\s,:\[\]{}]+")  # a number, true, false or null

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Node:
    """A value in the text, as a half-open range of positions.

    Attributes:
        kind: the opening bracket of an object or a list; empty for every other value.
        keys: an object's keys, each with its range.
        values: the values of an object's members, or a list's items.
    """

    start: int
    end: int
    kind: str = ""
    keys: tuple[tuple[str, Span], ...] = ()
    values: tuple[Node, ...] = field(default=())

    @property
    def spans(self) -> list[Span]:
        """The range of each member (with its key) or item."""
        if self.kind == "{":
            pairs = zip(self.keys, self.values, strict=True)
            return [(span[0], value.end) for (_, span), value in pairs]
        return [(value.start, value.end) for value in self.values]

    def member(self, name: str) -> Node | None:
        """The value of an object's member; None when it has no such member."""
        names = [key for key, _ in self.keys]
        return self.values[names.index(name)] if name in names else None

    def all(self) -> Iterator[Node]:
        """The value and all values in it, in the order of the text."""
        yield self
        for value in self.values:
            yield from value.all()


def scan(text: str, position: int = 0) -> Node:
    """The value at a position; blanks before it are skipped."""
    start = _after_blanks(text, position)
    opening = text[start]
    if opening == '"':
        return Node(start, _match_end(_STRING, text, start))
    if opening not in "{[":
        return Node(start, _match_end(_WORD, text, start))
    keys: list[tuple[str, Span]] = []
    values: list[Node] = []
    at = _after_blanks(text, start + 1)
    while text[at] not in "}]":
        if opening == "{":
            end = _match_end(_STRING, text, at)
            keys.append((json.loads(text[at:end]), (at, end)))
            at = _after_blanks(text, end) + 1  # behind the colon
        values.append(scan(text, at))
        at = _after_blanks(text, values[-1].end)
        if text[at] == ",":
            at = _after_blanks(text, at + 1)
    return Node(start, at + 1, opening, tuple(keys), tuple(values))


def _after_blanks(text: str, position: int) -> int:
    return _match_end(_BLANKS, text, position)


def _match_end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    if found is None:
        raise ValueError(f"no JSON at position {position}")
    return found.end()
