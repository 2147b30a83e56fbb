"""Finds the line of each key and array item in a TOML document, for messages.

tomli keeps no positions, so this module scans the text again, only when there is a mistake to
show. The scan checks nothing: it relies on tomli having accepted the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import tomli

from regfleet.fleet.findings import Place

_TOKEN = re.compile(
    r'''
      (?P<text>  """ (?:\\.|[^\\])*? "{3,5} | \'\'\' .*? \'{3,5}
               | " (?:\\.|[^"\\\n])* " | ' [^'\n]* ' )
    | (?P<comment> \#[^\n]* )
    | (?P<mark> [\[\]{}=,\n.] )
    | (?P<bare> [^\s\[\]{}=,."'\#]+ )
    ''',
    re.VERBOSE | re.DOTALL,
)


def locate(text: str) -> dict[Place, int]:
    """The 1-based line of every key and array item in a TOML document."""
    return _Scan(text).lines


def find_line(lines: dict[Place, int], place: Place) -> int:
    """The line of a place, or of the nearest table or array around it; 0 when there is none."""
    while place:
        if place in lines:
            return lines[place]
        place = place[:-1]
    return 0


class _Scan:
    """One pass over the tokens, with a stack of the open arrays and inline tables."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._line = 1
        self._step: Callable[[str, str], None] = self._in_key
        self._table: Place = ()  # the table of the last header
        self._key: tuple[str, ...] = ()  # the parts, so far, of the key being read
        self._brackets = 0  # opening brackets of the header being read
        self._value: Place = ()  # the place of the value being read
        self._open: list[tuple[Place, int | None]] = []  # an array's current index, None: table
        self._last: dict[Place, int] = {}  # the last index of each array of tables
        for token in _TOKEN.finditer(text + "\n"):
            if token.lastgroup == "comment":
                continue
            mark = token[0] if token.lastgroup == "mark" else ""
            self._step(mark, token[0])
            self._line += token[0].count("\n")

    def _in_key(self, mark: str, text: str) -> None:
        if mark == "[":
            self._step, self._brackets = self._in_header, 1
        elif mark == "=":
            start = self._open[-1][0] if self._open else self._table
            self._value = self._record_line(start, self._key)
            self._key, self._step = (), self._in_value
        elif mark == "}":
            self._close()
        elif not mark:
            self._key += (_unquoted(text),)

    def _in_header(self, mark: str, text: str) -> None:
        if mark == "[":
            self._brackets += 1
        elif mark == "\n":
            self._table = self._record_line((), self._key, repeated=self._brackets > 1)
            self._key, self._step = (), self._in_key
        elif not mark:
            self._key += (_unquoted(text),)

    def _in_value(self, mark: str, text: str) -> None:
        if mark == "\n" or text == ".":
            return
        if mark == "]":
            self._close()
            return
        place, index = self._open[-1] if self._open else ((), None)
        if index is not None:
            self._value = self._record_line(place, (index,))
        if mark == "[":
            self._open.append((self._value, 0))
        elif mark == "{":
            self._open.append((self._value, None))
            self._step = self._in_key
        else:
            self._step = self._after_value

    def _after_value(self, mark: str, _text: str) -> None:
        if mark == "," and self._open:
            place, index = self._open[-1]
            if index is None:
                self._step = self._in_key
            else:
                self._open[-1] = (place, index + 1)
                self._step = self._in_value
        elif mark in ("]", "}"):
            self._close()
        elif mark == "\n" and not self._open:
            self._step = self._in_key

    def _close(self) -> None:
        if self._open:
            self._open.pop()
        self._step = self._after_value

    def _record_line(self, start: Place, parts: Place, *, repeated: bool = False) -> Place:
        """Records the line of each prefix that has none yet; returns the whole place."""
        place = start
        for position, part in enumerate(parts, 1):
            place = (*place, part)
            self.lines.setdefault(place, self._line)
            if place in self._last and not (repeated and position == len(parts)):
                place = (*place, self._last[place])
        if repeated:
            self._last[place] = self._last.get(place, -1) + 1
            place = (*place, self._last[place])
            self.lines.setdefault(place, self._line)
        return place


def _unquoted(token: str) -> str:
    if token[:1] == "'":
        return token[1:-1]
    if token[:1] == '"':
        return str(tomli.loads(f"k = {token}")["k"]) if "\\" in token else token[1:-1]
    return token
