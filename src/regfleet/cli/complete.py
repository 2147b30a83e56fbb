"""Shell completion: fleet files, hosts and groups, users and projects, the reference's sections.

Called by click's completion (`_REGFLEET_COMPLETE=bash_source regfleet` and so on). It never fails:
on an error it offers nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from regfleet.cli.options import USUAL_FILE
from regfleet.errors import RegfleetError
from regfleet.fleet import reference
from regfleet.fleet.copies import copies
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet

_MOST_ENTRIES = 2000  # of a directory; a Tab has to answer at once


def files(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """TOML files whose path begins with `incomplete`, also one directory deeper.

    If there are none, the shell completes directories.
    """
    del context
    folder, begun = os.path.split(incomplete)
    prefix = os.path.join(folder, "") if folder else ""  # noqa: PTH118 - as typed, ./ and ~ kept
    found = sorted(_toml_files(Path(folder or ".").expanduser(), begun))
    if not found:
        return [CompletionItem(incomplete, type="dir")]
    return [CompletionItem(f"{prefix}{name}") for name in found]


def _toml_files(folder: Path, begun: str) -> Iterator[str]:
    for entry in _entries(folder):
        if not entry.name.startswith(begun) or (entry.name.startswith(".") and not begun):
            continue
        if entry.suffix == ".toml" and entry.is_file():
            yield entry.name
        elif entry.is_dir():
            inside = _entries(entry)
            yield from (f"{entry.name}/{each.name}" for each in inside if each.suffix == ".toml")


def _entries(folder: Path) -> list[Path]:
    try:
        return list(islice(folder.iterdir(), _MOST_ENTRIES))
    except OSError:
        return []


def hosts(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Groups and hosts of the fleet file on the command line, by default ./fleet.toml.

    Completes the last of several names that commas separate.
    """
    fleet = _fleet(_file(context))
    if fleet is None:
        return []
    before, comma, begun = incomplete.rpartition(",")
    told = {group: _count(len(members)) for group, members in fleet.groups().items()}
    told |= {name: host.address for name, host in fleet.hosts().items() if name not in told}
    taken = set(before.split(","))
    return [
        CompletionItem(f"{before}{comma}{name}", help=what)
        for name, what in told.items()
        if name.startswith(begun) and name not in taken
    ]


def users_and_projects(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Users and projects of all registries of the fleet file on the command line."""
    fleet = _fleet(_file(context))
    registries = fleet.registries.values() if fleet else ()
    told = {user.name: f"user of {each.name}" for each in registries for user in each.users}
    for each in registries:
        for project in each.projects:
            told.setdefault(project.name, f"project in {each.name}")
    return [
        CompletionItem(name, help=what)
        for name, what in told.items()
        if name.startswith(incomplete)
    ]


def registries(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Registries with rules of retention, of the fleet file on the command line."""
    fleet = _fleet(_file(context))
    return [
        CompletionItem(each.name, help=each.endpoint)
        for each in (fleet.registries.values() if fleet else ())
        if each.retention.rules and each.name.startswith(incomplete)
    ]


def backed_up(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Registries with backups, of the fleet file on the command line."""
    fleet = _fleet(_file(context))
    return [
        CompletionItem(each.name, help=each.backup.to)
        for each in (fleet.registries.values() if fleet else ())
        if each.backup and each.name.startswith(incomplete)
    ]


def images(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """The beginnings of images' names: a registry and a slash."""
    fleet = _fleet(_file(context))
    names = (f"{name}/" for name in (fleet.registries if fleet else ()))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def replications(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Policies of replication, and their copies, of the fleet file on the command line."""
    fleet = _fleet(_file(context))
    told: dict[str, str] = {}
    for each in copies(fleet) if fleet else ():
        way = f"{each.source.name} to {', '.join(each.policy.targets)}"
        told.setdefault(each.policy.name, way)
        if len(each.policy.targets) > 1:
            told[each.name] = f"{each.source.name} to {each.target.name}"
    return [
        CompletionItem(name, help=what)
        for name, what in told.items()
        if name.startswith(incomplete)
    ]


def stages(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Stages of promotion, of the fleet file on the command line."""
    fleet = _fleet(_file(context))
    return [
        CompletionItem(each.name, help=f"{each.source.registry} to {each.target.registry}")
        for each in (fleet.promotions.values() if fleet else ())
        if each.name.startswith(incomplete)
    ]


def _file(context: click.Context) -> Path:
    """The fleet file on the command line.

    After an option without its value, click leaves the words unparsed in `args`. Some commands
    take the file as the first of several words.
    """
    given = [each for key, each in context.params.items() if key in ("file", "words", "images")]
    words = [word for each in given for word in (each if isinstance(each, tuple) else (each,))]
    paths = (Path(word).expanduser() for word in (*context.args, *words) if word)
    return next((path for path in paths if path.is_file()), USUAL_FILE)


def _fleet(path: Path) -> Fleet | None:
    try:
        return load(path, commands=False)  # pressing a key must not start programs
    except (RegfleetError, OSError):
        return None


def _count(number: int) -> str:
    return f"{number} host{'' if number == 1 else 's'}"


def sections(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Sections of the reference."""
    del context
    return [
        CompletionItem(section.name, help=section.header)
        for section in reference.sections()
        if section.name.startswith(incomplete)
    ]
