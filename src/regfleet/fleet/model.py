"""The fleet as frozen dataclasses: what the rest of regfleet sees of a fleet file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

HostKeyChecking = Literal["strict", "accept-new", "off"]
Runtime = Literal["container", "compose", "package"]
EngineName = Literal[
    "docker", "docker-sysconfig", "podman", "containerd", "cri-o", "k3s", "rke2", "buildkit"
]
TlsSource = Literal["fleet-ca", "files", "public", "none"]
PasswordKind = Literal["env", "file", "command", "generate"]

LOCAL = "@local"  # pyinfra's connector for the machine it runs on; a host name of its own here


@dataclass(frozen=True, slots=True)
class Ssh:
    """How to reach one host: `[ssh]` with the host's own `ssh` table laid over it.

    Attributes:
        user: login name, or None for the SSH configuration's default.
        port: TCP port.
        key: private key file, expanded and absolute, or None (agent, default keys).
        sudo: whether commands run through `sudo -n`.
        host_key_checking: `strict`, `accept-new` or `off`.
        known_hosts: known_hosts file, absolute, or None for `~/.ssh/known_hosts`.
    """

    user: str | None
    port: int
    key: Path | None
    sudo: bool
    host_key_checking: HostKeyChecking
    known_hosts: Path | None


@dataclass(frozen=True, slots=True)
class Host:
    """A machine. `name` identifies it everywhere; `address` is what is connected to."""

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
        source: `fleet-ca`, `files`, `none` (plain HTTP), or `public`, which only an external
            registry has: its certificate is signed by a CA that every machine trusts already.
        names: further subject alternative names.
        certificate: PEM file with the leaf first, `files` only.
        key: PEM private key file, `files` only and only where the registry is ours.
        ca: PEM file that clients get to trust, `files` only; None where it is publicly trusted.
    """

    source: TlsSource
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """A declared registry.

    Attributes:
        endpoint: `host` or `host:port` exactly as clients type it.
        hosts: machines that run it; empty when `external`.
        smoke: whether the smoke test may push to it.
        proxy: URL of the registry that it is a pull-through cache of; None where it is none.
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

    @property
    def port(self) -> int:
        """The TCP port of the endpoint: 443, or 80 without TLS, where none is written."""
        _, colon, port = self.endpoint.rpartition(":")
        if colon and port.isdigit():
            return int(port)
        return 80 if self.tls.source == "none" else 443

    def user(self, name: str) -> User:
        """The declared user of that name; the loader has checked that it exists."""
        return next(user for user in self.users if user.name == name)


@dataclass(frozen=True, slots=True)
class Login:
    """A `docker login` that clients keep.

    Attributes:
        registry: the declared registry's name.
        user: the registry's user.
        accounts: the hosts' Unix accounts whose Docker configuration gets it.
    """

    registry: str
    user: str
    accounts: tuple[str, ...] = ("root",)


@dataclass(frozen=True, slots=True)
class Client:
    """A group of machines that use registries.

    Attributes:
        mirrors: URLs; names of declared registries are already replaced by their URLs.
        daemon: further daemon.json keys to own.
        migrate_flags: dockerd's flags that stand in daemon.json's way move into it.
        members: the hosts' names, for whoever asks a thousand times.
    """

    name: str
    hosts: tuple[Host, ...]
    engine: EngineName
    install: bool
    registries: tuple[str, ...]
    mirrors: tuple[str, ...]
    logins: tuple[Login, ...]
    daemon: Mapping[str, Json]
    migrate_flags: bool = False
    members: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", frozenset(host.name for host in self.hosts))


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a change spreads.

    Attributes:
        batch: hosts (int) or percent of all hosts (str, `20%`).
        max_failures: failed hosts after which no other is touched; None where a failure stops
            nobody else.
    """

    canary: int
    batch: int | str
    max_failures: int | None


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
        registries, clients: by name, in the file's order.
        proof: stands for the file's text, which was valid; see `fleet.proven`.
    """

    name: str
    path: Path
    registries: Mapping[str, Registry]
    clients: Mapping[str, Client]
    rollout: Rollout
    smoke: Smoke
    proof: str = field(default="", compare=False)

    def hosts(self) -> dict[str, Host]:
        """Every host by name, registries' first, each once."""
        found: dict[str, Host] = {}
        for registry in self.registries.values():
            found |= {host.name: host for host in registry.hosts if host.name not in found}
        for client in self.clients.values():
            found |= {host.name: host for host in client.hosts if host.name not in found}
        return found

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups for pyinfra: `registry_NAME`, `client_NAME`, `registries`, `clients`."""
        groups: dict[str, tuple[str, ...]] = {}
        for registry in self.registries.values():
            if registry.hosts:
                groups[f"registry_{registry.name}"] = tuple(host.name for host in registry.hosts)
        for client in self.clients.values():
            groups[f"client_{client.name}"] = tuple(host.name for host in client.hosts)
        for prefix, whole in (("registry_", "registries"), ("client_", "clients")):
            members = (names for group, names in groups.items() if group.startswith(prefix))
            groups[whole] = tuple(dict.fromkeys(name for names in members for name in names))
        return groups
