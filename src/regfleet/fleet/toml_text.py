"""Keys and values as a user types them in TOML: for paths in messages, hints and the template."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LONGEST_SHOWN = 60


def key(name: str) -> str:
    """A key: bare where TOML allows it, quoted elsewhere."""
    return name if _BARE.fullmatch(name) else _quoted(name)


def value(thing: object) -> str:
    """A value on one line. `thing` is what JSON has: strings, numbers, booleans, lists, dicts."""
    if isinstance(thing, str):
        return _quoted(thing)
    if isinstance(thing, Mapping):
        pairs = ", ".join(f"{key(name)} = {value(item)}" for name, item in thing.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(thing, Sequence):
        return f"[{', '.join(value(item) for item in thing)}]"
    return json.dumps(thing)


def place(parts: Sequence[str | int]) -> str:
    """A place in a fleet file: `client.build.mirrors[0]`."""
    written = ""
    for part in parts:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += f".{_cut(key(part))}" if written else _cut(key(part))
    return written


def shown(text: str) -> str:
    """A string from the file as messages quote it: escaped, and cut when it is long."""
    return _cut(_quoted(text))


def type_name(thing: object) -> str:
    """What TOML calls a value's type, with its article."""
    for kind, name in _TYPES:
        if isinstance(thing, kind):
            return name
    return f"a {type(thing).__name__}"


# The order matters: in Python a bool is an int, and a datetime is a date.
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (str, "a string"),
    (list, "an array"),
    (dict, "a table"),
    (dt.datetime, "a date and time"),
    (dt.date, "a date"),
    (dt.time, "a time"),
)


def _quoted(text: str) -> str:
    # JSON's escapes are a subset of those of TOML's basic strings; DEL alone needs one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
