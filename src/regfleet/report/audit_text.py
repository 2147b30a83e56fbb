"""Audits of registries' images, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from regfleet.model.audit import Audited
from regfleet.model.names import counted
from regfleet.report.lines import show

_MEND = (
    "push those images again, or copy them from another registry (`regfleet replicate`); a blob "
    "that is damaged has to be removed first: its path is docker/registry/v2/blobs/sha256/AB/ABC..."
)


def show_found(found: Mapping[str, Sequence[Audited]], console: Console) -> None:
    """Print what was read and what is broken, host by host."""
    for host, registries in found.items():
        for each in registries:
            _show_one(host, each, console)
    if any(not each.ok for registries in found.values() for each in registries):
        show(console, "hint: ", _MEND)


def _show_one(host: str, found: Audited, console: Console) -> None:
    name = found.service.removeprefix("regfleet-")
    words = f"{counted(found.tags, 'tag')} and {counted(found.blobs, 'blob')} read"
    words += f", {decimal(found.size)}{': all is whole' if found.ok else ''}"
    show(console, Text.assemble((name, "bold"), f" on {host}: "), words)
    for tag in found.broken:
        line = f"{name}/{tag.repository}:{tag.name} cannot be pulled: {tag.reason}"
        show(console, Text.assemble("  ", ("broken", "red"), " "), line)
    _more(found.broken_count, len(found.broken), "tag", console)
    for digest in found.damaged:
        show(console, Text.assemble("  ", ("damaged", "red"), " "), f"the content of {digest}")
    _more(found.damaged_count, len(found.damaged), "blob", console)
    for link in found.empty:
        show(console, Text.assemble("  ", ("empty", "red"), " "), link)
    _more(found.empty_count, len(found.empty), "link", console)


def _more(count: int, told: int, what: str, console: Console) -> None:
    if count > told:
        show(console, "  ", f"and {counted(count - told, f'more {what}')}")
