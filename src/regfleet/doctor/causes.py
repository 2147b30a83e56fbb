"""The table of causes, and which of them an error line tells of. Pure.

What is known of a failure stands in `causes.toml`: to add one, write a table there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import tomli

# Where an error line names the registry: in a URL, or behind `docker login`.
_ENDPOINT = re.compile(r"https?://(?P<endpoint>[A-Za-z0-9.-]+(?::\d+)?)(?=[/\s\"']|$)")
_PLACEHOLDER = re.compile(r"{(\w+)}")
_LONGEST = 64 * 1024  # characters; more is a log, and its end is what matters


@dataclass(frozen=True, slots=True)
class Cause:
    """What can be wrong.

    Attributes:
        name: its key in `causes.toml`, for programs.
        title, means, check, fix, by_hand: texts with placeholders, for `fill`.
        says: how error lines tell of it.
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
        """Every text of it."""
        return (self.title, self.means, *self.check, *self.fix, *self.by_hand)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A cause that a text tells of.

    Attributes:
        fragment: the words that told; nothing else of the text, which may hold a password.
        values: what the line says of placeholders.
    """

    cause: Cause
    fragment: str
    values: Mapping[str, str]


@cache
def causes() -> Mapping[str, Cause]:
    """Every cause by name, in the order in which lines are compared with them."""
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
    """The first cause that a line tells of, None where it is known of none."""
    for cause in causes().values():
        for pattern in cause.says:
            found = pattern.search(line)
            if found:
                named = {key: value for key, value in found.groupdict().items() if value}
                return Recognised(cause, found[0].strip(), {**_endpoint(line), **named})
    return None


def explain(text: str) -> tuple[Recognised, ...]:
    """The causes that a pasted text tells of, each once, in the text's order.

    A terminal may have broken a line: where no line alone tells anything, all of them together
    are one.
    """
    lines = text[-_LONGEST:].splitlines()
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
    """A text with its placeholders filled; unknown ones in capitals, `{{` and `}}` as braces."""
    names = _PLACEHOLDER.findall(text.replace("{{", "").replace("}}", ""))
    return text.format_map({name: values.get(name, name.upper()) for name in names})


def _endpoint(line: str) -> dict[str, str]:
    found = _ENDPOINT.search(line)
    if not found:
        return {}
    name, _, port = found["endpoint"].partition(":")
    return {"endpoint": found["endpoint"], "name": name, "port": port or "443"}
