"""The mistakes that the stages find: a place in the document, a message, a hint; no line yet."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the top of the document: `("client", "build", "mirrors", 0)`."""

Table: TypeAlias = Mapping[str, Any]
"""A table of a fleet file. After the schema stage, each value has its type from the schema, or is
None when a mistake in it has been reported."""


class Finding(NamedTuple):
    """One mistake. `message` continues after the place: `registry.main.endpoint: is …`."""

    place: Place
    message: str
    hint: str = ""


class RefusedError(ValueError):
    """A single value is not allowed, whatever the rest of the file says."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint that names the known word closest to `word`, or `otherwise` when none is close."""
    close = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else otherwise
