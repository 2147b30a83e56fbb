"""The ownership record: what regfleet wrote on a host, so that it can take just that out again.

One JSON document on the host, `/var/lib/regfleet/owned.json`, root's and 0600, with one section
a fleet: two fleets may share a host and neither removes what the other still wants.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import cast

from regfleet.fleet.model import Json

DIRECTORY = "/var/lib/regfleet"
PATH = f"{DIRECTORY}/owned.json"
CONTAINERS = f"{DIRECTORY}/containers"  # how each container of ours is run, a file each
ORIGINAL = f"{DIRECTORY}/original"  # what stood at a path before us, under that path
VERSION = 1


@dataclass(frozen=True, slots=True)
class OwnedList:
    """Entries of a daemon.json list that are ours; `existed`: the key was there before us."""

    entries: tuple[str, ...]
    existed: bool


@dataclass(frozen=True, slots=True)
class OwnedValue:
    """A daemon.json value that is ours, and what stood there before if `existed`."""

    value: Json
    before: Json
    existed: bool


@dataclass(frozen=True, slots=True)
class OwnedLogin:
    """A login that is ours. `digest` is the salted SHA-256 of its `user:password`."""

    account: str
    endpoint: str
    user: str
    digest: str


@dataclass(frozen=True, slots=True)
class OwnedContainer:
    """A container that is ours.

    Attributes:
        storage: the host directory that holds its data.
        image: its image where that came with us, empty where it was there before.
    """

    name: str
    storage: str
    image: str = ""


@dataclass(frozen=True, slots=True)
class OwnedEdit:
    """What is ours in a configuration file that others write too.

    Attributes:
        created: we made the file, and it goes when nothing but ours was in it.
        lists, values: by path into the document (see `regfleet.documents`).
    """

    created: bool = False
    lists: Mapping[str, OwnedList] = field(default_factory=dict)
    values: Mapping[str, OwnedValue] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.lists or self.values)


@dataclass(frozen=True, slots=True)
class Owned:
    """What one fleet owns on one host.

    Attributes:
        engine: the client engine whose configuration holds it; empty where the host is none.
        daemon_created, lists, values: what is ours in daemon.json.
        edits: what is ours in other files that are not wholly ours, by path.
        digests: SHA-256 of the files' contents as we wrote them, by path; none of those that were
            written before digests were kept.
    """

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    daemon_created: bool = False
    lists: Mapping[str, OwnedList] = field(default_factory=dict)
    values: Mapping[str, OwnedValue] = field(default_factory=dict)
    logins: tuple[OwnedLogin, ...] = ()
    containers: tuple[OwnedContainer, ...] = ()
    engine: str = ""
    edits: Mapping[str, OwnedEdit] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(
            (
                self.files,
                self.directories,
                self.lists,
                self.values,
                self.logins,
                self.containers,
                self.edits,
            )
        )


class RecordError(ValueError):
    """The record on the host is not one that this version wrote."""


def parse(text: str | None) -> dict[str, Owned]:
    """The record as fleets by name; an absent or empty file is an empty record.

    Raises:
        RecordError: not JSON, another version's, or with a field missing.
    """
    if not text or not text.strip():
        return {}
    try:
        document = json.loads(text)
        if document["version"] != VERSION:
            raise RecordError(f"version {document['version']} is not {VERSION}")
        return {name: _owned(section) for name, section in document["fleets"].items()}
    except KeyError as error:
        raise RecordError(f"{error} is missing") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(str(error)) from error


def render(fleets: Mapping[str, Owned]) -> str:
    """The record as JSON; fleets that own nothing any more are left out."""
    sections = {name: asdict(owned) for name, owned in sorted(fleets.items()) if owned}
    return json.dumps({"version": VERSION, "fleets": sections}, indent=1) + "\n"


def _owned(section: Mapping[str, Json]) -> Owned:
    # Absent where it was written before there were other engines than Docker.
    edits = cast("dict[str, dict[str, Json]]", section.get("edits", {}))
    return Owned(
        files=_texts(section["files"]),
        directories=_texts(section["directories"]),
        daemon_created=bool(section["daemon_created"]),
        lists=_lists(section["lists"]),
        values=_values(section["values"]),
        logins=tuple(
            OwnedLogin(**_fields(login)) for login in cast("list[Json]", section["logins"])
        ),
        containers=tuple(
            OwnedContainer(**_fields(container))
            for container in cast("list[Json]", section["containers"])
        ),
        engine=_text(section.get("engine", "")),
        edits={
            path: OwnedEdit(bool(edit["created"]), _lists(edit["lists"]), _values(edit["values"]))
            for path, edit in edits.items()
        },
        digests=_fields(section.get("digests", {})),
    )


def _lists(section: Json) -> dict[str, OwnedList]:
    return {
        key: OwnedList(_texts(value["entries"]), bool(value["existed"]))
        for key, value in cast("dict[str, dict[str, Json]]", section).items()
    }


def _values(section: Json) -> dict[str, OwnedValue]:
    return {
        key: OwnedValue(value["value"], value["before"], bool(value["existed"]))
        for key, value in cast("dict[str, dict[str, Json]]", section).items()
    }


def _texts(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.60} where a list belongs")
    return tuple(_text(each) for each in value)


def _fields(value: Json) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r:.60} where an object belongs")
    return {key: _text(each) for key, each in value.items()}


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} where text belongs")
    return value
