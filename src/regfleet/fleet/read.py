"""The first stage: reads a fleet file's text and parses the TOML in it."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import tomli

from regfleet.errors import FleetFileError, Mistake
from regfleet.fleet import toml_text
from regfleet.fleet.findings import Place, Table
from regfleet.given_files import open_given

MAX_BYTES = 16 * 1024 * 1024  # the file of a fleet of 100000 hosts has a third of this
STANDARD_INPUT = "-"  # as a path; for a file named -, write ./-
MAX_DEPTH = 32  # the schema's tables nest 7 levels; only `daemon` may nest deeper
_MAX_INTEGER = 2**63  # TOML 1.0: 64-bit signed integers
_LINE = re.compile(r"at line (\d+), column (\d+)")


class Source(NamedTuple):
    """A fleet file's text and its parsed TOML."""

    text: str
    document: Table


def read(path: Path) -> Source:
    """Reads a fleet file.

    Raises:
        FleetFileError: it cannot be read, or is not TOML.
    """
    try:
        text = _decode(_read_bytes(path))
        document = _parse(text)
    except _UnreadableError as unreadable:
        raise FleetFileError(shown(path), [unreadable.mistake]) from None
    return Source(text, document)


def shown(path: Path) -> str:
    """A fleet file's name for messages."""
    return "standard input" if str(path) == STANDARD_INPUT else str(path)


class _UnreadableError(Exception):
    def __init__(self, message: str, hint: str = "", line: int = 0, path: str = "") -> None:
        super().__init__(message)
        self.mistake = Mistake(line, path, message, hint)


@cache
def _standard_input() -> bytes:
    """Standard input, read once: a command may load its fleet more than once."""
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def _read_bytes(path: Path) -> bytes:
    try:
        if str(path) == STANDARD_INPUT:
            content = _standard_input()
        else:
            with open_given(path) as file:
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


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")  # some editors put a byte order mark first
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 (byte 0x{content[error.start]:02x})"
        raise _UnreadableError(message, "save it as UTF-8", line) from None


def _parse(text: str) -> Table:
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + (not text.endswith("\n"))
        reason = _parser_message(error)
        if found:
            reason = _comma_mistake(text, line, int(found[2])) or reason
        raise _UnreadableError(
            f"is not TOML: {reason}", "https://toml.io explains the format", line
        ) from None
    except RecursionError:
        raise _UnreadableError("nests arrays or tables too deep", "is it a fleet file?") from None
    except ValueError:  # Python's limit on the digits of an integer
        raise _UnreadableError(
            "has an integer that does not fit in 64 bits", "is it a fleet file?"
        ) from None
    if not document:
        raise _UnreadableError("is empty: it declares nothing", "regfleet init writes one")
    _refuse_extremes(document)
    return document


def _comma_mistake(text: str, line: int, column: int) -> str:
    """Says that a comma is the mistake at a line and column (from 1); empty when it is not."""
    at = sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column - 1
    before, rest = text[:at].rstrip(), text[at:].lstrip()
    if rest.startswith(","):
        return f"a comma too many, in column {column}"
    if before.endswith(",") and rest.startswith("}"):
        return f"a comma too many before the closing }} in column {column}"
    return ""


def _parser_message(error: tomli.TOMLDecodeError) -> str:
    reason = re.sub(r" \(at .*\)$", "", str(error))
    return reason[:1].lower() + reason[1:]


def _refuse_extremes(document: Table) -> None:
    """Refuses what a later stage cannot handle: deep nesting, integers too long to print."""
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
