"""Adds and removes items of a bracketed list in a text, and leaves the rest unchanged.

TOML's arrays and inline tables and YAML's flow collections share this syntax. Positions are
half-open ranges in the text; comments start with `#` and end with their line.
"""

from __future__ import annotations

from collections.abc import Sequence

from regfleet.documents.edited import after_comments, indentation, line_end, newline
from regfleet.fleet.values import Json

Span = tuple[int, int]


def append(text: str, opening: int, items: Sequence[Span], item: str) -> str:
    """The text with a new item after the last one.

    Args:
        opening: the position of the opening bracket.
        items: the range of each item.
        item: the text of the new item.
    """
    if not items:
        # Padding (`{ }`) stays after the item.
        return text[: opening + 1] + item + text[opening + 1 :]
    start, end = items[-1]
    before = items[-2][1] if len(items) > 1 else opening
    if "\n" not in text[before:start]:
        return f"{text[:end]}, {item}{text[end:]}"
    fresh_line = newline(text) + indentation(text, start)
    comma = _find_comma(text, end)
    stop = _end_of_comments(text, end if comma is None else comma + 1)
    if stop is None:
        return f"{text[:end]},{fresh_line}{item}{text[end:]}"
    if comma is None:
        return f"{text[:end]},{text[end:stop]}{fresh_line}{item}{text[stop:]}"
    return f"{text[:stop]}{fresh_line}{item},{text[stop:]}"


def remove(text: str, items: Sequence[Span], index: int) -> str:
    """The text without one of the items; the comments around it stay."""
    start, end = items[index]
    comma = _find_comma(text, end)
    if index == 0:
        if len(items) > 1 and "#" not in text[end : items[1][0]]:
            return text[:start] + text[items[1][0] :]
        return text[:start] + (text[end:] if comma is None else text[end:comma] + text[comma + 1 :])
    previous = items[index - 1][1]
    between = text[previous:start]
    if "#" not in between:
        return text[:previous] + text[end:]
    broken = previous + len(between.rstrip(" \t").removesuffix("\n").removesuffix("\r"))
    if comma is not None:
        return text[:broken] + text[end:comma] + text[comma + 1 :]
    first = _find_comma(text, previous)
    if first is None:
        return text[:broken] + text[end:]
    return text[:first] + text[first + 1 : broken] + text[end:]


def kept(old: Sequence[Json], new: Sequence[Json]) -> list[bool]:
    """For each old item, whether it stays: the new list is the items that stay, then added ones."""
    stays, at = [], 0
    for item in old:
        stay = at < len(new) and item == new[at]
        stays.append(stay)
        at += stay
    return stays


def _find_comma(text: str, position: int) -> int | None:
    """The position of the comma after an item, past blanks, newlines and comments."""
    while position < len(text):
        if text[position] == ",":
            return position
        if text[position] == "#":
            position = text.find("\n", position)
            if position < 0:
                return None
        elif not text[position].isspace():
            return None
        position += 1
    return None


def _end_of_comments(text: str, position: int) -> int | None:
    """The end of the comments behind and below an item; None where there are none."""
    stop = _find_comment_end(text, position)
    below = line_end(text, position)
    if stop is None and text[position:below].strip():
        return None  # the closing bracket
    after = after_comments(text, below)
    if after == below:
        return stop
    return after - len(newline(text)) if text[:after].endswith("\n") else after


def _find_comment_end(text: str, position: int) -> int | None:
    """The end of the comment on the rest of this line; None without a comment."""
    end = text.find("\n", position)
    rest = text[position : len(text) if end < 0 else end]
    if not rest.lstrip().startswith("#"):
        return None
    return position + len(rest.removesuffix("\r"))
