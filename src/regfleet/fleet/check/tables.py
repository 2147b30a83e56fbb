"""Iterates over a document in which any value may be None, because the schema refused it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from regfleet.fleet.findings import Table


def named(document: Table, section: str) -> Iterator[tuple[str, Table]]:
    """The name and table of each `[section.NAME]` that is not None."""
    for name, table in (document.get(section) or {}).items():
        if table is not None:
            yield name, table


def items(table: Table, key: str) -> Iterator[tuple[int, Any]]:
    """The index and value of each item of a list that is not None."""
    for index, item in enumerate(table.get(key) or ()):
        if item is not None:
            yield index, item


def pairs(table: Table, key: str) -> Iterator[tuple[str, Any]]:
    """The key and value of each entry of a table in a table that is not None."""
    return named(table, key)


def is_broken(table: Table, key: str) -> bool:
    """Whether a key is written with a value that the schema refused."""
    return key in table and table[key] is None
