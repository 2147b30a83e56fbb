"""The fleet as frozen dataclasses: all that the rest of regfleet knows of a fleet file."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from regfleet.errors import Mistake
from regfleet.fleet.addresses import HUB
from regfleet.fleet.schedules import NEVER, Schedule

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

HostKeyChecking = Literal["strict", "accept-new", "off"]
Runtime: TypeAlias = str  # one of the runtimes in the schema
EngineName: TypeAlias = str  # one of the engines in the schema
TlsSource = Literal["fleet-ca", "files", "public", "none"]
PasswordKind = Literal["env", "file", "command", "generate"]
Conflict = Literal["overwrite", "keep"]
RunOn = Literal["target", "source", "controller"]
Role = Literal["guest", "developer", "admin"]

_REACHED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here
LOCAL = "@local"  # pyinfra's name for the machine that it runs on; here the name of a host


@dataclass(frozen=True, slots=True)
class Ssh:
    """How to reach one host: `[ssh]` with the host's own `ssh` table laid over it.

    Attributes:
        user: login name, or None for the SSH configuration's default.
        port: TCP port, or None for the SSH configuration's.
        key: private key file, expanded and absolute, or None (agent, default keys).
        sudo: whether commands run as root through sudo or doas.
        host_key_checking: `strict`, `accept-new`, `off`, or None for the SSH configuration's.
        known_hosts: known_hosts file, absolute, or None for the SSH configuration's.
        control_persist: seconds for which an unused connection is kept for the next run; 0: none.
    """

    user: str | None
    port: int | None
    key: Path | None
    sudo: bool
    host_key_checking: HostKeyChecking | None
    known_hosts: Path | None
    control_persist: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """A machine. `name` identifies it everywhere; SSH connects to `address`."""

    name: str
    address: str
    ssh: Ssh

    @property
    def is_local(self) -> bool:
        """Whether this is the machine that regfleet itself runs on (`@local`)."""
        return self.name == LOCAL


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


@dataclass(frozen=True, slots=True)
class Login:
    """A login to a registry that clients keep.

    Attributes:
        registry: the declared registry's name.
        user: the registry's user.
        accounts: the Unix accounts of the hosts that get the login.
    """

    registry: str
    user: str
    accounts: tuple[str, ...] = ("root",)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror that clients pull through.

    Attributes:
        of: the registry whose images it has, as images name it; `*` for all that are not named.
        place: where it stands below the client's table, for messages.
        url: the mirror's URL.
        registry: the name of the declared registry at that URL; None for any other mirror.
    """

    url: str
    registry: str | None = None
    of: str = HUB
    place: tuple[str | int, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Client:
    """A group of machines that use registries.

    Attributes:
        install: whether to install an engine that is missing.
        vendor: whether from Docker's own repository instead of the distribution's.
        registries: the names of the registries that its hosts trust.
        daemon: further daemon.json keys that regfleet owns.
        migrate_flags: whether to move dockerd flags that conflict with daemon.json into it.
        proxy: the HTTP proxy of its engine; None for none of ours.
        account: whose the engine is; empty for root's.
        members: the hosts' names, as a set for quick look-ups.
    """

    name: str
    hosts: tuple[Host, ...]
    engine: EngineName
    install: bool
    registries: tuple[str, ...]
    mirrors: tuple[Mirror, ...]
    logins: tuple[Login, ...]
    daemon: Mapping[str, Json]
    migrate_flags: bool = False
    vendor: bool = False
    proxy: Proxy | None = None
    account: str = ""
    members: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", frozenset(host.name for host in self.hosts))

    @property
    def mirrored(self) -> frozenset[str]:
        """The names of the declared registries among its mirrors."""
        return frozenset(mirror.registry for mirror in self.mirrors if mirror.registry)

    @property
    def uses(self) -> frozenset[str]:
        """The names of the registries that its hosts trust, log in to or use as mirrors."""
        logins = (login.registry for login in self.logins)
        return self.mirrored.union(self.registries, logins)


@dataclass(frozen=True, slots=True)
class Replication:
    """Copies of images from one registry to others.

    Attributes:
        source, targets: declared registries' names.
        repositories, exclude, tags: shell patterns; `*` stands for slashes too.
        every: seconds between runs of its own; 0 for none.
        delete: whether deletions follow.
        max_delete: the most tags that a run may delete: a number, or percent of what was brought.
        logins: the user at each registry that wants one.
        http_proxy: by which external registries are reached from where it runs; None for none.
    """

    name: str
    source: str
    targets: tuple[str, ...]
    repositories: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    tags: tuple[str, ...] = ("*",)
    every: int = 0
    delete: bool = False
    max_delete: int | str = "20%"
    conflict: Conflict = "overwrite"
    parallel: int = 8
    run_on: RunOn = "target"
    logins: Mapping[str, str] = field(default_factory=dict, hash=False)
    http_proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """An end of a promotion: the repositories of a registry whose names begin with a prefix."""

    registry: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A stage that images are promoted to.

    Attributes:
        min_age: seconds that an image has to be in the source; 0 for any.
        checks: shell commands that have to end with 0.
        approve: accounts, one of which has to promote or approve; empty for nobody.
        keep_previous: how many earlier images of a tag stay.
        logins: the user at each registry that wants one.
        http_proxy: by which external registries are reached from here; None for none.
    """

    name: str
    source: Stage
    target: Stage
    min_age: int = 0
    checks: tuple[str, ...] = ()
    approve: tuple[str, ...] = ()
    keep_previous: int = 3
    logins: Mapping[str, str] = field(default_factory=dict, hash=False)
    http_proxy: Proxy | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a change spreads.

    Attributes:
        batch: hosts (int) or percent of all hosts (str, `20%`).
        max_failures: `apply` stops when more hosts than this have failed; None to never stop.
    """

    canary: int
    batch: int | str
    max_failures: int | None


def read_only_name(registry: str) -> str:
    """The name of what serves a registry read-only; no declared name has a dot in it."""
    return f"{registry}.readonly"


ALL_AT_ONCE = Rollout(canary=0, batch="100%", max_failures=None)  # without a [rollout] table


@dataclass(frozen=True, slots=True)
class Smoke:
    """What the smoke test pushes and pulls."""

    image: str
    image_archive: Path | None


@dataclass(frozen=True, slots=True)
class Fleet:
    """A whole fleet file, checked.

    Attributes:
        path: the fleet file, absolute.
        registries, clients: by name, in the file's order. What serves a registry read-only is a
            registry here, too, by `read_only_name`, right after it.
        warnings: what the file declares that is allowed but dangerous; see `fleet.warnings`.
        ca_permitted: domains and networks that the fleet's CA may sign for; empty for all.
        replications, promotions: by name, in the file's order.
    """

    name: str
    path: Path
    registries: Mapping[str, Registry]
    clients: Mapping[str, Client]
    rollout: Rollout
    smoke: Smoke
    warnings: tuple[Mistake, ...] = field(default=(), compare=False)
    ca_permitted: tuple[str, ...] = ()
    replications: Mapping[str, Replication] = field(default_factory=dict)
    promotions: Mapping[str, Promotion] = field(default_factory=dict)
    _on: Mapping[str, Sequence[Registry]] = field(init=False, repr=False, compare=False)
    _of: Mapping[str, Sequence[Client]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # By host: with a thousand sites, each with a registry, a search takes half a minute.
        object.__setattr__(self, "_on", _by_member(self.registries.values()))
        object.__setattr__(self, "_of", _by_member(self.clients.values()))

    def registries_on(self, host: str) -> Sequence[Registry]:
        """The registries that a host runs, or runs the gateway of."""
        return self._on.get(host, ())

    def clients_of(self, host: str) -> Sequence[Client]:
        """The client groups that contain a host."""
        return self._of.get(host, ())

    @property
    def declared(self) -> tuple[Registry, ...]:
        """The registries that keep images, or are external: each set of images once."""
        return tuple(each for each in self.registries.values() if not each.read_only_of)

    def hosts(self) -> dict[str, Host]:
        """Every host by name, registries' first, each once."""
        found: dict[str, Host] = {}
        for registry in self.registries.values():
            found |= {host.name: host for host in registry.machines if host.name not in found}
        for client in self.clients.values():
            found |= {host.name: host for host in client.hosts if host.name not in found}
        return found

    def behind(self, registry: Registry) -> tuple[Registry, ...]:
        """The registries that one stands before which is a gateway alone, the preferred one first.

        A rehearsal may have none of them.
        """
        return tuple(self.registries[name] for name in registry.before if name in self.registries)

    def sharing(self, registry: Registry) -> tuple[Registry, ...]:
        """The registries whose gateways have one port on the same hosts, this one among them.

        Clients are told apart by the name that they ask for. The first one's gateway listens there.
        Empty where it has its port to itself.
        """

        def where(each: Registry) -> tuple[int, frozenset[str]]:
            return each.port, frozenset(host.name for host in each.fronts)

        found = tuple(
            each
            for each in self.registries.values()
            if each.gateway and each.listen is None and where(each) == where(registry)
        )
        return found if len(found) > 1 and registry in found else ()

    def upstream_of(self, cache: Registry) -> Registry | None:
        """The declared registry that a pull-through cache has as its upstream; None for others."""
        if cache.proxy is None:
            return None
        url = urlsplit(cache.proxy)
        wanted = (url.hostname, url.port or (80 if url.scheme == "http" else 443))
        others = (each for each in self.registries.values() if each.name != cache.name)
        return next((each for each in others if (each.host, each.port) == wanted), None)

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups for pyinfra: `registry_NAME`, `client_NAME`, `registries`, `clients`.

        Gateways on hosts of their own are `gateway_NAME`, and among `registries`.
        """
        groups: dict[str, tuple[str, ...]] = {}
        for registry in self.declared:
            if registry.hosts:
                groups[f"registry_{registry.name}"] = tuple(host.name for host in registry.hosts)
            if registry.gateway and registry.gateway.hosts:
                fronts = tuple(host.name for host in registry.gateway.hosts)
                groups[f"gateway_{registry.name}"] = fronts
        for client in self.clients.values():
            groups[f"client_{client.name}"] = tuple(host.name for host in client.hosts)
        for prefix, whole in ((("registry_", "gateway_"), "registries"), ("client_", "clients")):
            members = [names for group, names in groups.items() if group.startswith(prefix)]
            groups[whole] = tuple(dict.fromkeys(name for names in members for name in names))
        return groups


_Group = TypeVar("_Group", Registry, Client)


def _by_member(groups: Iterable[_Group]) -> dict[str, list[_Group]]:
    found: dict[str, list[_Group]] = {}
    for group in groups:
        for name in group.members:
            found.setdefault(name, []).append(group)
    return found
