"""The types for what one look found on a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from regfleet.model.foreign import Foreign
from regfleet.model.service import ServiceKind
from regfleet.record import DAEMON_JSON, BroughtImage, Owned
from regfleet.roles import Roles

DOCKER_PLACE = "/etc/docker"
IPV6 = "/proc/net/if_inet6"  # there where the kernel has IPv6 (proc(5))
ADDRESS = (
    "unix:///var/run/docker.sock"  # where dockerd listens unless told otherwise (dockerd(8), -H)
)


Holds = Literal["registry", "empty", "other"]
EngineState = Literal["missing", "down", "silent", "up"]


# How an engine starts with its machine. `masked`: systemd starts it under no circumstances;
# `socket`: when somebody connects to its socket; `unknown`: no service manager has it.
Boot = Literal["enabled", "socket", "disabled", "masked", "unknown"]


@dataclass(frozen=True, slots=True)
class Machine:
    """Which machine answered; unknown parts are empty.

    A machine id may be copied with an image (machine-id(5)). A boot id is made at random by a
    kernel when it starts (random(4)), and a namespace of processes tells containers on one kernel
    apart (namespaces(7)): those two are the same only for one running system.

    Attributes:
        id: 32 hexadecimal digits of /etc/machine-id.
        boot: a UUID.
        processes: `pid:[NUMBER]`.
    """

    id: str = ""
    boot: str = ""
    processes: str = ""

    @property
    def running(self) -> tuple[str, str] | None:
        """What one running system alone has; None if it is not known."""
        return (self.boot, self.processes) if self.boot and self.processes else None

    def is_same_as(self, other: Machine) -> bool:
        """Whether both are one running system."""
        copied = self.id and other.id and self.id != other.id
        return self.running is not None and self.running == other.running and not copied

    @property
    def words(self) -> str:
        """For a message."""
        return f"the machine id {self.id or '(none)'} and the boot id {self.boot}"


@dataclass(frozen=True, slots=True)
class ObservedPath:
    """A file or directory. `digest` is the file's SHA-256, empty for a directory."""

    path: str
    directory: bool
    mode: int
    owner: tuple[int, int]
    digest: str


@dataclass(frozen=True, slots=True)
class ObservedService:
    """A service on the host.

    Attributes:
        specification, fleet: read from the service itself (a container's labels), or empty.
        image: the identifier of a container's image.
        ports: the ports that a container publishes; None for other services.
    """

    name: str
    kind: ServiceKind
    running: bool
    specification: str
    fleet: str
    image: str = ""
    ports: frozenset[int] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ObservedEngine:
    """A Docker engine.

    Attributes:
        state: `missing` (no dockerd), `down` (not running), `silent` (runs, does not answer), `up`.
        version: the daemon's version, `20.10.24+dfsg1`; empty when it does not answer.
        detail: why it is silent, or the client program found without a daemon.
        instead: what is there where it is missing, in whose way another would be: `rootless
            ACCOUNT SOCKET`, `podman COMMAND` (under Docker's name) or `socket PATH`.
        place: where it reads what others read under /etc/docker: elsewhere if a snap has it.
        programs: the directory of its programs, if none that is searched for programs.
        remapped: whether containers run in a user namespace of their own.
        labelled: whether SELinux keeps them from files without a container's label.
        flags: the running daemon's arguments.
        address: where it is asked, as DOCKER_HOST has it.
        boot: how it starts with the machine.
        config: path of daemon.json, symbolic links followed.
        unit: path of the systemd unit that starts it; empty when there is none.
        start: how dockerd is started, where it may have other flags than the packages': properties
            of docker.service as `systemctl show` prints them, by name; or as `Script` the file that
            the init script reads DOCKER_OPTS from.
        insecure: names and networks that the live daemon treats as insecure.
        mirrors: the live daemon's mirrors, each with its closing slash.
        values: further live settings that `docker info` shows, by daemon.json key.
        containerd_store: whether it keeps and pulls images by containerd's image store.
        proxies: the proxy that it uses, by daemon.json's keys under `proxies`, logins hidden.
        running: the number of running containers.
        live_restore: whether containers keep running while the daemon restarts.
    """

    state: EngineState
    version: str = ""
    detail: str = ""
    flags: tuple[str, ...] = ()
    instead: str = ""
    place: str = DOCKER_PLACE
    programs: str = ""
    remapped: bool = False
    labelled: bool = False
    config: str = DAEMON_JSON
    unit: str = ""
    address: str = ADDRESS
    boot: Boot = "unknown"
    start: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    insecure: frozenset[str] = frozenset()
    mirrors: tuple[str, ...] = ()
    values: Mapping[str, str | bool] = field(default_factory=dict)
    containerd_store: bool = False
    proxies: Mapping[str, str] = field(default_factory=dict)
    running: int = 0
    live_restore: bool = False


@dataclass(frozen=True, slots=True)
class OtherEngine:
    """An engine that is not Docker.

    Attributes:
        state: `missing`, `down`, `silent` (runs, does not answer) or `up`; an engine without a
            daemon is `up` when its command exists.
        facts: further findings of its look, by name: `unit`, ...
    """

    state: EngineState
    version: str = ""
    detail: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObservedData:
    """The contents of a registry's storage directory.

    Attributes:
        holds: a `registry`'s images, nothing (`empty`), or something `other`.
        repositories, size: the number of repositories and the bytes of their layers and
            manifests; lower bounds unless `all_counted`.
    """

    holds: Holds
    repositories: int = 0
    size: int = 0
    all_counted: bool = True


@dataclass(frozen=True, slots=True)
class ObservedSpace:
    """The size and the free space of a file system (statvfs(3)).

    Attributes:
        size: bytes, without those reserved for root.
        free: bytes.
        inodes, free_inodes: 0 when the file system has no fixed number of them, as Btrfs.
    """

    size: int
    free: int
    inodes: int
    free_inodes: int


@dataclass(frozen=True, slots=True)
class ObservedTimer:
    """Work that a host does by itself at times.

    Attributes:
        state: of systemd's timer: `active`, `inactive`, or `none`.
        record: what the last run left, as it is; empty for nothing.
    """

    state: Literal["active", "inactive", "none"]
    record: str = ""


@dataclass(frozen=True, slots=True)
class ObservedHost:
    """One host at one moment.

    The look reports some attributes only for the paths, ports, images and engines that it was
    asked about.

    Attributes:
        clock: its clock, seconds since the epoch.
        init: `systemd`, `openrc`, or `scripts` where neither of them runs.
        machine: which machine it is.
        packages: its package manager's command (`apt-get`, ...) or empty.
        engine: its Docker engine.
        others: its other engines, by shell word.
        texts: the whole text of each existing file that regfleet edits, by path.
        originals: the text of such files before regfleet's first edit, when it is kept.
        pending: whether a touch was cut off here and must be rolled back.
        busy: the owner of the touch that is at work here; empty when none is.
        owned: the ownership record by fleet; `record` is its exact text.
        brought: the images that fleets brought, be they there or not (see `record.parse_brought`).
        space: the file systems that registries keep their data on, by directory.
        images: the identifiers of images that the host has, by reference.
        users: the users of htpasswd files, by path: see `htpasswd.marks_of_users`.
        roles: the roles that records of a registry's projects have, by path.
        listening: the addresses on which a program listens, by TCP port.
        holds: the first 1000 names in each directory of regfleet's that is no longer desired.
        logins: by account and endpoint: a salted digest, `helper` or `no-account`.
        data: the contents of existing storages that are to be deleted, by path.
        foreign: registries to be adopted, by the port that they serve.
        timers: by name.
        read_only: services of registries that take no pushes, for garbage is being collected.
        python: the path of a Python 3.6 or later; empty for none.
        cron: whether there is a cron that reads /etc/cron.d.
    """

    uid: int
    clock: int
    os: str
    os_version: str
    init: Literal["systemd", "openrc", "scripts"]
    packages: str
    paths: Mapping[str, ObservedPath]
    record: str | None
    owned: Mapping[str, Owned]
    engine: ObservedEngine
    services: Mapping[str, ObservedService]
    images: Mapping[str, str]
    logins: Mapping[tuple[str, str], str]
    machine: Machine = field(default=Machine(), compare=False)
    pending: bool = False
    busy: str = ""
    others: Mapping[str, OtherEngine] = field(default_factory=dict)
    space: Mapping[str, ObservedSpace] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    originals: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, ObservedData] = field(default_factory=dict)
    users: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    roles: Mapping[str, Roles] = field(default_factory=dict)
    listening: Mapping[int, frozenset[str]] = field(default_factory=dict)
    holds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    brought: frozenset[BroughtImage] = frozenset()
    foreign: Mapping[int, Foreign] = field(default_factory=dict)
    timers: Mapping[str, ObservedTimer] = field(default_factory=dict)
    read_only: frozenset[str] = frozenset()
    python: str = ""
    cron: bool = False

    def brought_by(self, fleet: str) -> frozenset[tuple[str, str]]:
        """The images that a fleet brought: engines' shell words and references."""
        return frozenset(
            (each.engine, each.reference) for each in self.brought if each.fleet == fleet
        )

    @property
    def daemon_json(self) -> str | None:
        """The whole of daemon.json, wherever dockerd reads it; None when absent."""
        return self.texts.get(self.engine.config)

    def state_of(self, word: str) -> tuple[EngineState, str]:
        """State and version of an engine by its shell word; Docker's for every other word."""
        engine = self.others.get(word, self.engine)
        return engine.state, engine.version
