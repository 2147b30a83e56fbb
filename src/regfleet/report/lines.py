"""Lines for people: folded to a terminal's width, whole into pipes, without anybody's controls."""

from __future__ import annotations

import re

from rich.cells import chop_cells
from rich.console import Console
from rich.text import Text

_HANG = 2
_LEAST = 20  # columns for what is folded, however far it is indented

# Sequences that colour or move (ECMA-48, 5.4 and 5.6), then every other control, the marks that
# turn the direction of writing, and surrogates that no encoding takes.
_SEQUENCES = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?)")
_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]",
)


def clean(text: str) -> str:
    """What a host said as one line that does nothing to a terminal."""
    spaced = _SEQUENCES.sub("", text).replace("\t", "    ").replace("\n", " ")
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", spaced)


def show(
    console: Console,
    lead: Text | str,
    body: Text | str = "",
    *,
    words: bool = True,
    hang: int = 0,
) -> None:
    """Print a line; what does not fit stands below its own beginning.

    Args:
        lead: what comes first, a sign or a column; not folded.
        body: what is folded.
        words: fold between words where that can be done; otherwise anywhere.
        hang: columns by which what does not fit is indented further.
    """
    lead, body = _text(lead), _text(body)
    if not console.is_terminal:
        console.print(Text.assemble(lead, body), soft_wrap=True, highlight=False)
        return
    for line in folded(console, lead, body, words=words, hang=hang):
        console.print(line, soft_wrap=True, highlight=False)


def show_text(console: Console, text: str) -> None:
    """Print a text of several lines, each with its indentation."""
    for line in text.splitlines():
        body = line.lstrip()
        show(console, " " * (len(line) - len(body)), clean(body), hang=_HANG)


def folded(
    console: Console,
    lead: Text | str,
    body: Text | str,
    *,
    words: bool = True,
    hang: int = 0,
) -> list[Text]:
    """The lines that `show` prints at a terminal."""
    lead, body = _text(lead), _text(body)
    room = max(_LEAST, console.width - lead.cell_len - hang)
    lines = body.wrap(console, room, overflow="fold") if words else _chopped(body, room)
    found = []
    for number, line in enumerate(lines or [Text()]):
        line.rstrip()
        start = Text(" " * (lead.cell_len + hang)) if number else lead
        found.append(Text.assemble(start, line))
    return found


def _chopped(text: Text, width: int) -> list[Text]:
    return [Text(piece, text.style) for piece in chop_cells(text.plain, width)]


def _text(value: Text | str) -> Text:
    return Text(value) if isinstance(value, str) else value
