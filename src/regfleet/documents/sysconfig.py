"""Edits flags in files of shell variables: /etc/sysconfig/docker, /etc/default/docker.

A path is (variable, flag). Its value is a list with a string for each occurrence of the flag,
"true" for a flag without a value. Both `--flag value` and `--flag=value` are read; a new flag is
written like its neighbours. A variable that holds no flags is one string. A variable that systemd
and sh would read differently is not edited.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeGuard

from regfleet.documents import brackets
from regfleet.documents.edited import (
    CannotEditError,
    EditedDocument,
    cut_lines,
    insert_lines,
    line_end,
    line_number,
    line_start,
)
from regfleet.documents.interface import NotReadableError, Parts, parts
from regfleet.documents.sysconfig_scan import ALONE, Flag, Variable, flags, scan
from regfleet.fleet.values import Json

_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,=~\[\]-]+", re.ASCII)
_HINT = "Write the line as plain flags between quotes: {}='--flag value --flag value'."
_IN_FLAG = 2  # names in the path of a flag


def parse(text: str | None) -> SysconfigDocument:
    """A file of shell assignments as a document; an absent one is empty."""
    return SysconfigDocument(text or "")


class SysconfigDocument(EditedDocument):
    """A file of shell assignments."""

    def __getitem__(self, key: str) -> Json:
        """See Document.

        Raises:
            NotReadableError: systemd and sh may read the flag's variable differently.
        """
        name, *flag = parts(key)
        variable = scan(self._text).get(name)
        if flag and variable and variable.trouble:
            line = line_number(self._text, variable.start)
            raise NotReadableError(f"{name}: {variable.trouble}", line, _HINT.format(name))
        return super().__getitem__(key)

    def line(self, key: str) -> int:
        """See Document."""
        variable = scan(self._text).get(parts(key)[0])
        return line_number(self._text, variable.start) if variable else 0

    def has_table(self, key: str) -> bool:
        """See Document."""
        return parts(key)[0] in scan(self._text)

    def prune(self, key: str) -> None:
        """See Document."""
        variable = scan(self._text).get(parts(key)[0])
        if variable and not variable.trouble and not variable.text.strip():
            del self[key]

    def _parse_text(self, text: str) -> dict[str, Json]:
        return {name: _variable_value(text, variable) for name, variable in scan(text).items()}

    def _set_in_text(self, place: Parts, value: Json) -> str:
        if len(place) != _IN_FLAG or not _is_texts(value):
            raise CannotEditError("a variable holds flags, and a flag strings")
        if not value:
            raise CannotEditError("a flag needs a value")
        text = self._text
        name, flag = place
        if name not in scan(text):
            words = " ".join(_render_flag(flag, each, " ") for each in value)
            return insert_lines(text, len(text), [f"{name}='{words}'"])
        stays = brackets.kept([each.value for each in _flags_named(text, name, flag)], value)
        for each in value[sum(stays) :]:
            text = _append_flag(text, name, flag, each)
        for index in reversed(range(len(stays))):
            text = (
                text
                if stays[index]
                else _remove_flag(text, name, _flags_named(text, name, flag)[index])
            )
        return text

    def _cut_from_text(self, place: Parts) -> str:
        text = self._text
        variable = scan(text)[place[0]]
        if len(place) == 1:
            start, end = line_start(text, variable.start), line_end(text, variable.end)
            return cut_lines(text, start, end)
        while there := _flags_named(text, place[0], place[1]):
            text = _remove_flag(text, place[0], there[-1])
        return text


def _variable_value(text: str, variable: Variable) -> Json:
    found = flags(variable)
    if found is None:
        return text[variable.value : variable.end] if variable.trouble else variable.text
    values: dict[str, Json] = {}
    for flag in found:
        values[flag.name] = [each.value for each in found if each.name == flag.name]
    return values


def _is_texts(value: Json) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _flags_named(text: str, name: str, flag: str) -> list[Flag]:
    return [each for each in _flags_of(text, name) if each.name == flag]


def _flags_of(text: str, name: str) -> list[Flag]:
    return flags(scan(text)[name]) or []


def _append_flag(text: str, name: str, flag: str, value: str) -> str:
    """The text with a new flag, after the last of its name or at the end."""
    variable = scan(text)[name]
    there = _flags_of(text, name)
    if not there:
        item = _render_flag(flag, value, " ")
        if not variable.quote:
            item = f"'{item}'"
        position = variable.value + len(variable.quote)
        return text[:position] + item + text[position:]
    named = [each for each in there if each.name == flag]
    like = [each.form for each in [*there, *named] if each.form]
    item = _render_flag(flag, value, like[-1] if like else " ")
    position = (named or there)[-1].end
    text = f"{text[:position]} {item}{text[position:]}"
    if not variable.quote and not re.search(r"\s", variable.text):
        # One word needs no quotes, two do.
        end = variable.end + 1 + len(item)
        text = f"{text[: variable.value]}'{text[variable.value : end]}'{text[end:]}"
    return text


def _render_flag(flag: str, value: str, form: str) -> str:
    """The text of a flag; pflag reads a switch's value only after `=`."""
    if not re.fullmatch(r"--?[A-Za-z][A-Za-z0-9.-]*", flag) or not _SAFE.fullmatch(value):
        raise CannotEditError(f"systemd and sh would read {flag} {value!r} differently")
    return f"{flag}{'=' if value in {ALONE, 'false'} else form}{value}"


def _remove_flag(text: str, name: str, flag: Flag) -> str:
    there: Sequence[Flag] = _flags_of(text, name)
    before = [each.end for each in there if each.end <= flag.start]
    behind = [each.start for each in there if each.start >= flag.end]
    if before:
        return text[: before[-1]] + text[flag.end :]
    return text[: flag.start] + text[behind[0] if behind else flag.end :]
