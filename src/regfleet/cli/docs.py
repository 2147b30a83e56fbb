"""`regfleet docs`: the reference of the fleet file, in the terminal."""

from __future__ import annotations

import re

import click
from rich.console import Console
from rich.markdown import Markdown

from regfleet import resources
from regfleet.errors import EXIT_OK, UsageError
from regfleet.fleet import reference

_ANCHOR = re.compile(r"\[([^]]+)\]\(#[^)]*\)")
_WIDEST = 100  # longer lines are tiring to read


def docs(section: str | None, schema: bool) -> int:
    """Print a section, or all; rendered for people, plain Markdown for everything else."""
    if schema:
        if section:
            raise UsageError("--schema prints the whole schema", "leave the section out")
        click.echo(resources.path("fleet.schema.json").read_text("utf-8"), nl=False)
        return EXIT_OK
    text = reference.render(reference.find(section)) if section else reference.reference()
    console = Console(highlight=False)
    if console.is_terminal:
        text = _ANCHOR.sub(r"\1", text)  # within the page: nothing to follow here
        console.print(Markdown(text), width=min(console.width, _WIDEST))
    else:
        click.echo(text, nl=False)
    return EXIT_OK
