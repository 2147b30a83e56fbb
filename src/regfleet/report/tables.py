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
    endless = console.options.update(width=_ENDLESS)
    table.width = max(console.measure(table, options=endless).maximum, 1)
    console.print(table, crop=False)
