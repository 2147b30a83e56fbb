"""What one look found on a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from regfleet.record import Owned

EngineState = Literal["missing", "down", "silent", "up"]


@dataclass(frozen=True, slots=True)
class ObservedPath:
    """A file or directory. `digest` is the file's SHA-256, empty for a directory."""

    path: str
    directory: bool
    mode: int
    owner: tuple[int, int]
    digest: str


@dataclass(frozen=True, slots=True)
class ObservedContainer:
    """A container by name. `specification` and `fleet` are its regfleet labels or empty."""

    name: str
    running: bool
    image: str
    specification: str
    fleet: str


@dataclass(frozen=True, slots=True)
class ObservedEngine:
    """A Docker engine.

    Attributes:
        state: `missing` (no dockerd), `down` (not running), `silent` (runs, does not answer), `up`.
        version: as the daemon says it, `20.10.24+dfsg1`; empty when it does not.
        detail: why it is silent, or the client program found without a daemon.
        flags: the running daemon's arguments.
        config: path of daemon.json, symbolic links followed.
        unit: path of the unit that starts it, where there is one.
        insecure: names and networks that the live daemon holds insecure.
        mirrors: the live daemon's mirrors, each with its closing slash.
        values: further live settings by daemon.json key, where `docker info` shows them.
        containerd_store: images lie in containerd's store, and are fetched as containerd does.
        running: containers that run now.
        live_restore: whether they outlive a restart of the daemon.
    """

    state: EngineState
    version: str = ""
    detail: str = ""
    flags: tuple[str, ...] = ()
    config: str = "/etc/docker/daemon.json"
    unit: str = ""
    insecure: frozenset[str] = frozenset()
    mirrors: tuple[str, ...] = ()
    values: Mapping[str, str | bool] = field(default_factory=dict)
    containerd_store: bool = False
    running: int = 0
    live_restore: bool = False


@dataclass(frozen=True, slots=True)
class OtherEngine:
    """An engine that is not Docker.

    Attributes:
        state: `missing`, `down`, `silent` (runs, does not answer) or `up`; one without a daemon
            is `up` where its command is there.
        facts: what its look says besides, by name: `unit`, ...
    """

    state: EngineState
    version: str = ""
    detail: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObservedHost:
    """One host at one moment.

    Attributes:
        clock: its clock, seconds since the epoch.
        init: `systemd` or `scripts`.
        packages: its package manager's command (`apt-get`, ...) or empty.
        daemon_json: the whole of daemon.json, None when absent.
        original_daemon_json: as it was before anything of ours, None where that is not known.
        engine: its Docker engine.
        others: its engines that are not Docker, of those that were asked about, by shell word.
        texts: whole files that are merged into, daemon.json apart, by path; absent ones are not
            here. `originals`: as they were before anything of ours, where that is kept.
        pending: whether a touch was cut off here and is to be put back.
        busy: whose touch is in the middle of its work here, empty where none is.
        owned: the ownership record by fleet; `record` is its exact text.
        images: identifiers of the images that were asked for and are there, by reference.
        logins: by account and endpoint: a salted digest, `helper` or `no-account`.
    """

    uid: int
    clock: int
    os: str
    os_version: str
    init: Literal["systemd", "scripts"]
    packages: str
    paths: Mapping[str, ObservedPath]
    daemon_json: str | None
    record: str | None
    owned: Mapping[str, Owned]
    engine: ObservedEngine
    containers: Mapping[str, ObservedContainer]
    images: Mapping[str, str]
    logins: Mapping[tuple[str, str], str]
    original_daemon_json: str | None = None
    pending: bool = False
    busy: str = ""
    others: Mapping[str, OtherEngine] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    originals: Mapping[str, str] = field(default_factory=dict)

    def state_of(self, word: str) -> tuple[EngineState, str]:
        """State and version of an engine by its shell word; Docker's where it is no other's."""
        engine = self.others.get(word, self.engine)
        return engine.state, engine.version
