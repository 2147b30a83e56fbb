"""Tables that fit a terminal and stay whole where there is none."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

_ENDLESS = 100_000


def show(console: Console, table: Table) -> None:
    """Print a table: folded to the terminal's width, or as wide as it is into a pipe or file."""
    if console.is_terminal:
        console.print(table)
        return
    plain = Console(file=io.StringIO(), width=_ENDLESS, color_system=None, force_terminal=False)
    with plain.capture() as printed:
        plain.print(table)
    for line in printed.get().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)
