"""The interface of all formats of configuration files: a flat view of a tree, and its text.

A key is a path into the tree, written by `path`; its value is plain JSON. Setting or deleting a
key changes only that part of the text: comments, order, indentation and quoting stay.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, MutableMapping
from typing import TypeAlias

from regfleet.fleet.values import Json
from regfleet.record import path

__all__ = ["Document", "NotReadableError", "Parts", "parts", "path", "same", "shown"]

Parts: TypeAlias = "tuple[str, ...]"


class NotReadableError(ValueError):
    """The file cannot be parsed, or cannot be edited without changing what others wrote.

    Attributes:
        message: what is wrong.
        line: 1-based line in the file, 0 when it is not known.
        hint: what to do, or an empty string.
    """

    def __init__(self, message: str, line: int = 0, hint: str = "") -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.message = message
        self.line = line
        self.hint = hint


def parts(key: str) -> Parts:
    """The parts of a key that `path` wrote.

    Raises:
        ValueError: `path` did not write the key.
    """
    found = json.loads(key)
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        raise ValueError(f"{key!r} is not a path")
    return tuple(found)


def shown(key: str) -> str:
    """A key as messages and plans show it: `plugins."io.containerd.cri".registry`.

    A key that `path` did not write is shown unchanged.
    """
    try:
        names = parts(key)
    except ValueError:
        return key
    bare = [name.replace("-", "").replace("_", "") for name in names]
    return ".".join(
        name if plain.isalnum() else json.dumps(name, ensure_ascii=False)
        for name, plain in zip(names, bare, strict=True)
    )


def same(one: Json, other: Json) -> bool:
    """Whether two values are the same JSON; Python's `==` would equate true, 1 and 1.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


class Document(MutableMapping[str, Json], ABC):
    """A file as a mapping of paths to values.

    Iteration gives the paths of the leaves: all values except tables. A table's path gives the
    table as an object, and `in` is true for it. Lists are leaves, also lists of tables. Setting
    a value makes the tables that it needs. Deleting removes the leaf (or the whole table) and
    leaves the tables around it, which `prune` removes.
    """

    @abstractmethod
    def text(self) -> str:
        """The file's text with all edits."""

    def is_blank(self) -> bool:
        """Whether the file is empty: it has not even a comment."""
        return not self.text().strip()

    @abstractmethod
    def tree(self) -> dict[str, Json]:
        """A copy of the whole file as an object. Types that JSON lacks (dates) become strings."""

    @abstractmethod
    def line(self, key: str) -> int:
        """The 1-based line of a path, or of the nearest table around it; else 0."""

    @abstractmethod
    def has_table(self, key: str) -> bool:
        """Whether a table is written at a path, not only implied by its inner tables."""

    @abstractmethod
    def prune(self, key: str) -> None:
        """Remove the table at a path if it is empty and has no comment.

        Inner tables that are written elsewhere in the text stay, and imply this table.
        """

    @abstractmethod
    def __copy__(self) -> Document:
        """Another document of the same text."""

    @abstractmethod
    def __setitem__(self, key: str, value: Json) -> None:
        """Set a leaf, or a whole table.

        Raises:
            NotReadableError: the value cannot be written there; the document is unchanged.
        """

    @abstractmethod
    def __delitem__(self, key: str) -> None:
        """Remove a leaf, or a table with its content.

        Raises:
            KeyError: the key does not exist.
            NotReadableError: it cannot be removed alone; the document is unchanged.
        """

    def __iter__(self) -> Iterator[str]:
        return (path(*place) for place in _leaves((), self.tree()))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _leaves(place: Parts, value: Json) -> Iterator[Parts]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves((*place, name), inner)
    elif place:
        yield place
