"""A document written as YAML for people to read: blocks, comments, quotes where they are needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from regfleet.documents.yaml_text import printable, quoted
from regfleet.fleet.values import Json

# Words that every YAML reader takes for the text that they are (YAML 1.1 and 1.2).
_PLAIN = re.compile(r"[A-Za-z/_]([A-Za-z0-9_./:-]*[A-Za-z0-9_./-])?\Z")
_NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_STEP = "  "


def render(document: Mapping[str, Json], comments: Mapping[str, str] | None = None) -> str:
    """A mapping as a YAML document; its numbers are whole ones.

    Args:
        comments: what stands above a key, by the key, wherever it is; a line for each line.
    """
    return "".join(f"{line}\n" for line in _mapping(document, "", comments or {}))


def _mapping(
    document: Mapping[str, Json], indent: str, comments: Mapping[str, str]
) -> Iterator[str]:
    for key, value in document.items():
        for comment in comments.get(key, "").splitlines():
            yield f"{indent}# {comment}"
        name = f"{indent}{_scalar(key)}:"
        if isinstance(value, dict) and value:
            yield name
            yield from _mapping(value, indent + _STEP, comments)
        elif isinstance(value, list) and value:
            yield name
            yield from (f"{indent}{_STEP}- {_scalar(each)}" for each in value)
        else:
            yield f"{name} {_scalar(value)}"


def _scalar(value: Json) -> str:
    """On one line: a text as it is where that can be taken for nothing else, all else as JSON.

    JSON is YAML (YAML 1.2, section 1.3).
    """
    if not isinstance(value, str):
        return printable(json.dumps(value, ensure_ascii=False))
    if _PLAIN.match(value) and value.lower() not in _NOT_TEXT:
        return value
    return quoted(value)
