"""Print tables: folded to a terminal, unfolded into pipes."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from regfleet.report.lines import show_whole
from regfleet.terminal.console import endless


def show(console: Console, table: Table) -> None:
    """Print a table: folded to the terminal's width, or at full width into a pipe or file."""
    if console.is_terminal:
        console.print(table)
        return
    plain = endless()
    with plain.capture() as printed:
        plain.print(table)
    for line in printed.get().splitlines():
        show_whole(console, line.rstrip())
