"""The groups of machines that use registries: their engine, mirrors and logins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from regfleet.fleet.addresses import HUB
from regfleet.fleet.machines import Host
from regfleet.fleet.registries import Proxy
from regfleet.fleet.values import Json

EngineName: TypeAlias = str  # one of the engines in the schema


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
