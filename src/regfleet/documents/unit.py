"""Parses the command lines in systemd units: a section's settings and their words with positions.

systemd.syntax(7) for lines, comments and quotes; systemd.service(5), "Command lines", for words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

_SETTING = re.compile(r"[ \t]*(?P<name>[A-Za-z][A-Za-z0-9-]*)[ \t]*=[ \t]*")
_Letters = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a setting's value: its meaning, and its range in the text with quotes.

    Attributes:
        letters: the letters of its meaning, each with its place in the text.
    """

    text: str
    start: int
    end: int
    letters: tuple[tuple[str, int], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Setting:
    """`NAME=VALUE`. A setting without words has an empty value, which resets earlier settings."""

    name: str
    words: tuple[Word, ...]


def settings(text: str, section: str = "Service") -> list[Setting]:
    """The settings of a section, in the unit's order."""
    found: list[Setting] = []
    here = ""
    lines = _line_ranges(text)
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
            letters += _continuation_line(text, lines)
        found.append(Setting(match["name"], tuple(_split_words(letters))))
    return found


def split(text: str) -> list[Word]:
    """Words as systemd splits them at blanks, without their quotes."""
    return list(_split_words(list(zip(text.replace("\n", " "), range(len(text)), strict=True))))


def variable(text: str, name: str) -> list[Word] | None:
    """The words of a variable's value, by the last `Environment=` that sets it; None for none."""
    found = None
    for setting in settings(text):
        for word in setting.words if setting.name == "Environment" else ():
            if word.text.startswith(f"{name}="):
                inside = _split_words(list(word.letters[len(name) + 1 :]))
                # A quote inside quotes has a backslash, which goes with it.
                found = [replace(w, start=w.start - (text[w.start - 1] == "\\")) for w in inside]
    return found


def without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text without some words of settings, and without continuation lines left empty."""
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


def _line_ranges(text: str) -> Iterator[tuple[int, int]]:
    """The range of each line, without its newline."""
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, start + len(line.rstrip("\r\n"))
        start += len(line)


def _continuation_line(text: str, lines: Iterator[tuple[int, int]]) -> _Letters:
    """The line that continues after a backslash; comment lines between are skipped."""
    for start, end in lines:
        if not text[start:end].lstrip().startswith(("#", ";")):
            return list(zip(text[start:end], range(start, end), strict=True))
    return []


def _split_words(letters: _Letters) -> Iterator[Word]:
    word: _Letters = []
    start, quote, at = -1, "", 0
    while at < len(letters):
        letter, place = letters[at]
        if not quote and letter in " \t":
            if start >= 0:
                yield _word(word, start, letters[at - 1][1] + 1)
            word, start = [], -1
            at += 1
            continue
        if start < 0:
            start = place
        if letter == "\\" and at + 1 < len(letters):
            at += 1
            word.append(letters[at])
        elif quote and letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote = letter
        else:
            word.append((letter, place))
        at += 1
    if start >= 0:
        yield _word(word, start, letters[-1][1] + 1)


def _word(letters: _Letters, start: int, end: int) -> Word:
    return Word("".join(letter for letter, _ in letters), start, end, tuple(letters))
