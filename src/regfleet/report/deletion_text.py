"""Images to delete, for people: what goes, what stays, how it went."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from regfleet.model.deletions import Deletion, Deletions
from regfleet.model.names import counted
from regfleet.report.lines import show

_MOST = 10  # tags of a list


def show_plan(found: Deletions, console: Console) -> None:
    """Print what would be deleted, and what cannot be."""
    for each in found.images:
        if each.error:
            show_error(each, console)
            continue
        show(console, Text("- ", "red"), str(each.image))
        for line in _details(each):
            show(console, "    ", Text(line, "dim"))


def show_error(each: Deletion, console: Console) -> None:
    """Print why an image cannot be deleted, or was not."""
    show(console, Text.assemble(("failed", "red"), ": "), each.error)
    if each.hint:
        show(console, "  hint: ", each.hint)


def question(found: Deletions) -> str:
    """What to ask before anything is deleted."""
    return f"Delete {counted(len(found.planned), 'image')}?"


def _details(each: Deletion) -> list[str]:
    if each.unfinished:
        return ["an earlier deletion of this tag was interrupted: this finishes it"]
    if each.unreadable and not each.digest:
        return [
            "the registry cannot read it: which image it is, and which tags share it, is not known"
        ]
    lines = [f"{each.digest}, {decimal(each.size)}"]
    if each.unreadable:
        lines = [f"{each.digest}, which the registry cannot read"]
    if each.image.digest:
        tags = f"tags {_listed(each.tags)}" if each.tags else "no tags"
        lines.append(f"{tags} of this digest go")
    if each.others:
        lines.append(f"stays, by its other tags: {_listed(each.others)}")
    if each.attached:
        lines.append(f"its signatures go, too: {_listed(each.attached)}")
    return lines


def _listed(tags: Sequence[str]) -> str:
    more = f" and {len(tags) - _MOST} more" if len(tags) > _MOST else ""
    return ", ".join(tags[:_MOST]) + more
