"""A document that is edited as text: what changes is cut out or put in, the rest is not touched.

A format says how its text is read and where a value is written; that an edit did what was meant
and no more is checked here, by reading the new text again.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence

from regfleet.documents.interface import (
    Document,
    NotReadableError,
    Parts,
    parts,
    path,
    same,
    shown,
)
from regfleet.fleet.model import Json

_HINT = "Make this change in the file by hand, or write the lines around it in a plainer form."


class CannotEditError(Exception):
    """The format has no way to make this edit in this text; the message says why."""


class EditedDocument(Document):
    """A document that is its text."""

    def __init__(self, text: str) -> None:
        """Read the text.

        Raises:
            NotReadableError: it is not of this format.
        """
        self._text = text
        self._tree = self._read(text)

    def text(self) -> str:
        """See Document."""
        return self._text

    def tree(self) -> dict[str, Json]:
        """See Document."""
        return copy.deepcopy(self._tree)

    @abstractmethod
    def _read(self, text: str) -> dict[str, Json]:
        """The tree of a text, or NotReadableError."""

    @abstractmethod
    def _put(self, place: Parts, value: Json) -> str:
        """The text with a value set that is not there or another one; or CannotEditError."""

    @abstractmethod
    def _cut(self, place: Parts) -> str:
        """The text without a value or a table that is there; or CannotEditError."""

    def __copy__(self) -> EditedDocument:
        return type(self)(self._text)

    def __getitem__(self, key: str) -> Json:
        here: Json = self._tree
        for name in parts(key):
            if not isinstance(here, dict) or name not in here:
                raise KeyError(key)
            here = here[name]
        return copy.deepcopy(here)

    def __setitem__(self, key: str, value: Json) -> None:
        if key in self and same(self[key], value):
            return
        place = parts(key)
        meant = self.tree()
        around = meant
        for end, name in enumerate(place[:-1], 1):
            inner = around.setdefault(name, {})
            if inner is None:
                inner = around[name] = {}
            if not isinstance(inner, dict):
                found = shown(path(*place[:end]))
                raise NotReadableError(f"{found} is a value, not a table", self.line(key))
            around = inner
        around[place[-1]] = value
        self._become(place, "set", lambda: self._put(place, value), meant, place[:-1])

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        place = parts(key)
        meant = self.tree()
        _take(meant, place)
        self._become(place, "taken out", lambda: self._cut(place), meant, place[:-1])

    def _become(
        self,
        place: Parts,
        what: str,
        edit: Callable[[], str],
        meant: dict[str, Json],
        around: Parts,
    ) -> None:
        """Take an edited text over if it says what is meant; tables `around` may have gone."""
        key = path(*place)
        try:
            text = edit()
            tree = self._read(text)
        except CannotEditError as error:
            reason = str(error)
        except NotReadableError as error:
            reason = f"the file would be broken ({error})"
        else:
            if same(_without_empty(tree, around), _without_empty(meant, around)):
                self._text, self._tree = text, tree
                return
            reason = "something else would change with it"
        raise NotReadableError(f"{shown(key)} cannot be {what}: {reason}", self.line(key), _HINT)


def line_number(text: str, position: int) -> int:
    """The 1-based line of a position in a text."""
    return text.count("\n", 0, position) + 1


def line_start(text: str, position: int) -> int:
    """Where the line of a position starts."""
    return text.rfind("\n", 0, position) + 1


def line_end(text: str, position: int) -> int:
    """Where the line after that of a position starts, or the text ends."""
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1


def newline(text: str) -> str:
    """How the lines of a text end."""
    return "\r\n" if "\r\n" in text else "\n"


def indentation(text: str, position: int) -> str:
    """The blanks that the line of a position starts with."""
    start = line_start(text, position)
    end = start
    while text[end : end + 1] in {" ", "\t"}:
        end += 1
    return text[start:end]


def insert_lines(text: str, position: int, lines: Sequence[str]) -> str:
    """Put whole lines in where a line starts, or at the end.

    A text whose last line has no newline is left so: `cut_lines` gives it back as it was.
    """
    end = newline(text)
    block = end.join(lines)
    if position == len(text) and text and not text.endswith("\n"):
        return text + end + block
    return text[:position] + block + end + text[position:]


def cut_lines(text: str, start: int, end: int) -> str:
    """Take whole lines out, from the start of one to the end of another."""
    if end == len(text) and not text.endswith("\n") and start:
        start -= 2 if text[:start].endswith("\r\n") else 1
    return text[:start] + text[end:]


def _take(tree: dict[str, Json], place: Parts) -> None:
    around = tree
    for name in place[:-1]:
        inner = around[name]
        if not isinstance(inner, dict):
            raise KeyError(name)
        around = inner
    del around[place[-1]]


def _without_empty(tree: dict[str, Json], place: Parts) -> dict[str, Json]:
    """A tree without the tables around a place where nothing is in them.

    A table that only its content implies goes with it; what becomes of the others is `prune`'s.
    """
    left = copy.deepcopy(tree)
    chain = [left]
    for name in place:
        inner = chain[-1].get(name)
        if not isinstance(inner, dict):
            break
        chain.append(inner)
    for around, name in reversed(list(zip(chain, place, strict=False))):
        if around.get(name) in ({}, None):
            around.pop(name, None)
    return left
