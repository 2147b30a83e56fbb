"""A document that is edited as text: an edit inserts or cuts text and leaves the rest unchanged.

A format defines how to parse its text and where to write a value. This module parses the edited
text again and checks that the edit changed exactly what it should.
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
from regfleet.fleet.values import Json

_HINT = "Make this change in the file by hand, or write the lines around it in a simpler form."


class CannotEditError(Exception):
    """The format cannot make this edit in this text; the message says why."""


class EditedDocument(Document):
    """A document that is kept as its text."""

    def __init__(self, text: str) -> None:
        """Parse the text.

        Raises:
            NotReadableError: the text is not in this format.
        """
        self._text = text
        self._tree = self._parse_text(text)

    def text(self) -> str:
        """See Document."""
        return self._text

    def tree(self) -> dict[str, Json]:
        """See Document."""
        return copy.deepcopy(self._tree)

    @abstractmethod
    def _parse_text(self, text: str) -> dict[str, Json]:
        """The tree of a text; raises NotReadableError."""

    @abstractmethod
    def _set_in_text(self, place: Parts, value: Json) -> str:
        """The text with a new or changed value at a place; raises CannotEditError."""

    @abstractmethod
    def _cut_from_text(self, place: Parts) -> str:
        """The text without an existing value or table; raises CannotEditError."""

    def __copy__(self) -> EditedDocument:
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))  # an edit replaces text and tree, so both can be shared
        return twin

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
        self._replace_text(place, "set", lambda: self._set_in_text(place, value), meant, place[:-1])

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        place = parts(key)
        meant = self.tree()
        _delete_from_tree(meant, place)
        self._replace_text(
            place, "taken out", lambda: self._cut_from_text(place), meant, place[:-1]
        )

    def _replace_text(
        self,
        place: Parts,
        what: str,
        edit: Callable[[], str],
        meant: dict[str, Json],
        around: Parts,
    ) -> None:
        """Accept an edited text if its tree is as expected; empty tables `around` may vanish."""
        key = path(*place)
        try:
            text = edit()
            tree = self._parse_text(text)
        except CannotEditError as error:
            reason = str(error)
        except NotReadableError as error:
            reason = f"the edit would break the file ({error})"
        else:
            if same(_without_empty(tree, around), _without_empty(meant, around)):
                self._text, self._tree = text, tree
                return
            reason = "the edit would change something else too"
        raise NotReadableError(f"{shown(key)} cannot be {what}: {reason}", self.line(key), _HINT)


def line_number(text: str, position: int) -> int:
    """The 1-based line of a position in a text."""
    return text.count("\n", 0, position) + 1


def line_start(text: str, position: int) -> int:
    """The start of the line of a position."""
    return text.rfind("\n", 0, position) + 1


def line_end(text: str, position: int) -> int:
    """The start of the line after a position, or the text's end."""
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1


def newline(text: str) -> str:
    """The line end that a text uses."""
    return "\r\n" if "\r\n" in text else "\n"


def indentation(text: str, position: int) -> str:
    """The blanks that the line of a position starts with."""
    start = line_start(text, position)
    end = start
    while text[end : end + 1] in {" ", "\t"}:
        end += 1
    return text[start:end]


def after_comments(text: str, position: int, *, column: int = 0, blanks: bool = True) -> int:
    """The position after the comments at the end of a block: what follows is indented less.

    A comment that is indented like the line below it belongs to that line, and ends the search.

    Args:
        position: the start of a line.
        column: of the block; a comment to the left of it belongs to what is around the block.
        blanks: whether blank lines may stand before such a comment.
    """
    left = _next_column(text, position)
    found = here = position
    while here < len(text):
        line = text[here : line_end(text, here)]
        here = line_end(text, here)
        indent = len(line) - len(line.lstrip(" \t"))
        if not line.strip() and blanks:
            continue
        if not line.lstrip().startswith("#") or indent <= left or indent < column:
            break
        found = here
    return found


def _next_column(text: str, position: int) -> int:
    """The indentation of the next line that is neither blank nor a comment; -1 at the end."""
    while position < len(text):
        line = text[position : line_end(text, position)]
        if line.strip() and not line.lstrip().startswith("#"):
            return len(line) - len(line.lstrip(" \t"))
        position = line_end(text, position)
    return -1


def insert_lines(text: str, position: int, lines: Sequence[str]) -> str:
    """Insert whole lines at the start of a line, or at the end.

    If the text's last line has no newline, that stays so, and `cut_lines` can undo this exactly.
    """
    end = newline(text)
    block = end.join(lines)
    if position == len(text) and text and not text.endswith("\n"):
        return text + end + block
    return text[:position] + block + end + text[position:]


def cut_lines(text: str, start: int, end: int) -> str:
    """Cut whole lines, from the start of one to the end of another."""
    if end == len(text) and not text.endswith("\n") and start:
        start -= 2 if text[:start].endswith("\r\n") else 1
    return text[:start] + text[end:]


def _delete_from_tree(tree: dict[str, Json], place: Parts) -> None:
    around = tree
    for name in place[:-1]:
        inner = around[name]
        if not isinstance(inner, dict):
            raise KeyError(name)
        around = inner
    del around[place[-1]]


def _without_empty(tree: dict[str, Json], place: Parts) -> dict[str, Json]:
    """A tree without the empty tables around a place.

    A table without a header of its own vanishes with its last value; `prune` handles the others.
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
