"""Print a fleet file's warnings (allowed but dangerous settings) to standard error."""

from __future__ import annotations

from regfleet.errors import mistake_place
from regfleet.fleet.model import Fleet
from regfleet.report.lines import show_text
from regfleet.terminal.console import people


def show_warnings(fleet: Fleet) -> None:
    """Print two lines for each warning: the setting, and what to write instead."""
    console = people(stderr=True)
    for each in fleet.warnings:
        where = mistake_place(each)
        show_text(console, f"warning: {where}{each.path}: {each.message}\n    {each.hint}")
