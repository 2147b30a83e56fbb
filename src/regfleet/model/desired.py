"""The types that describe a host's desired state, shared by engines, services and the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regfleet.fleet.clients import EngineName
from regfleet.fleet.engine_rules import default_engine
from regfleet.fleet.schedules import Schedule
from regfleet.fleet.values import Json
from regfleet.model.files import Directory, File
from regfleet.model.service import Image, Service
from regfleet.secret import Secret

# Directories of a registry's storage whose owner the look reports (distribution,
# registry/storage/paths.go). A registry that ran as another user left all of them.
STORE_DIRECTORIES = (
    "",
    "/docker",
    "/docker/registry",
    "/docker/registry/v2",
    "/docker/registry/v2/blobs",
    "/docker/registry/v2/blobs/sha256",
    "/docker/registry/v2/repositories",
)

NOT_DECLARED = "no longer declared"


@dataclass(frozen=True, slots=True)
class WantedSettings:
    """The settings that regfleet is to own in a file that others write too.

    Keys are paths into the document (see `regfleet.documents`).

    Attributes:
        lists: entries that a list must have, by key; other entries and their order stay.
        values: whole values, by key.
        reasons: the place in the fleet file that asks for a key, by key.
        secret: keys whose values are never shown, and recorded only as a digest.
    """

    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, Json] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.lists or self.values)


# In the place of a login's endpoint: the HTTP proxies that an account's containers are told of, in
# the same file. The password is the text of that entry then. No registry is called so.
PROXIES = "@proxies"


@dataclass(frozen=True, slots=True)
class LoginEntry:
    """A login to keep in an account's configuration.

    Attributes:
        endpoint: the registry's, or `PROXIES`.
        registry: the registry's name; empty with `PROXIES`.
        engine: the shell word of the engine whose command logs in.
        file: the file in which it keeps logins, relative to the account's home; empty for none.
    """

    account: str
    endpoint: str
    user: str
    password: Secret
    registry: str
    reason: str
    engine: str
    file: str


@dataclass(frozen=True, slots=True)
class Timer:
    """Work that a host does, by itself at its time or when it is told to.

    Attributes:
        name: of its units.
        about: what it is, for people: `replication north.main`.
        command: the program's file and its arguments.
        python: whether the program is Python's; else it is sh's.
        schedule: when the host does it by itself.
        record: the file in which the last run says how it ended.
        seconds: how long a run may take.
        confined: lines of systemd's that say what the program may not do.
        cron: arguments that the program gets from cron alone.
        reason: the place in the fleet file that asks for it.
    """

    name: str
    about: str
    command: tuple[str, ...]
    schedule: Schedule
    record: str
    seconds: int
    reason: str
    python: bool = False
    confined: tuple[str, ...] = ()
    cron: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DesiredHost:
    """All that regfleet wants of one host.

    Attributes:
        name: the host's name in the fleet.
        fleet: the fleet's name; regfleet records ownership on a host for each fleet.
        engine: the engine that the host must have; None when the fleet file asks for none.
        engines: the engines to look at and plan for: `engine`, that of a registry on the same
            host, and, when nothing is desired any more, those to clean up after.
        account: whose the client's engine is; empty for root's.
        install: whether regfleet may install the engine when it is missing.
        vendor: whether it is then to come from Docker's own repository.
        migrate_flags: whether regfleet may move conflicting dockerd flags into daemon.json.
        conditional: directories and files that the engine's plan writes only when the look found
            the program that reads them.
        edits: the settings to own in files that others write too, by path.
        images: images to look for; the archive of a missing one is sent (the smoke test's).
        delete_storage: the registries' storage directories to delete (`--delete-data`).
        timers: what it does by itself at times, and what else leaves such records.
        why_gone: the reason that the plan gives for what it removes.
    """

    name: str
    fleet: str
    engine: EngineName | None = None
    engines: tuple[EngineName, ...] = field(default_factory=lambda: (default_engine(),))
    account: str = ""
    install: bool = False
    vendor: bool = False
    migrate_flags: bool = False
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    conditional: tuple[Directory | File, ...] = ()
    edits: Mapping[str, WantedSettings] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    logins: tuple[LoginEntry, ...] = ()
    images: tuple[Image, ...] = ()
    delete_storage: tuple[str, ...] = ()
    timers: tuple[Timer, ...] = ()
    why_gone: str = NOT_DECLARED
