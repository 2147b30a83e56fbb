"""Replaces `hosts = { command = … }` and `hosts = { file = … }` by the hosts that they list.

An edge: it runs the command, or reads the file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from regfleet import local_command
from regfleet.fleet import defaults, host_lists
from regfleet.fleet.check import tables
from regfleet.fleet.findings import Finding, Place, RefusedError, Table
from regfleet.fleet.toml_text import shown
from regfleet.given_files import open_given
from regfleet.local_command import LocalCommandError

SECONDS = 60.0  # a cloud's inventory takes some seconds
MAX_BYTES = 32 << 20  # an inventory of 10000 hosts with all of Ansible's variables has about 20 MiB


class Expanded(NamedTuple):
    """A document whose `hosts` are lists.

    Attributes:
        sources: where each list came from, in words, by the place of its `hosts`.
    """

    document: Table
    findings: list[Finding]
    sources: dict[Place, str]


def is_needed(document: Table) -> bool:
    """Whether any group takes its hosts from a command or a file."""
    return any(True for _ in _dynamic(document))


def expand(
    document: Table, folder_of: Callable[[Place], Path], *, commands: bool = True
) -> Expanded:
    """Run the commands and read the files.

    Args:
        document: checked by the schema.
        folder_of: the folder of the file that a group's place is in; its commands run there, and
            its relative paths start there.
        commands: whether commands may run.
    """
    changed: dict[str, Any] = dict(document)
    found: list[Finding] = []
    sources: dict[Place, str] = {}
    for section, name, source in _dynamic(document):
        place: Place = (section, name, "hosts")
        sources[place] = _words(source)
        items: Any = None
        try:
            if None not in source.values():  # which the schema has refused
                _require_usable(source, commands=commands)
                items = host_lists.parse(_text(source, folder_of(place)), source.get("group"))
        except RefusedError as refused:
            what = f"{_words(source)} " if len({"file", "command"} & {*source}) == 1 else ""
            found.append(Finding(place, f"{what}{refused.message}", refused.hint))
        groups = dict(changed[section])
        groups[name] = {**groups[name], "hosts": items}
        changed[section] = groups
    return Expanded(changed, found, sources)


def _dynamic(document: Table) -> list[tuple[str, str, Table]]:
    return [
        (section, name, group["hosts"])
        for section in ("registry", "client")
        for name, group in tables.named(document, section)
        if isinstance(group.get("hosts"), dict)
    ]


def _require_usable(source: Table, *, commands: bool) -> None:
    if ("file" in source) == ("command" in source):
        raise RefusedError("must have one of file, command", 'for example: { file = "build.csv" }')
    if "command" in source and not commands:
        raise RefusedError("is not run now")


def _words(source: Table) -> str:
    command = source.get("command")
    if command:
        return f"the command {shown(command)}"
    return f"the file {shown(source.get('file', ''))}"


def _text(source: Table, folder: Path) -> str:
    if "file" in source:
        content = _read(defaults.local_path(source["file"], folder))
    else:
        content = _output(source["command"], folder)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RefusedError("does not give UTF-8 text", "save it as UTF-8") from None


def _read(path: Path) -> bytes:
    try:
        with open_given(path) as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RefusedError("does not exist", "relative paths start at the fleet file") from None
    except OSError as error:
        raise RefusedError(f"cannot be read: {error.strerror or error}", "check the path") from None
    if len(content) > MAX_BYTES:
        raise RefusedError(f"is longer than {MAX_BYTES >> 20} MiB", "is it a list of hosts?")
    return content


@cache
def _output(command: str, folder: Path) -> bytes:
    """A command's output. Each runs once in a process: a command may load its fleet again."""
    try:
        return local_command.run(command, seconds=SECONDS, limit=MAX_BYTES, folder=folder)
    except LocalCommandError as error:
        raise RefusedError(error.message, error.hint or f"run it by hand in {folder}") from None
    except OSError as error:
        raise RefusedError(f"cannot be run: {error.strerror}", f"in {folder}") from None
