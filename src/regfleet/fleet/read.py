"""The first stage: a file's bytes to its text and the TOML document in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import tomli

from regfleet.errors import FleetFileError, Mistake
from regfleet.fleet import toml_text
from regfleet.fleet.findings import Place, Table

MAX_BYTES = 16 * 1024 * 1024  # a fleet of 100000 hosts is a third of it
MAX_DEPTH = 32  # the schema's own depth is 7; only `daemon` may go deeper
_MAX_INTEGER = 2**63  # TOML 1.0: 64-bit signed integers
_LINE = re.compile(r"at line (\d+)")


class Source(NamedTuple):
    """A fleet file as it is written."""

    text: str
    document: Table


def read(path: Path) -> Source:
    """Reads a fleet file.

    Raises:
        FleetFileError: it cannot be read, or is not TOML.
    """
    try:
        text = _decoded(_bytes_of(path))
        document = _parsed(text)
    except _UnreadableError as unreadable:
        raise FleetFileError(str(path), [unreadable.mistake]) from None
    return Source(text, document)


class _UnreadableError(Exception):
    def __init__(self, message: str, hint: str = "", line: int = 0, path: str = "") -> None:
        super().__init__(message)
        self.mistake = Mistake(line, path, message, hint)


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _UnreadableError("there is no such file", "regfleet init writes one") from None
    except IsADirectoryError:
        raise _UnreadableError("is a directory", "name the fleet file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise _UnreadableError(f"cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise _UnreadableError(f"is longer than {MAX_BYTES >> 20} MiB", "is it a fleet file?")
    return content


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")  # some editors put a byte order mark first
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 (byte 0x{content[error.start]:02x})"
        raise _UnreadableError(message, "save it as UTF-8", line) from None


def _parsed(text: str) -> Table:
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + (not text.endswith("\n"))
        raise _UnreadableError(
            f"is not TOML: {_reason(error)}", "https://toml.io explains the format", line
        ) from None
    except RecursionError:
        raise _UnreadableError("nests arrays or tables too deep", "is it a fleet file?") from None
    except ValueError:  # Python's limit on the digits of an integer
        raise _UnreadableError(
            "has an integer that does not fit in 64 bits", "is it a fleet file?"
        ) from None
    if not document:
        raise _UnreadableError("is empty: it declares nothing", "regfleet init writes one")
    _refuse_monsters(document)
    return document


def _reason(error: tomli.TOMLDecodeError) -> str:
    reason = re.sub(r" \(at .*\)$", "", str(error))
    return reason[:1].lower() + reason[1:]


def _refuse_monsters(document: Table) -> None:
    """Refuses what would trip a later stage: deep nesting, integers too long to print."""
    todo: list[tuple[object, Place]] = [(document, ())]
    while todo:
        item, place = todo.pop()
        if isinstance(item, dict):
            todo.extend((child, (*place, name)) for name, child in item.items())
        elif isinstance(item, list):
            todo.extend((child, (*place, index)) for index, child in enumerate(item))
        elif isinstance(item, int) and not -_MAX_INTEGER <= item < _MAX_INTEGER:
            message = "is an integer that does not fit in 64 bits"
            raise _UnreadableError(message, "64 bits hold 19 digits", path=toml_text.place(place))
        if len(place) > MAX_DEPTH:
            message = f"is nested more than {MAX_DEPTH} levels deep"
            raise _UnreadableError(message, "write it flatter", path=toml_text.place(place[:3]))
