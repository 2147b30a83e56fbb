"""`regfleet docs`: the reference of the fleet file in the terminal."""

from __future__ import annotations

import re

from rich.markdown import Markdown

from regfleet import resources
from regfleet.errors import EXIT_OK, UsageError
from regfleet.fleet import reference
from regfleet.terminal.console import people
from regfleet.terminal.streams import out

_ANCHOR = re.compile(r"\[([^]]+)\]\(#[^)]*\)")
_WIDEST = 100  # longer lines are tiring to read


def docs(section: str | None, schema: bool) -> int:
    """Print a section or all: rendered at a terminal, as Markdown elsewhere."""
    if schema:
        if section:
            raise UsageError("--schema prints the whole schema", "leave the section out")
        out(resources.path("fleet.schema.json").read_text("utf-8").removesuffix("\n"))
        return EXIT_OK
    text = reference.render(reference.find(section)) if section else reference.reference()
    console = people()
    if console.is_terminal:
        text = _ANCHOR.sub(r"\1", text)  # within the page: nothing to follow here
        console.print(Markdown(text), width=min(console.width, _WIDEST))
    else:
        out(text.removesuffix("\n"))
    return EXIT_OK
