"""The table of causes, and how to recognise one in an error line. Pure.

To add a cause, add a table to `causes.toml`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import tomli

# A registry's endpoint in an error line.
_ENDPOINT = re.compile(r"https?://(?P<endpoint>[A-Za-z0-9.-]+(?::\d+)?)(?=[/\s\"']|$)")
_PLACEHOLDER = re.compile(r"{(\w+)}")
COMMAND = "$ "  # begins a shell command
_QUOTED_ALREADY = {"file", "limit"}
_MOST_TEXT = 64 * 1024  # characters; of a longer text, a log, only the end is read


@dataclass(frozen=True, slots=True)
class Cause:
    """A known cause of failure.

    Attributes:
        name: its key in `causes.toml`, for programs.
        title, means, check, fix, by_hand: texts with placeholders, for `fill`.
        says: patterns of error lines that have this cause.
        examples: such lines.
    """

    name: str
    title: str
    means: str
    check: tuple[str, ...]
    fix: tuple[str, ...]
    by_hand: tuple[str, ...]
    says: tuple[re.Pattern[str], ...]
    examples: tuple[str, ...]

    def texts(self) -> tuple[str, ...]:
        """All its texts with placeholders."""
        return (self.title, self.means, *self.check, *self.fix, *self.by_hand)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A cause that was recognised in a text.

    Attributes:
        fragment: the matched words only: the rest of the text may hold a password.
        values: placeholders that the line gives.
    """

    cause: Cause
    fragment: str
    values: Mapping[str, str]


@cache
def causes() -> Mapping[str, Cause]:
    """Every cause by name, in matching order."""
    text = files("regfleet.doctor").joinpath("causes.toml").read_text("utf-8")
    return {name: _cause(name, table) for name, table in tomli.loads(text).items()}


def _cause(name: str, table: Mapping[str, object]) -> Cause:
    def texts(key: str) -> tuple[str, ...]:
        found = table.get(key, [])
        return tuple(map(str, found)) if isinstance(found, list) else ()

    return Cause(
        name,
        str(table["title"]),
        str(table["means"]),
        texts("check"),
        texts("fix"),
        texts("by_hand"),
        tuple(re.compile(each, re.IGNORECASE) for each in texts("says")),
        texts("example"),
    )


def recognise(line: str) -> Recognised | None:
    """The first cause whose pattern matches the line; None if none matches."""
    for cause in causes().values():
        for pattern in cause.says:
            found = pattern.search(line)
            if found:
                named = {key: value for key, value in found.groupdict().items() if value}
                return Recognised(cause, found[0].strip(), {**_endpoint(line), **named})
    return None


def explain(text: str) -> tuple[Recognised, ...]:
    """The causes recognised in a pasted text, each once, in the text's order.

    A terminal may have broken a line: if no single line matches, all lines are joined into one.
    """
    lines = text[-_MOST_TEXT:].splitlines()
    found: dict[str, Recognised] = {}
    for line in lines or [""]:
        told = recognise(line)
        if told:
            found.setdefault(told.cause.name, told)
    if not found:
        broken = (" ".join(map(str.strip, lines)), "".join(map(str.strip, lines)))
        told = next(filter(None, map(recognise, broken)), None)
        if told:
            found[told.cause.name] = told
    return tuple(found.values())


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders filled, unknown ones in capitals; `{{` and `}}` are braces.

    In a command (`$ `) each value is quoted for the shell.
    """
    names = _PLACEHOLDER.findall(text.replace("{{", "").replace("}}", ""))
    filled = {name: values.get(name, name.upper()) for name in names}
    if text.startswith(COMMAND):
        for name in filled.keys() - _QUOTED_ALREADY:
            quoted = text.partition(f"{{{name}}}")[0].count("'") % 2
            word = filled[name]
            filled[name] = word.replace("'", "'\\''") if quoted else shlex.quote(word)
    return text.format_map(filled)


def _endpoint(line: str) -> dict[str, str]:
    found = _ENDPOINT.search(line)
    if not found:
        return {}
    name, _, port = found["endpoint"].partition(":")
    return {"endpoint": found["endpoint"], "name": name, "port": port or "443"}
