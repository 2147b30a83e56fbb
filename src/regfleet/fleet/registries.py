"""A declared registry and what belongs to it: users, projects, gateway, storage, retention."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from regfleet.fleet.machines import Host
from regfleet.fleet.schedules import NEVER, Schedule

Runtime: TypeAlias = str  # one of the runtimes in the schema
TlsSource = Literal["fleet-ca", "files", "public", "none"]
PasswordKind = Literal["env", "file", "command", "generate"]
Role = Literal["guest", "developer", "admin"]
_REACHED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """Where a password comes from. `value` is the variable, file (absolute) or shell command."""

    kind: PasswordKind
    value: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A registry's user."""

    name: str
    password: PasswordSource


@dataclass(frozen=True, slots=True)
class Tls:
    """How a registry proves who it is.

    Attributes:
        source: `fleet-ca`, `files`, `none` (plain HTTP), or `public`, for an external registry
            alone: a CA that every machine trusts already has signed its certificate.
        names: further subject alternative names.
        certificate: PEM file with the leaf first, `files` only.
        key: PEM private key file, `files` only; None for an external registry.
        ca: PEM file of the CA that clients are to trust, `files` only; None when every machine
            trusts it already.
    """

    source: TlsSource
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a registry may use of its host.

    Attributes:
        memory: the limit as Docker writes it (`512m`), None for no limit.
        pids: the number of processes and threads.
        log_size, log_files: the size of a log file, as Docker writes it, at which Docker begins
            the next, and how many files it keeps.
    """

    memory: str | None = None
    pids: int = 4096
    log_size: str = "10m"
    log_files: int = 5


@dataclass(frozen=True, slots=True)
class S3:
    """A bucket that keeps a registry's images.

    Attributes:
        endpoint: the service's URL; empty for Amazon's.
        keys: the sources of the access key and of the secret key; None where the registry uses
            the role of the machine that it runs on.
        prefix: the directory in the bucket; empty for its top.
        ca: PEM file of the CA that signed the service's certificate; None where the system's do.
        redirect: whether clients are sent to the service for the contents of layers.
    """

    bucket: str
    region: str
    endpoint: str = ""
    keys: tuple[PasswordSource, PasswordSource] | None = None
    prefix: str = ""
    ca: Path | None = None
    redirect: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What stays in some repositories; at least one of the `keep_…` is set.

    Attributes:
        repositories: names or shell patterns.
        keep_last: this many tags, those that were pushed last; 0 for none.
        keep_younger: tags that were pushed within so many seconds; 0 for none.
        keep_tags: these tags, names or shell patterns.
        keep_deployed: what clients hold or run.
    """

    repositories: tuple[str, ...]
    keep_last: int = 0
    keep_younger: int = 0
    keep_tags: tuple[str, ...] = ()
    keep_deployed: bool = False


@dataclass(frozen=True, slots=True)
class Retention:
    """Which images are deleted in the course of time.

    Attributes:
        rules: the first that matches a repository counts; without one all tags stay.
        untagged_older: how many seconds old images without a tag have to be to be collected.
        gc: when the registry's host collects garbage by itself.
    """

    rules: tuple[Rule, ...] = ()
    untagged_older: int = 24 * 3600
    gc: Schedule = NEVER


@dataclass(frozen=True, slots=True)
class Backup:
    """Where copies of a registry's images are kept.

    Attributes:
        to: the directory on the registry's host.
        mounted: whether another file system has to be mounted there.
        keep: how many backups stay.
        schedule: when the registry's host makes one by itself.
        key: the source of the passphrase that encrypts the state directory; None to leave that out.
    """

    to: str
    mounted: bool = False
    keep: int = 14
    schedule: Schedule = NEVER
    key: PasswordSource | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """What one user is in one project."""

    user: str
    role: Role


@dataclass(frozen=True, slots=True)
class Project:
    """Repositories with members: that of the project's name, and all below it.

    Attributes:
        name: `team-a` or `team-a/infra`, as images name it.
        public: whether anybody may pull without a login.
        roles: the members' roles by user, for quick look-ups.
    """

    name: str
    public: bool = False
    members: tuple[Member, ...] = ()
    roles: Mapping[str, Role] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        roles = {member.user: member.role for member in self.members}
        object.__setattr__(self, "roles", roles)


@dataclass(frozen=True, slots=True)
class Gateway:
    """What stands before a registry's instances: nginx with njs, which ends TLS and gives tokens.

    Attributes:
        port: the TCP port at which an instance listens, with TLS, for gateways on other hosts.
        hosts: the machines that it runs on; empty for the registry's own.
        vip: the address, with the prefix of its network, that one of them has at a time; empty
            for none.
        before: the names of the registries that it stands before, the preferred one first; empty
            where it stands before the instances of its own registry.
        logins: as whom it logs in to these, by name.
    """

    image: str
    image_archive: Path | None = None
    port: int = 22510
    hosts: tuple[Host, ...] = ()
    vip: str = ""
    before: tuple[str, ...] = ()
    logins: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Instance:
    """Where a registry is served: by a gateway, or by a copy of the registry that has none.

    Attributes:
        host: the machine that it runs on.
        address: the address at which that machine reaches it, without brackets.
        port: the TCP port there.
    """

    host: Host
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Proxy:
    """The HTTP proxy of an engine, or of a registry.

    Attributes:
        http, https: its URL for requests of each scheme, without a login; empty for none.
        no_proxy: what is reached without it, besides the fleet's own.
        user: as whom to log in to it; None without a login.
        containers: whether an engine's containers and builds get it, too.
    """

    http: str = ""
    https: str = ""
    no_proxy: tuple[str, ...] = ()
    user: User | None = None
    containers: bool = False


@dataclass(frozen=True, slots=True)
class Registry:
    """A declared registry.

    Attributes:
        endpoint: `host` or `host:port` exactly as clients type it.
        hosts: the machines that run it and keep or reach its images; empty when `external`, and
            where it is a gateway before other registries.
        smoke: whether the smoke test may push to it.
        proxy: the upstream's URL when it is a pull-through cache, else None.
        proxy_user: as whom it logs in to its upstream; None without a login.
        http_proxy: the HTTP proxy by which it reaches its upstream or its bucket; None for none.
        adopt: whether it takes over from a registry that serves its port and was made by hand.
        proxy_ttl: how long it keeps what it fetched, as Go writes durations; empty for its default.
        serves_docker_hub: whether the upstream is Docker Hub, or a mirror of it.
        listen: the host's address (without brackets) and the port that it listens on; None for
            all addresses and the endpoint's port.
        storage: the host's directory that keeps its images; empty where `s3` does.
        shared: whether that directory is one file system on all its hosts.
        admins: the users who may do everything where there are projects.
        projects: who may do what in which repositories; without any, every user may do everything.
        gateway: what enforces these roles, and balances over instances; None without one.
        retention: which images are deleted in the course of time.
        backup: where copies of its images are kept; None for nowhere.
        read_only_of: the registry whose images this one serves read-only, on the same hosts and
            from the same storage (`[registry.NAME.readonly]`); empty for a registry of its own.
        by_project: the projects by name, for quick look-ups.
    """

    name: str
    endpoint: str
    hosts: tuple[Host, ...]
    external: bool
    runtime: Runtime
    image: str
    image_archive: Path | None
    storage: str
    delete: bool
    tls: Tls
    users: tuple[User, ...]
    allow_plaintext_passwords: bool
    smoke: bool
    proxy: str | None = None
    serves_docker_hub: bool = False
    listen: tuple[str, int] | None = None
    limits: Limits = field(default_factory=Limits)
    proxy_user: User | None = None
    proxy_ttl: str = ""
    http_proxy: Proxy | None = None
    adopt: bool = False
    s3: S3 | None = None
    shared: bool = False
    admins: tuple[str, ...] = ()
    projects: tuple[Project, ...] = ()
    gateway: Gateway | None = None
    retention: Retention = field(default_factory=Retention)
    backup: Backup | None = None
    read_only_of: str = ""
    by_project: Mapping[str, Project] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_project = {project.name: project for project in self.projects}
        object.__setattr__(self, "by_project", by_project)

    @property
    def takes_pushes(self) -> bool:
        """Whether anybody may push to it at all."""
        return self.proxy is None and not self.read_only_of

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Where it is served, in the order of the hosts; an external registry has none."""
        return tuple(map(self._on, self.fronts))

    def _on(self, host: Host) -> Instance:
        address, port = self.listen or ("127.0.0.1", self.port)
        return Instance(host, _REACHED.get(address, address), port)

    def part_on(self, name: str) -> Instance | None:
        """As `instance`, also where the registry alone runs and a gateway elsewhere serves it."""
        return next((self._on(each) for each in self.machines if each.name == name), None)

    @property
    def fronts(self) -> tuple[Host, ...]:
        """The machines that its clients connect to."""
        return self.gateway.hosts if self.gateway and self.gateway.hosts else self.hosts

    @property
    def machines(self) -> tuple[Host, ...]:
        """All its machines: those that run it, then those that run its gateway alone."""
        own = frozenset(host.name for host in self.hosts)
        return (*self.hosts, *(host for host in self.fronts if host.name not in own))

    @property
    def spread(self) -> bool:
        """Whether gateways reach instances over the network, and not on their own host alone."""
        return self.gateway is not None and len(self.machines) > 1 and not self.before

    @property
    def before(self) -> tuple[str, ...]:
        """The registries that keep its images, where it is a gateway alone; else empty."""
        return self.gateway.before if self.gateway else ()

    def instance(self, on: Container[str] | None = None) -> Instance | None:
        """The instance that a probe or a tunnel connects to. Only this method chooses one.

        A client always connects to the endpoint; so does a caller who gets None.

        Args:
            on: the names of the hosts that the probe runs on or the tunnel can go through; by
                default all hosts.

        Returns:
            The first instance on one of these hosts; None when none of them runs one.
        """
        return next((each for each in self.instances if on is None or each.host.name in on), None)

    def reached_at(self, instance: Instance) -> tuple[str, int]:
        """The address and port by which other hosts reach one of its instances."""
        its_own = self.listen is not None and self.listen[0] == instance.address
        local = its_own or instance.host.is_local
        return instance.address if local else instance.host.address, instance.port

    @property
    def members(self) -> frozenset[str]:
        """The names of all its machines."""
        return frozenset(host.name for host in self.machines)

    @property
    def port(self) -> int:
        """The TCP port of the endpoint; without one, 443, or 80 without TLS."""
        _, colon, port = self.endpoint.rpartition(":")
        if colon and port.isdigit():
            return int(port)
        return 80 if self.tls.source == "none" else 443

    @property
    def host(self) -> str:
        """The host of the endpoint, in lower case and without brackets."""
        return urlsplit(f"//{self.endpoint}").hostname or ""

    def user(self, name: str) -> User:
        """The declared user of that name; `load` has checked that it exists."""
        return next(user for user in self.users if user.name == name)


def read_only_name(registry: str) -> str:
    """The name of what serves a registry read-only; no declared name has a dot in it."""
    return f"{registry}.readonly"
