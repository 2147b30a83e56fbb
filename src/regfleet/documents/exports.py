"""Edits variables that a service script exports: `export NAME="value"` in /etc/default/docker.

A path is the variable's name, its value a string. All else in the file keeps its bytes. Only sh
reads such files (systemd ignores `export`).
"""

from __future__ import annotations

import re

from regfleet.documents.edited import (
    CannotEditError,
    EditedDocument,
    cut_lines,
    insert_lines,
    line_end,
    line_number,
)
from regfleet.documents.interface import Parts, parts
from regfleet.fleet.values import Json

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PLAIN = re.compile(r"[^\"\\$`\x00-\x1f]*")  # nothing that sh expands between quotes
_ASSIGNED = r"^[ \t]*(?:export[ \t]+)?"
_LINE = re.compile(
    _ASSIGNED + r"""(\w+)=("[^"\\$`\n]*"|'[^'\n]*'|[\w./:@%+,=~\[\]-]*)[ \t]*$""",
    re.ASCII | re.MULTILINE,
)


def parse(text: str | None) -> ExportsDocument:
    """A file of shell assignments as a document; an absent one is empty."""
    return ExportsDocument(text or "")


class ExportsDocument(EditedDocument):
    """A file of shell assignments; those that are no plain ones of a line are not in its tree."""

    def line(self, key: str) -> int:
        """See Document."""
        match = _lines(self._text).get(parts(key)[0])
        return line_number(self._text, match.start()) if match else 0

    def has_table(self, key: str) -> bool:
        """See Document."""
        del key
        return False

    def prune(self, key: str) -> None:
        """See Document."""

    def _parse_text(self, text: str) -> dict[str, Json]:
        return {name: _bare(match[2]) for name, match in _lines(text).items()}

    def _set_in_text(self, place: Parts, value: Json) -> str:
        if len(place) != 1 or not _NAME.fullmatch(place[0]):
            raise CannotEditError("a variable has a name alone")
        if not isinstance(value, str) or not _PLAIN.fullmatch(value):
            raise CannotEditError("sh would not read this value as it is")
        text, line = self._text, f'export {place[0]}="{value}"'
        match = self._only(place[0])
        if match is None:
            return insert_lines(text, len(text), [line])
        return text[: match.start()] + line + text[match.end() :]

    def _cut_from_text(self, place: Parts) -> str:
        match = self._only(place[0])
        start, end = match.span() if match else (0, 0)
        return cut_lines(self._text, start, line_end(self._text, end))

    def _only(self, name: str) -> re.Match[str] | None:
        """The line that sets a variable; None where none does.

        Raises:
            CannotEditError: several do, or one that is more than an assignment.
        """
        match = _lines(self._text).get(name)
        every = re.findall(rf"^.*\b{name}\+?=.*$", self._text, re.ASCII | re.MULTILINE)
        every = [each for each in every if not each.lstrip().startswith("#")]
        if len(every) > (1 if match else 0):
            raise CannotEditError("it is set more than once, or by more than a plain assignment")
        return match


def _lines(text: str) -> dict[str, re.Match[str]]:
    return {match[1]: match for match in _LINE.finditer(text)}


def _bare(value: str) -> str:
    return value[1:-1] if value[:1] in {'"', "'"} else value
