"""Reads JSON documents from the state directory, and reports any damage as one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from regfleet.errors import StateError
from regfleet.state import StateDirectory

T = TypeVar("T")


def read(
    state: StateDirectory,
    name: str,
    version: int,
    parse: Callable[[Any], T],
    hint: str,
) -> T | None:
    """A document of the state directory, parsed; None when the file does not exist.

    Args:
        name: its file in the state directory.
        version: the `version` that the document must have.
        parse: turns the JSON into a value. Its exceptions are reported as damage of the file.
        hint: what to do when regfleet did not write the file.

    Raises:
        StateError: the file cannot be read, or regfleet did not write it.
    """
    text = state.read_text(name)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return {version: parse}[found["version"]](found)  # another version raises LookupError
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        message = f"{state.path_of(name)} is not what regfleet wrote: {error}"
        raise StateError(message, hint) from error
