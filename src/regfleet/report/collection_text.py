"""Collections of registries' garbage, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from regfleet.model.collections import Collected
from regfleet.model.names import counted
from regfleet.report.lines import show

Found = Mapping[str, Sequence[Collected]]


def show_found(found: Found, console: Console, *, done: bool) -> None:
    """Print what a collection would delete, or has deleted, host by host.

    Args:
        done: whether it was done.
    """
    for host, registries in found.items():
        for each in registries:
            name = each.service.removeprefix("regfleet-")
            show(
                console, Text.assemble((f"{name}", "bold"), f" on {host}: "), _what(each, done=done)
            )
            if each.missing:
                missing = counted(each.missing, "blob")
                words = f"{missing} that tags need are missing: those images were broken before"
                show(console, Text("  warning: ", "yellow"), words)


def question(found: Found) -> str:
    """What to ask before anything is deleted."""
    registries = [each for several in found.values() for each in several if each.anything]
    count = counted(len(registries), "registry", "registries")
    return f"Delete that? {count} will take no pushes for some seconds."


def _what(each: Collected, *, done: bool) -> str:
    if not each.anything:
        return f"nothing to delete ({counted(each.tags, 'tag')})"
    verb = "deleted" if done else "would delete"
    manifests = counted(each.untagged, "manifest")
    words = (
        f"{verb} {manifests} without a tag and {counted(each.blobs, 'blob')}, {decimal(each.size)}"
    )
    return f"{words}; took no pushes for {each.seconds} s" if done else words
