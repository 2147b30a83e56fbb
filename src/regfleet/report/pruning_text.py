"""What retention deletes, for people: what goes and why, what that frees."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from regfleet.model.deletions import Deletion
from regfleet.model.names import counted
from regfleet.report.deletion_text import show_error
from regfleet.report.lines import show
from regfleet.run.pruning import Pruning


def show_plan(found: Sequence[Pruning], console: Console) -> None:
    """Print what would go of each registry, and why."""
    for each in found:
        name = each.registry.name
        if each.error:
            show(console, Text.assemble(("failed", "red"), f" {name}: "), each.error)
            if each.hint:
                show(console, "  hint: ", each.hint)
            continue
        going = each.deletions.planned
        title = f": {len(going)} of {counted(each.tags, 'tag')} would go"
        if each.freed is not None:
            title += f"; a collection then frees {decimal(each.freed)}"
        show(console, Text.assemble((name, "bold"), title))
        for one in each.deletions.images:
            _show_one(each, one, console)
        if each.kept_for:
            words = f"all stays where keep_deployed is set: {each.kept_for}"
            show(console, Text("  note: ", "yellow"), words)
        for note in each.notes:
            show(console, Text("  note: ", "yellow"), note)


def _show_one(found: Pruning, one: Deletion, console: Console) -> None:
    if one.error:
        show_error(one, console)
        return
    reason = found.reasons[one.image.repository, one.image.tag].reason
    line = Text.assemble("  ", ("- ", "red"), str(one.image))
    show(console, line, Text(f"  {reason}", "dim"))


def question(found: Sequence[Pruning]) -> str:
    """What to ask before anything is deleted."""
    return f"Delete {counted(sum(len(each.deletions.planned) for each in found), 'tag')}?"
