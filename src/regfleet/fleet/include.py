"""Reads the files that `include` names, and puts their groups beside the fleet file's own.

An edge: it reads files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from regfleet.errors import FleetFileError, Mistake
from regfleet.fleet import defaults, lines, toml_text
from regfleet.fleet.check import files
from regfleet.fleet.findings import Finding, Place, RefusedError, Table
from regfleet.fleet.read import read
from regfleet.fleet.toml_text import shown
from regfleet.fleet.validate import validate, without

SECTIONS = ("registry", "client")
MAX_FILES = 10_000


class Part(NamedTuple):
    """A file that groups come from.

    Attributes:
        label: its path as messages show it, relative to the fleet file; empty for that itself.
    """

    label: str
    path: Path
    text: str

    def mistakes(self, findings: Iterable[Finding]) -> list[Mistake]:
        """Findings, with the line and the file that each is in."""
        listed = list(findings)
        written = lines.locate(self.text) if listed else {}
        return [
            Mistake(
                line=lines.find_line(written, each.place),
                path=toml_text.place(each.place),
                message=each.message,
                hint=each.hint,
                file=self.label,
            )
            for each in listed
        ]


class Included(NamedTuple):
    """A document with the groups of all files.

    Attributes:
        document: without mistakes, or None in their places.
        findings: in the fleet file.
        mistakes: in the included files.
        parts: the file of each group that is not in the fleet file, by section and name.
    """

    document: Table
    findings: list[Finding]
    mistakes: list[Mistake]
    parts: dict[Place, Part]


def include(document: Table, path: Path) -> Included:
    """Add the groups of the included files.

    Args:
        document: the fleet file's, checked by the schema.
        path: the fleet file, absolute.
    """
    whole: dict[str, Any] = dict(document)
    result = Included(whole, [], [], {})
    for file in _files(document, path, result.findings):
        try:
            label = str(file.relative_to(path.parent))
        except ValueError:
            label = str(file)
        try:
            source = read(file)
        except FleetFileError as error:
            result.mistakes.extend(
                Mistake(each.line, each.path, each.message, each.hint, label)
                for each in error.mistakes
            )
            continue
        _add(whole, source.document, Part(label, file, source.text), result)
    return result


def _files(document: Table, path: Path, found: list[Finding]) -> Iterator[Path]:
    """The files that the patterns match, each once, in the order of patterns and names."""
    seen = {path}
    for index, pattern in enumerate(document["include"]):
        place: Place = ("include", index)
        if pattern is None:
            continue
        try:
            matching = _matching(pattern, path.parent)
        except RefusedError as refused:
            found.append(Finding(place, refused.message, refused.hint))
            continue
        for file in matching:
            if file not in seen:
                seen.add(file)
                yield file
            if len(seen) > MAX_FILES:
                found.append(Finding(place, f"matches more than {MAX_FILES} files"))
                return


def _matching(pattern: str, folder: Path) -> list[Path]:
    start = defaults.local_path(pattern, folder)
    if not any(sign in pattern for sign in "*?["):
        return [start]
    anchor = Path(start.anchor)
    try:
        matching = sorted(anchor.glob(str(start.relative_to(anchor))))
    except (ValueError, OSError) as error:
        raise RefusedError(f"{shown(pattern)} cannot be searched: {error}") from None
    if not matching:
        raise RefusedError(
            f"{shown(pattern)} matches no file", "take it out, or check it: ls shows what is there"
        )
    return matching


def _add(whole: dict[str, Any], document: Table, part: Part, result: Included) -> None:
    """Add the groups of one included file to the whole document."""
    groups = {key: value for key, value in document.items() if key in SECTIONS}
    found = [
        Finding(
            (key,), "cannot be in an included file", "write it in the fleet file, or take it out"
        )
        for key in document
        if key not in SECTIONS
    ]
    found += validate({"version": 1, "name": "included", **groups})
    sound = _with_absolute_paths(without(groups, found), part.path.parent)
    for section in SECTIONS:
        for name, table in (sound.get(section) or {}).items():
            place: Place = (section, name)
            if name in whole.get(section, {}):
                other = result.parts[place].label if place in result.parts else "the fleet file"
                found.append(Finding(place, f"is declared in {other}, too", "keep one of them"))
                continue
            whole[section] = {**whole.get(section, {}), name: table}
            result.parts[place] = part
    result.mistakes.extend(part.mistakes(found))


def _with_absolute_paths(document: Table, folder: Path) -> Table:
    """A document whose relative paths start at `folder`; those that cannot be read stay."""
    for place, text in list(files.paths(document)):
        inner: Any = document
        for step in place[:-1]:
            inner = inner[step]
        try:
            inner[place[-1]] = str(defaults.local_path(text, folder))
        except RefusedError:
            continue  # the checks of the whole document say so
    return document
