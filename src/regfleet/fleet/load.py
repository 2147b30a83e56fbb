"""Loads a fleet file into a `Fleet`: runs the stages in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from regfleet.errors import FleetFileError, Mistake
from regfleet.fleet.build import build
from regfleet.fleet.check.document import check
from regfleet.fleet.expand import Expanded, expand, is_needed
from regfleet.fleet.findings import Finding, Place, Table
from regfleet.fleet.include import Included, Part, include
from regfleet.fleet.model import Fleet
from regfleet.fleet.read import read, shown
from regfleet.fleet.validate import validate, without
from regfleet.fleet.warnings import warnings


def load(
    path: Path, *, files_needed: bool = True, keys_needed: bool = True, commands: bool = True
) -> Fleet:
    """Loads and checks a fleet file, with the files and the lists of hosts that it names.

    Contacts nothing, but for what a declared command contacts.

    Args:
        path: the TOML file. `-` is standard input; its relative paths start at the working
            directory.
        files_needed: whether the archives and certificates that it names must exist.
        keys_needed: whether the certificates' keys must exist.
        commands: whether commands that list hosts may run; without, a file that has one is
            refused.

    Raises:
        FleetFileError: lists every mistake, in the file's order.
    """
    source = read(path)
    absolute = path.absolute()
    found = validate(source.document)
    sound = without(source.document, found) if found else source.document
    whole = Included(sound, [], [], {})
    if sound.get("include"):
        whole = include(sound, absolute)
        found += whole.findings
    main = Part("", absolute, source.text)

    def part_of(place: Place) -> Part:
        return whole.parts.get(place[:2], main)

    document, lists = whole.document, Expanded(whole.document, [], {})
    if is_needed(document):
        lists = expand(document, lambda place: part_of(place).path.parent, commands=commands)
        document, more = _checked(lists)
        found += more
    found += check(document, absolute.parent, files_needed=files_needed, keys_needed=keys_needed)
    if found or whole.mistakes:
        located = _locate(found, part_of, lists.sources)
        raise FleetFileError(shown(path), [*whole.mistakes, *located])
    fleet = build(document, absolute)
    dangers = _locate(warnings(fleet), part_of, lists.sources)
    return replace(fleet, warnings=tuple(sorted(dangers, key=lambda each: (each.file, each))))


def _checked(lists: Expanded) -> tuple[Table, list[Finding]]:
    """The document with sound lists of hosts, and what the schema does not allow in them."""
    groups: dict[str, Any] = {}
    for section, name, _ in map(_as_strings, lists.sources):
        items = lists.document[section][name]["hosts"]
        if items is not None:
            groups.setdefault(section, {})[name] = {"hosts": items}
    found = validate({"version": 1, "name": "lists", **groups})
    return without(lists.document, found), [*lists.findings, *found]


def _as_strings(place: Place) -> tuple[str, ...]:
    return tuple(map(str, place))


def _locate(
    findings: Iterable[Finding], part_of: Callable[[Place], Part], sources: Mapping[Place, str]
) -> list[Mistake]:
    """Findings with the file and the line that each is in."""
    by_part: dict[str, tuple[Part, list[Finding]]] = {}
    for finding in findings:
        part = part_of(finding.place)
        _, group = by_part.setdefault(part.label, (part, []))
        group.append(_with_source(finding, sources))
    return [each for part, group in by_part.values() for each in part.mistakes(group)]


def _with_source(finding: Finding, sources: Mapping[Place, str]) -> Finding:
    """A finding in a list from elsewhere says which host of which list it is about."""
    source = sources.get(finding.place[:3])
    index = next(iter(finding.place[3:]), None)
    if source is None or not isinstance(index, int):
        return finding
    return finding._replace(message=f"{finding.message} (host {index + 1} of {source})")
