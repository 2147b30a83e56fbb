"""Images for people and for pipes: one line a tag."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from regfleet.model.contents import Tag
from regfleet.model.images import RegistryImages
from regfleet.report import tables
from regfleet.report.lines import show
from regfleet.terminal.cleaning import clean

_SHORT = 12  # characters of a digest, as `docker images` shows it


def render(found: Sequence[RegistryImages], console: Console, *, verbose: bool = False) -> None:
    """Print the content of registries.

    Args:
        verbose: print full digests.
    """
    for registry in found:
        tags = [tag for tags in registry.repositories.values() for tag in tags]
        show(console, "", _title(registry, len(tags)))
        if tags:
            tables.show(console, _table(tags, verbose=verbose))
        for name, its in registry.repositories.items():
            if not its:
                what = "" if registry.note else "  no tags"
                show(console, "  ", f"{name}{what}")
        if registry.hidden:
            what = "repository" if registry.hidden == 1 else "repositories"
            words = f"  {registry.hidden} empty {what} of the smoke test left out (--all)"
            show(console, Text(words, "dim"))
        if registry.error:
            show(console, Text.assemble("  ", ("failed", "red"), ": "), registry.error)
        if registry.hint:
            show(console, "  hint: ", registry.hint)


def _title(registry: RegistryImages, tags: int) -> Text:
    count = len(registry.repositories)
    words = f"  {registry.endpoint}"
    if count or not registry.error:
        words += f": {count} repositor{'y' if count == 1 else 'ies'}"
        words += "" if registry.note else f", {tags} tag{'' if tags == 1 else 's'}"
    words += f" ({registry.note})" if registry.note else ""
    return Text.assemble((registry.name, "bold"), words)


def _table(tags: Sequence[Tag], *, verbose: bool) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 0, 0, 2))
    table.add_column("repository", overflow="fold")
    table.add_column("tag", overflow="fold")
    table.add_column("digest", overflow="fold" if verbose else "ellipsis", no_wrap=not verbose)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("platforms", overflow="fold")
    table.add_column("created", no_wrap=True)
    for tag in tags:
        digest = tag.digest if verbose else tag.digest.partition(":")[2][:_SHORT]
        platforms = ", ".join(tag.platforms) or "-"
        if tag.missing:
            platforms += f" ({tag.missing} missing)"
        cells = (
            tag.repository,
            tag.name,
            digest or "cannot be read",
            decimal(tag.size) if digest else "-",
            platforms,
            _date_and_time(tag.created),
        )
        table.add_row(*(Text(clean(cell)) for cell in cells))
    return table


def _date_and_time(created: str | None) -> str:
    """Date, hour and minute of an RFC 3339 time, in its own time zone."""
    found = re.match(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d)", created or "")
    return f"{found[1]} {found[2]}" if found else "-"
