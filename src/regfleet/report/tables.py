"""Tables that fit a terminal and stay whole where there is none."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

_ENDLESS = 100_000


def show(console: Console, table: Table) -> None:
    """Print a table: folded to the terminal's width, or as wide as it is into a pipe or file."""
    if console.is_terminal:
        console.print(table)
        return
    options = console.options.update(width=_ENDLESS)
    width = console.measure(table, options=options).maximum
    console.print(table, width=max(width, 1), crop=False, no_wrap=True)
