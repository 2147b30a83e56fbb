"""Explains a mistake in a JSON text in words, with its place. Pure."""

from __future__ import annotations

import json

_COMMENTS = ("//", "/*", "#")


def explained(text: str, error: json.JSONDecodeError) -> tuple[int, int, str]:
    """Line and column (from 1) of a mistake, and its description.

    A parser reports what it expected where it stopped, but the mistake is often the comma before
    that place. Python before 3.13 stops after the comma, later versions at it.
    """
    at = error.pos + len(text[error.pos :]) - len(text[error.pos :].lstrip())
    before, rest = text[: error.pos].rstrip(), text[at:]
    after = rest[1:].lstrip()[:1]
    end, first = len(before), rest[:1]
    many = "a comma too many before the closing "
    closing = ("}", "]")
    cases = (
        (first == "," and after in closing, at, f"{many}{after}"),
        (before.endswith(",") and first in closing, end - 1, f"{many}{first}"),
        (first == ",", at, "a comma where a value or a key belongs"),
        (not rest, end, "the file ends too early: a closing } or ] or a quote is missing"),
        (rest.startswith(_COMMENTS), at, "a comment, which JSON does not have"),
        (first == "'", at, "a single quote: JSON's strings need double quotes"),
        ("','" in error.msg, end, "a comma is missing after this"),
        ("':'" in error.msg, end, "a colon is missing after this key"),
        (error.msg == "Extra data", at, "extra text after the closing bracket"),
    )
    found = next(((place, words) for true, place, words in cases if true), (error.pos, error.msg))
    return *_line_and_column(text, found[0]), found[1]


def _line_and_column(text: str, at: int) -> tuple[int, int]:
    at = min(at, len(text))
    start = text.rfind("\n", 0, at) + 1
    return text.count("\n", 0, at) + 1, at - start + 1
