"""Print lines for people: folded between words at a terminal, unfolded into pipes."""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from regfleet.terminal.cleaning import clean, same_length

__all__ = ["clean", "folded", "show", "show_text", "show_whole"]

_HANG = 2
_MIN_WIDTH = 20  # columns for folded text, however far it is indented
_WORD = re.compile(r"\s*\S+")


def show(
    console: Console,
    lead: Text | str,
    body: Text | str = "",
    *,
    words: bool = True,
    hang: int = 0,
) -> None:
    """Print a line; what does not fit continues below the body's first column.

    Line feeds become blanks. A word that is longer than a line,
    a path or a command's argument, stays in one piece, to be copied.

    Args:
        lead: printed first and never folded: a sign or a column.
        body: the text that is folded.
        words: fold between words; otherwise anywhere.
        hang: further indentation of continuation lines, in columns.
    """
    lead, body = _cleaned(lead), _cleaned(body)
    if not console.is_terminal:
        console.print(Text.assemble(lead, body), soft_wrap=True, highlight=False)
        return
    for line in folded(console, lead, body, words=words, hang=hang):
        console.print(line, soft_wrap=True, highlight=False)


def show_text(console: Console, text: str) -> None:
    """Print a text of several lines, each with its indentation."""
    for line in text.split("\n"):
        body = line.lstrip()
        show(console, " " * (len(line) - len(body)), body, hang=_HANG)


def show_whole(console: Console, text: Text | str) -> None:
    """Print a line that is never folded: a command, or a line of a file, to be copied."""
    console.print(_cleaned(text), soft_wrap=True, highlight=False)


def folded(
    console: Console,
    lead: Text | str,
    body: Text | str,
    *,
    words: bool = True,
    hang: int = 0,
) -> list[Text]:
    """The folded lines that `show` prints at a terminal."""
    lead, body = _cleaned(lead), _cleaned(body)
    room = max(_MIN_WIDTH, console.width - lead.cell_len - hang)
    lines = _wrapped(body, room) if words else _chopped(body, room)
    found = []
    for number, line in enumerate(lines or [Text()]):
        line.rstrip()
        start = Text(" " * (lead.cell_len + hang)) if number else lead
        found.append(Text.assemble(start, line))
    return found


def _wrapped(text: Text, width: int) -> list[Text]:
    """The text in lines, broken between words only: rich would also break long words."""
    breaks, used = [], 0
    for word in _WORD.finditer(text.plain):
        if used and used + cell_len(word[0]) > width:
            blanks = len(word[0]) - len(word[0].lstrip())
            breaks.append(word.start() + blanks)
            used = cell_len(word[0][blanks:])
        else:
            used += cell_len(word[0])
    return list(text.divide(breaks))


def _chopped(text: Text, width: int) -> list[Text]:
    return [Text(piece, text.style) for piece in chop_cells(text.plain, width)]


def _cleaned(value: Text | str) -> Text:
    if isinstance(value, str):
        return Text(clean(value))
    value = value.copy()
    value.plain = same_length(value.plain, lines=False)
    return value
