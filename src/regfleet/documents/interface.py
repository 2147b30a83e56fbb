"""What every format of configuration file offers: a flat view of a tree, and its text.

A key is a path into the tree, written by `path`; its value is plain JSON. What is set or taken
out changes the text there and nowhere else: comments, order, indentation and quoting stay.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, MutableMapping
from typing import TypeAlias

from regfleet.fleet.model import Json

Parts: TypeAlias = "tuple[str, ...]"


class NotReadableError(ValueError):
    """The file cannot be read, or cannot be edited without changing what others wrote.

    Attributes:
        message: what is wrong.
        line: 1-based line in the file, 0 where it cannot be had.
        hint: what to do about it, or an empty string.
    """

    def __init__(self, message: str, line: int = 0, hint: str = "") -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.message = message
        self.line = line
        self.hint = hint


def path(*parts: str) -> str:
    """The key of a place in a tree: text, so that it can stand in the ownership record."""
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def parts(key: str) -> Parts:
    """The place that a key of `path` names.

    Raises:
        ValueError: the key is not one that `path` wrote.
    """
    found = json.loads(key)
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        raise ValueError(f"{key!r} is not a path")
    return tuple(found)


def shown(key: str) -> str:
    """A key as messages and plans show it: `plugins."io.containerd.cri".registry`.

    A key that is not a path (daemon.json's) is shown as it is.
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
    """Whether two values are the same JSON; for Python, true is 1 and 1 is 1.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


class Document(MutableMapping[str, Json], ABC):
    """A file as a mapping of paths to values.

    Iteration gives the leaves alone: what is no table. A table can be asked for as well, by
    its own path, and comes as an object; `in` is true of it. Lists are leaves, also lists of
    tables. Setting a value makes the tables that it needs. Deleting takes the leaf (or the
    whole table) and leaves the tables around it; `prune` takes these.
    """

    @abstractmethod
    def text(self) -> str:
        """The file as it is now; as it was read, where nothing has been changed."""

    @abstractmethod
    def tree(self) -> dict[str, Json]:
        """The whole file as an object, a copy. What JSON has no word for (dates) is text."""

    @abstractmethod
    def line(self, key: str) -> int:
        """The 1-based line that a path, or the nearest table around it, is written on; else 0."""

    @abstractmethod
    def has_table(self, key: str) -> bool:
        """Whether a table is written at a path; one that its inner tables imply is not."""

    @abstractmethod
    def prune(self, key: str) -> None:
        """Take out the table at a path if nothing is written in it, not even a comment.

        Inner tables that have a place of their own in the text stay, and imply it.
        """

    @abstractmethod
    def __copy__(self) -> Document:
        """Another document of the same text."""

    @abstractmethod
    def __setitem__(self, key: str, value: Json) -> None:
        """Set a leaf, or a whole table.

        Raises:
            NotReadableError: this cannot be written there, and the document is as it was.
        """

    @abstractmethod
    def __delitem__(self, key: str) -> None:
        """Take out a leaf, or a table with all that is in it.

        Raises:
            KeyError: there is none.
            NotReadableError: it cannot be taken out alone, and the document is as it was.
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
