"""The ownership record: what regfleet wrote on a host, so that it can remove exactly that.

It is one JSON document on the host, `/var/lib/regfleet/owned.json`, owned by root, mode 0600. Each
fleet has a section: fleets that share a host do not remove what another fleet still needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import cast

from regfleet.fleet.values import Json

DIRECTORY = "/var/lib/regfleet"
PATH = f"{DIRECTORY}/owned.json"
SERVICES = f"{DIRECTORY}/services"  # a file for each of regfleet's services: how it is run
CONTAINERS = f"{DIRECTORY}/containers"  # the same for containers, written by version 0.1
BROUGHT = f"{DIRECTORY}/brought"  # the images that regfleet brought; see `parse_brought`
ORIGINAL = f"{DIRECTORY}/original"  # the first content of files that regfleet replaced, by path
# Version 1 had `containers` instead of `services`, and recorded daemon.json's keys apart from
# other files. It is read, and replaced at the host's next change. A regfleet that knows only
# version 1 refuses version 2.
VERSION = 2
# Names Docker's configuration in the record, even when dockerd reads another file.
DAEMON_JSON = "/etc/docker/daemon.json"


@dataclass(frozen=True, slots=True)
class OwnedList:
    """Entries of a list that regfleet owns; `existed`: whether the key existed before."""

    entries: tuple[str, ...]
    existed: bool


@dataclass(frozen=True, slots=True)
class OwnedValue:
    """A value that regfleet owns; `before` is the earlier value if `existed`."""

    value: Json
    before: Json
    existed: bool


@dataclass(frozen=True, slots=True)
class OwnedLogin:
    """A login that regfleet owns. `digest` is the salted SHA-256 of its `user:password`."""

    account: str
    endpoint: str
    user: str
    digest: str


@dataclass(frozen=True, slots=True)
class OwnedService:
    """A service that regfleet owns.

    Attributes:
        storage: the host directory that holds its data.
        image: its image if regfleet brought it; empty if the host had it before.
        kind: a `model.service.ServiceKind`, or a kind of a later version.
        registry: the registry that it belongs to.
    """

    name: str
    storage: str
    image: str = ""
    kind: str = "container"
    registry: str = ""


@dataclass(frozen=True, slots=True)
class BroughtImage:
    """An image that a fleet loaded into an engine, or let it pull.

    Attributes:
        engine: the engine's shell word.
    """

    fleet: str
    engine: str
    reference: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """A registry made by hand that stands aside while one of regfleet's serves in its place.

    Attributes:
        service: regfleet's service.
        port: the port that it served.
        kind, key, name, restart: as those of `model.foreign.Foreign`.
    """

    service: str
    port: str
    kind: str
    key: str
    name: str
    restart: str


@dataclass(frozen=True, slots=True)
class OwnedEdit:
    """What regfleet owns in a configuration file that others write too.

    Attributes:
        created: whether regfleet created the file, and removes it when nothing else is in it.
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
        engine: the client engine that is configured; empty when the host is no client.
        edits: what regfleet owns in files that others write too, by path; `DAEMON_JSON` stands
            for daemon.json at any path.
        digests: SHA-256 of the contents that regfleet wrote, by path; files that were written
            before digests were kept have none.
        adopted: registries that stand aside.
    """

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    logins: tuple[OwnedLogin, ...] = ()
    services: tuple[OwnedService, ...] = ()
    engine: str = ""
    edits: Mapping[str, OwnedEdit] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    adopted: tuple[Adopted, ...] = ()

    def __bool__(self) -> bool:
        return any(
            (
                self.adopted,
                self.files,
                self.directories,
                self.logins,
                self.services,
                self.edits,
            )
        )


def path(*parts: str) -> str:
    """The key, as text, of a place in a document; `documents.interface.parts` reads it."""
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


class RecordError(ValueError):
    """This version cannot read the record on the host."""


def parse(text: str | None) -> dict[str, Owned]:
    """The record as fleets by name; an absent or empty file is an empty record.

    Raises:
        RecordError: it is not JSON, of a later version, or lacks a field.
    """
    if not text or not text.strip():
        return {}
    try:
        document = json.loads(text)
        if document["version"] not in (VERSION, 1):
            raise RecordError(f"version {document['version']} is not {VERSION} or an earlier one")
        return {name: _parse_section(section) for name, section in document["fleets"].items()}
    except KeyError as error:
        raise RecordError(f"{error} is missing") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(str(error)) from error


def render(fleets: Mapping[str, Owned]) -> str:
    """The record as JSON, without fleets that own nothing."""
    sections = {name: asdict(owned) for name, owned in sorted(fleets.items()) if owned}
    return json.dumps({"version": VERSION, "fleets": sections}, indent=1) + "\n"


def _parse_section(section: Mapping[str, Json]) -> Owned:
    # Records from before there were other engines than Docker have no `edits`.
    edited = cast("dict[str, dict[str, Json]]", section.get("edits", {}))
    edits = {
        name: OwnedEdit(
            bool(edit["created"]), _parse_lists(edit["lists"]), _parse_values(edit["values"])
        )
        for name, edit in edited.items()
    }
    if "daemon_created" in section:
        edits = {DAEMON_JSON: _daemon_json_of_version_1(section), **edits}
    return Owned(
        files=_require_texts(section["files"]),
        directories=_require_texts(section["directories"]),
        logins=tuple(
            OwnedLogin(**_require_fields(login)) for login in cast("list[Json]", section["logins"])
        ),
        services=tuple(
            _parse_service(_require_fields(service))
            for service in cast("list[Json]", section.get("services", section.get("containers")))
        ),
        engine=_require_text(section.get("engine", "")),
        edits={name: edit for name, edit in edits.items() if edit},
        digests=_require_fields(section.get("digests", {})),
        adopted=tuple(
            Adopted(**_require_fields(each))
            for each in cast("list[Json]", section.get("adopted", []))
        ),
    )


def parse_brought(text: str | None) -> frozenset[BroughtImage]:
    """The images that regfleet brought to a host, of which a line was written before each came.

    A touch that fails or is killed leaves its images to the next one, and a change of runtime
    leaves them for the way back: this list is what is removed with the fleet. Lines of fleet,
    engine and reference, with tabs between them; others are passed over.
    """
    lines = [line.split("\t") for line in (text or "").splitlines()]
    whole = [line for line in lines if len(line) == len(fields(BroughtImage)) and all(line)]
    return frozenset(BroughtImage(*line) for line in whole)


def _parse_service(recorded: Mapping[str, str]) -> OwnedService:
    """A recorded service; earlier versions named it for its registry, and recorded none."""
    registry = recorded["name"].removeprefix("regfleet-")
    return OwnedService(**{"registry": registry, **recorded})


def _daemon_json_of_version_1(section: Mapping[str, Json]) -> OwnedEdit:
    """What regfleet owns in daemon.json, from a section of version 1."""
    return OwnedEdit(
        bool(section["daemon_created"]),
        {path(key): each for key, each in _parse_lists(section["lists"]).items()},
        {path(key): each for key, each in _parse_values(section["values"]).items()},
    )


def _parse_lists(section: Json) -> dict[str, OwnedList]:
    return {
        key: OwnedList(_require_texts(value["entries"]), bool(value["existed"]))
        for key, value in cast("dict[str, dict[str, Json]]", section).items()
    }


def _parse_values(section: Json) -> dict[str, OwnedValue]:
    return {
        key: OwnedValue(value["value"], value["before"], bool(value["existed"]))
        for key, value in cast("dict[str, dict[str, Json]]", section).items()
    }


def _require_texts(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.60} where a list belongs")
    return tuple(_require_text(each) for each in value)


def _require_fields(value: Json) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r:.60} where an object belongs")
    return {key: _require_text(each) for key, each in value.items()}


def _require_text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} where text belongs")
    return value
