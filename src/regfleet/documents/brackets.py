"""Lists between brackets, items between commas: one more, or one less, the rest as it was.

TOML's arrays and inline tables and YAML's flow collections are written alike. Positions are
half-open ranges in the text; comments start with `#` and end with their line.
"""

from __future__ import annotations

from collections.abc import Sequence

from regfleet.documents.edited import indentation, newline
from regfleet.fleet.model import Json

Span = tuple[int, int]


def append(text: str, opening: int, items: Sequence[Span], item: str) -> str:
    """The text with one more item behind the last.

    Args:
        opening: the position of the opening bracket.
        items: where each item is.
        item: the new one as it is to be written.
    """
    if not items:
        # Padding that was there (`{ }`) stays behind the item.
        return text[: opening + 1] + item + text[opening + 1 :]
    start, end = items[-1]
    before = items[-2][1] if len(items) > 1 else opening
    if "\n" not in text[before:start]:
        return f"{text[:end]}, {item}{text[end:]}"
    fresh_line = newline(text) + indentation(text, start)
    comma = _comma(text, end)
    comment = _comment_end(text, end if comma is None else comma + 1)
    if comment is None:
        return f"{text[:end]},{fresh_line}{item}{text[end:]}"
    if comma is None:
        return f"{text[:end]},{text[end:comment]}{fresh_line}{item}{text[comment:]}"
    return f"{text[:comment]}{fresh_line}{item},{text[comment:]}"


def remove(text: str, items: Sequence[Span], index: int) -> str:
    """The text without one of the items, and with the comments around it."""
    start, end = items[index]
    comma = _comma(text, end)
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
    first = _comma(text, previous)
    if first is None:
        return text[:broken] + text[end:]
    return text[:first] + text[first + 1 : broken] + text[end:]


def kept(old: Sequence[Json], new: Sequence[Json]) -> list[bool]:
    """Which of the old items stay, so that the new list is those and more behind them."""
    stays, at = [], 0
    for item in old:
        stay = at < len(new) and item == new[at]
        stays.append(stay)
        at += stay
    return stays


def _comma(text: str, position: int) -> int | None:
    """The comma that follows an item, behind blanks, newlines and comments."""
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


def _comment_end(text: str, position: int) -> int | None:
    """Where the comment on the rest of this line ends; None without one."""
    end = text.find("\n", position)
    rest = text[position : len(text) if end < 0 else end]
    if not rest.lstrip().startswith("#"):
        return None
    return position + len(rest.removesuffix("\r"))
