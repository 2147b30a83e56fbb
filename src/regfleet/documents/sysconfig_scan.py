"""Finds the positions of variables, words and flags in a file of shell assignments.

Two programs read such files: systemd (systemd.exec(5), EnvironmentFile=; its reader is
parse_env_file_internal in src/basic/env-file.c) and sh. A value that the two read differently,
or that sh would expand, has `trouble`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

_ASSIGNMENT = re.compile(
    r"[ \t]*(?P<export>export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<more>\+?)="
)
_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
_FLAG = re.compile(r"(--?[A-Za-z][A-Za-z0-9.-]*)(?:=(.*))?", re.DOTALL)
ALONE = "true"


@dataclass(frozen=True, slots=True)
class Variable:
    """One assignment.

    Attributes:
        start: the position of its name.
        value, end: the range of its value, with quotes.
        quote: the quote around the value; empty for none.
        text: the value.
        places: the position in the file of each character of `text`.
        trouble: why systemd and sh may read it differently, or an empty string.
    """

    name: str
    start: int
    value: int
    end: int
    quote: str
    text: str
    places: Sequence[int]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag and its value.

    Attributes:
        value: its value; "true" for a flag without one.
        start, end: its range in the file, with the value.
        form: the separator before the value: `=`, a blank, or empty for a flag without one.
    """

    name: str
    value: str
    start: int
    end: int
    form: str


@functools.lru_cache(maxsize=4)
def scan(text: str) -> dict[str, Variable]:
    """The variables of a file; of several assignments to one variable, the last."""
    found: dict[str, Variable] = {}
    at = depth = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        match = _ASSIGNMENT.match(text, at)
        if match:
            variable = _parse_variable(text, match)
            if depth and not variable.trouble:
                variable = replace(variable, trouble="it is set under a condition")
            found[variable.name] = variable
            end = text.find("\n", variable.end)
            end = len(text) if end < 0 else end
        else:
            first = (text[at:end].split() or [""])[0]
            depth = max(0, depth + {"if": 1, "fi": -1}.get(first, 0))
        at = end + 1
    return found


def flags(variable: Variable) -> list[Flag] | None:
    """The flags of a variable; None when it holds something else, or has trouble."""
    words = [(word[0], word.start(), word.end()) for word in _WORD.finditer(variable.text)]
    left = _WORD.sub("", variable.text).strip()
    if variable.trouble or left:
        return None
    found: list[Flag] = []
    at = 0
    while at < len(words):
        word, start, end = words[at]
        if not word.startswith("-"):
            return None
        match = _FLAG.fullmatch(word)
        name, value, form = (match[1], match[2], "=") if match else (word, ALONE, "")
        if value is None:
            following = words[at + 1] if at + 1 < len(words) else ("-", 0, 0)
            value, form = ALONE, ""
            if not following[0].startswith("-"):
                value, end, form = following[0], following[2], " "
                at += 1
        found.append(Flag(name, value, variable.places[start], variable.places[end - 1] + 1, form))
        at += 1
    return found


def _parse_variable(text: str, match: re.Match[str]) -> Variable:
    start = match.end()
    while text[start : start + 1] in {" ", "\t"}:
        start += 1
    quote = text[start : start + 1]
    if quote in {"'", '"'}:
        value, places, end, trouble = _parse_quoted(text, start, quote)
        rest = text[end : _line_end(text, end)].strip()
        trouble = trouble or (f"{rest!r} follows the closing quote" if rest else "")
    else:
        quote = ""
        value, places, end, trouble = _parse_unquoted(text, start)
    if match["more"]:
        trouble = "it is extended by +="
    elif match["export"]:
        trouble = "it is set by `export`, which systemd does not read"
    elif start > match.end():
        trouble = "there are blanks after the ="
    return Variable(match["name"], match.start("name"), start, end, quote, value, places, trouble)


def _parse_quoted(text: str, start: int, quote: str) -> tuple[str, list[int], int, str]:
    value, places, trouble = "", [], ""
    at = start + 1
    while at < len(text) and text[at] != quote:
        if text[at] == "\\":
            length = _continuation_length(text, at) if quote == '"' else 0
            if length:
                at += length
                continue
            trouble = trouble or "there is a backslash in it"
            if quote == '"':
                at += 1  # the escaped character does not end the value
        elif quote == '"' and text[at] in "$`":
            trouble = trouble or "sh would expand the $ or ` in it"
        value += text[at : at + 1]
        places.append(at)
        at += 1
    if at >= len(text):
        return value, places, len(text), "its quote is not closed"
    return value, places, at + 1, trouble


def _parse_unquoted(text: str, start: int) -> tuple[str, list[int], int, str]:
    value, places, trouble = "", [], ""
    at = start
    while at < len(text) and text[at] != "\n":
        if text[at] == "\\":
            length = _continuation_length(text, at)
            if length:
                at += length
                continue
            trouble = "there is a backslash in it"
        elif text[at] in "$`\"'#;&|<>()*?":
            trouble = trouble or f"there is a {text[at]} in it, outside of quotes"
        value += text[at]
        places.append(at)
        at += 1
    kept = len(value.rstrip())
    end = places[kept - 1] + 1 if kept else start
    return value[:kept], places[:kept], end, trouble


def _continuation_length(text: str, at: int) -> int:
    """The length of a backslash and the newline after it; 0 for any other text."""
    return 2 if text.startswith("\\\n", at) else 0


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end
