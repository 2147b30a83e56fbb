"""Ways into a document that may have None in any place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from regfleet.fleet.findings import Table


def named(document: Table, section: str) -> Iterator[tuple[str, Table]]:
    """The tables `[section.NAME]` that are not broken, by name."""
    for name, table in (document.get(section) or {}).items():
        if table is not None:
            yield name, table


def items(table: Table, key: str) -> Iterator[tuple[int, Any]]:
    """The items of a list that are not broken, with their indexes."""
    for index, item in enumerate(table.get(key) or ()):
        if item is not None:
            yield index, item


def pairs(table: Table, key: str) -> Iterator[tuple[str, Any]]:
    """The values of a table in a table that are not broken, with their keys."""
    return named(table, key)


def is_broken(table: Table, key: str) -> bool:
    """Whether a key is written, but not so that its value is known."""
    return key in table and table[key] is None
