"""The vocabulary of a host's wanted state, shared by engines, runtimes and the plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from regfleet.fleet.model import EngineName, Json
from regfleet.secret import Secret


@dataclass(frozen=True, slots=True)
class File:
    """A file that regfleet owns whole.

    Attributes:
        content: the bytes; never shown when `secret`.
        mode: permission bits, such as 0o444.
        reason: what in the fleet file asks for it, such as `client.build.registries`.
    """

    path: str
    content: bytes = field(repr=False)
    mode: int
    reason: str
    secret: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that has to exist; root owns it. Contents that are not ours stay.

    Attributes:
        own: it bears a name of ours: it goes with us, when empty, whoever made it.
    """

    path: str
    mode: int
    reason: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """What regfleet wants to own in daemon.json, or in another file that others write too.

    Attributes:
        lists: entries to be in a list, by key; other entries and their order stay.
        values: whole values, by key.
        reasons: what in the fleet file asks for a key, by key.
        secret: keys whose values are shown nowhere, and recorded as a digest only.
    """

    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, Json] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Image:
    """An image that has to be on the host: pulled or, where `archive` is given, loaded from it.

    Attributes:
        archive_digest: SHA-256 of the archive, hexadecimal; empty without one.
    """

    reference: str
    archive: Path | None = None
    archive_digest: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs for good.

    Attributes:
        arguments: `docker run` arguments between the name and the image, labels left out.
        command: what stands behind the image.
        storage: directory on the host that holds its data.
        inputs: digests of files that are read at start alone: new ones mean a new container.
        port: TCP port on the host that has to answer `/v2/`.
        tls: whether it answers HTTPS.
    """

    name: str
    image: Image
    arguments: tuple[str, ...]
    command: tuple[str, ...]
    storage: str
    inputs: tuple[str, ...]
    port: int
    tls: bool
    registry: str
    fleet: str
    reason: str

    @property
    def specification(self) -> str:
        """A hash over all that a running container cannot change: kept in its label."""
        parts = [
            self.name,
            self.image.reference,
            self.arguments,
            self.command,
            self.inputs,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32] + self.archive_mark

    @property
    def archive_mark(self) -> str:
        """How a specification ends that was made from the image's archive."""
        return f".{self.image.archive_digest[:16]}"


@dataclass(frozen=True, slots=True)
class LoginEntry:
    """A login to keep in an account's configuration.

    Attributes:
        engine: the shell word of the engine whose command logs in.
        file: where that keeps logins, relative to the account's home.
    """

    account: str
    endpoint: str
    user: str
    password: Secret
    registry: str
    reason: str
    engine: str = "docker"
    file: str = ".docker/config.json"


@dataclass(frozen=True, slots=True)
class DesiredHost:
    """All that regfleet wants of one host.

    Attributes:
        name: the host's name in the fleet.
        fleet: the fleet's name; what regfleet owns on a host it owns for one fleet.
        engine: the engine that the host has to have, or None when nothing is wanted.
        engines: the engines to look at and plan for; more than `engine` where a registry runs
            beside a client of another engine, and the same when nothing is wanted any more.
        install: whether the engine may be installed where it is missing.
        migrate_flags: whether dockerd's flags that stand in the way may be moved.
        conditional: directories and files that are wanted where the look shows what they are
            for; the engine's plan says which.
        edits: what is wanted in files that others write too, daemon.json apart, by path.
        images: images to look for, so that a missing archive can travel (the smoke test's).
        delete_storage: directories whose data goes with the last of regfleet (`--delete-data`).
    """

    name: str
    fleet: str
    engine: EngineName | None = None
    engines: tuple[EngineName, ...] = ("docker",)
    install: bool = False
    migrate_flags: bool = False
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    conditional: tuple[Directory | File, ...] = ()
    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    edits: Mapping[str, DaemonSettings] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    logins: tuple[LoginEntry, ...] = ()
    images: tuple[Image, ...] = ()
    delete_storage: tuple[str, ...] = ()
