"""Writes strings for YAML. JSON is valid YAML except for a few characters."""

from __future__ import annotations

import json
import re

# Characters that YAML must escape (YAML 1.2, 5.1) and JSON does not.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def printable(document: str) -> str:
    """A JSON text, written with `ensure_ascii=False`, as YAML.

    With `ensure_ascii=True` a character beyond U+FFFF would become two escapes, which YAML's
    readers refuse or read as two characters.
    """
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def quoted(text: str) -> str:
    """A double-quoted scalar."""
    return printable(json.dumps(text, ensure_ascii=False))
