"""systemd units as far as command lines go: settings of a section, and their words with places.

systemd.syntax(7) for lines, comments and quotes; systemd.service(5), "Command lines", for words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SETTING = re.compile(r"[ \t]*(?P<name>[A-Za-z][A-Za-z0-9-]*)[ \t]*=[ \t]*")
_Letters = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a setting's value: as it is meant, and where it is written, quotes and all."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Setting:
    """`NAME=VALUE`. An empty value is one without words: it takes back what was set before."""

    name: str
    words: tuple[Word, ...]


def settings(text: str, section: str = "Service") -> list[Setting]:
    """The settings of a section, in the unit's order."""
    found: list[Setting] = []
    here = ""
    lines = _lines(text)
    for start, end in lines:
        line = text[start:end].strip()
        if line.startswith("[") and line.endswith("]"):
            here = line[1:-1]
            continue
        match = _SETTING.match(text, start, end)
        if here != section or line.startswith(("#", ";")) or not match:
            continue
        letters = list(zip(text[match.end() : end], range(match.end(), end), strict=True))
        while letters and letters[-1][0] == "\\":
            letters[-1] = (" ", letters[-1][1])
            letters += _continued(text, lines)
        found.append(Setting(match["name"], tuple(_words(letters))))
    return found


def without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text without some words of settings, and without the continued lines that they leave."""
    for start, end in sorted(spans, reverse=True):
        first = text.rfind("\n", 0, start) + 1
        last = text.find("\n", end)
        last = len(text) if last < 0 else last
        before, behind = text[first:start], text[end:last]
        if before.strip():
            text = text[:start].rstrip(" \t") + text[end:]
        elif behind.strip() == "\\":
            text = text[:first] + text[last + 1 :]
        elif not behind.strip():
            text = text[:first].rstrip(" \t\r\n").removesuffix("\\").rstrip(" \t") + text[last:]
        else:
            text = text[:start] + text[end:].lstrip(" \t")
    return text


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Where each line is, without its newline."""
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, start + len(line.rstrip("\r\n"))
        start += len(line)


def _continued(text: str, lines: Iterator[tuple[int, int]]) -> _Letters:
    """The line that a backslash leads to; comments between are passed over."""
    for start, end in lines:
        if not text[start:end].lstrip().startswith(("#", ";")):
            return list(zip(text[start:end], range(start, end), strict=True))
    return []


def _words(letters: _Letters) -> Iterator[Word]:
    word, start, quote, at = "", -1, "", 0
    while at < len(letters):
        letter, place = letters[at]
        if not quote and letter in " \t":
            if start >= 0:
                yield Word(word, start, letters[at - 1][1] + 1)
            word, start = "", -1
            at += 1
            continue
        if start < 0:
            start = place
        if letter == "\\" and at + 1 < len(letters):
            at += 1
            word += letters[at][0]
        elif quote and letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote = letter
        else:
            word += letter
        at += 1
    if start >= 0:
        yield Word(word, start, letters[-1][1] + 1)
