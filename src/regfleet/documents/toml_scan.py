"""Finds the positions of headers, keys, values and items in a TOML text.

The scan checks nothing: it relies on tomli having accepted the text (https://toml.io/en/v1.0.0).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import tomli

from regfleet.documents.interface import Parts

_BLANK = re.compile(r"(?:[ \t]|\r?\n|#[^\n]*)*")
_SPACES = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'''""" (?:\\.|[^\\])*? "{3,5} | \'\'\' .*? \'{3,5} | " (?:\\.|[^"\\\n])* " | ' [^'\n]* ' ''',
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(r""""(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+""")
_BARE_VALUE = re.compile(r"[^,\]}#\r\n]+")


@dataclass(frozen=True, slots=True)
class Value:
    """A value: its range, and the items or pairs between its brackets."""

    start: int
    end: int
    kind: Literal["plain", "array", "table"]
    items: Sequence[Value] = ()
    pairs: Sequence[Pair] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """`key = value`: its start, its whole path, and the names of the path written here."""

    start: int
    place: Parts
    names: Parts
    value: Value


@dataclass(slots=True)
class Section:
    """A header and the pairs after it; the first section of a file has no header.

    Attributes:
        place: the path in its header.
        kind: "list" for `[[place]]`.
        start, header_end: the header's range; both 0 in the first section.
        listed: whether it is in a list of tables, so that no path leads to it.
    """

    place: Parts
    kind: Literal["root", "table", "list"]
    start: int
    header_end: int
    listed: bool
    pairs: list[Pair] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The end of its last pair; comments after that are not part of it."""
        return self.pairs[-1].value.end if self.pairs else self.header_end


@functools.lru_cache(maxsize=4)
def scan(text: str) -> tuple[Section, ...]:
    """The sections of a TOML text, in its order."""
    sections = [Section((), "root", 0, 0, listed=False)]
    lists: set[Parts] = set()
    at = _skip_blank(text, 0)
    while at < len(text):
        if text[at] != "[":
            pair = _parse_pair(text, at, sections[-1].place)
            sections[-1].pairs.append(pair)
            at = _skip_blank(text, pair.value.end)
            continue
        double = text.startswith("[[", at)
        place, end = _parse_key(text, at + (2 if double else 1))
        end += 2 if double else 1
        if double:
            lists.add(place)
        listed = any(place[:length] in lists for length in range(1, len(place) + 1))
        sections.append(Section(place, "list" if double else "table", at, end, listed))
        at = _skip_blank(text, end)
    return tuple(sections)


def _parse_pair(text: str, at: int, around: Parts) -> Pair:
    names, end = _parse_key(text, at)
    place = around + names
    return Pair(at, place, names, _parse_value(text, _skip_spaces(text, end + 1), place))


def _parse_key(text: str, at: int) -> tuple[Parts, int]:
    """A dotted key, and the position of the character after it."""
    names: list[str] = []
    at = _skip_spaces(text, at)
    while part := _PART.match(text, at):
        names.append(_unquote(part[0]))
        at = _skip_spaces(text, part.end())
        if text[at : at + 1] != ".":
            break
        at = _skip_spaces(text, at + 1)
    return tuple(names), at


def _unquote(written: str) -> str:
    return cast("str", tomli.loads(f"x = {written}")["x"]) if written[0] in "'\"" else written


def _parse_value(text: str, at: int, place: Parts) -> Value:
    if string := _STRING.match(text, at):
        return Value(at, string.end(), "plain")
    if text[at] == "[":
        return _parse_array(text, at)
    if text[at] == "{":
        return _parse_inline_table(text, at, place)
    bare = _BARE_VALUE.match(text, at)
    return Value(at, at + len(bare[0].rstrip(" \t")) if bare else at, "plain")


def _parse_array(text: str, start: int) -> Value:
    items: list[Value] = []
    at = _skip_blank(text, start + 1)
    while text[at] != "]":
        items.append(_parse_value(text, at, ()))
        at = _skip_separator(text, items[-1].end)
    return Value(start, at + 1, "array", items=items)


def _parse_inline_table(text: str, start: int, place: Parts) -> Value:
    pairs: list[Pair] = []
    at = _skip_blank(text, start + 1)
    while text[at] != "}":
        pairs.append(_parse_pair(text, at, place))
        at = _skip_separator(text, pairs[-1].value.end)
    return Value(start, at + 1, "table", pairs=pairs)


def _skip_separator(text: str, at: int) -> int:
    at = _skip_blank(text, at)
    return _skip_blank(text, at + 1) if text[at] == "," else at


def _skip_blank(text: str, at: int) -> int:
    return _match_end(_BLANK, text, at)


def _skip_spaces(text: str, at: int) -> int:
    return _match_end(_SPACES, text, at)


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
