"""Cleans text for a terminal: removes controls and characters that hide or reverse text. Pure."""

from __future__ import annotations

import re

REPLACED = "\N{REPLACEMENT CHARACTER}"

# Colour sequences (ECMA-48, 8.3.117), which engines print, are removed whole. Of any other
# sequence only the control is replaced: otherwise a host could make regfleet's own text vanish.
_SEQUENCES = re.compile("\x1b\\[[0-9;]{0,16}m")

# Unicode's categories Cc, Cf, Cs, Zl and Zp: controls, format characters (direction of writing,
# zero width, tags), surrogates, separators of lines and paragraphs; and what fonts show as nothing
# (Unicode Standard, table 23-3 and chapter 4.5, Default_Ignorable_Code_Point).
_FORMATS = (
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_UNSAFE = f"\x00-\x08\x0b-\x1f\x7f-\x9f{_FORMATS}\ud800-\udfff"
_UNSAFE_OR_BLANK = re.compile(f"[\t\n{_UNSAFE}]")
_UNSAFE_OR_TAB = re.compile(f"[\t{_UNSAFE}]")
_IN_JSON = re.compile(f"[\x7f-\x9f{_FORMATS}\ud800-\udfff]")


def clean(text: str) -> str:
    """The text as one line without terminal controls: each is replaced, line ends become blanks."""
    spaced = _SEQUENCES.sub("", text).replace("\t", "    ").replace("\n", " ")
    return _UNSAFE_OR_BLANK.sub(REPLACED, spaced)


def clean_lines(text: str) -> str:
    """As `clean`, but line feeds stay."""
    return "\n".join(map(clean, text.split("\n")))


def same_length(text: str, *, lines: bool) -> str:
    """As `clean`, but the length stays: for text whose parts are styled by position.

    Args:
        lines: whether line feeds stay.
    """
    if not _UNSAFE_OR_BLANK.search(text):
        return text
    return (_UNSAFE_OR_TAB if lines else _UNSAFE_OR_BLANK).sub(_replacement, text)


def _replacement(found: re.Match[str]) -> str:
    return " " if found[0] in "\t\n" else REPLACED


def escape_json(text: str) -> str:
    """A JSON text with such characters escaped in its strings; it parses to the same value.

    Python's writer escapes either the C0 controls alone or everything outside ASCII. Half
    surrogates, which parsers may refuse (RFC 8259, 8.2), are replaced.
    """
    return _IN_JSON.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - Unicode's surrogates
        return REPLACED
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
