"""What an engine has to know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from regfleet.fleet.clients import EngineName, Mirror
from regfleet.fleet.values import Json
from regfleet.http_proxy import HttpProxy
from regfleet.model.desired import DesiredHost, LoginEntry, WantedSettings
from regfleet.model.files import Directory, File
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Change, Step
from regfleet.record import Owned, OwnedEdit


@dataclass(frozen=True, slots=True)
class Trust:
    """A registry that a client trusts.

    Attributes:
        ca: PEM to trust, or None where it is trusted already or speaks plain HTTP.
        plain: whether it speaks plain HTTP.
        reason: what in the fleet file asks for it.
        registry: its name in the fleet file.
    """

    endpoint: str
    ca: bytes | None
    plain: bool
    reason: str
    registry: str = ""


@dataclass(frozen=True, slots=True)
class EngineProxy(HttpProxy):
    """The HTTP proxy that an engine uses.

    Attributes:
        containers: whether containers and builds get it, too.
        reason: what in the fleet file asks for it.
    """

    containers: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ClientNeeds:
    """What a client host needs of its engine.

    Attributes:
        mirrors: mirrors, of whatever registry.
        daemon: engine settings to own.
        logins: logins to keep, by the engine's own command in its own file where it has them.
        fleet: the fleet's name, for files that are one fleet's own.
        proxy: the HTTP proxy; None for none of ours.
        account: whose the engine is; empty for root's.
    """

    trusts: tuple[Trust, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    daemon: Mapping[str, Json] = field(default_factory=dict)
    reason: str = ""
    logins: tuple[LoginEntry, ...] = ()
    fleet: str = ""
    proxy: EngineProxy | None = None
    account: str = ""


def by_registry(mirrors: Iterable[Mirror]) -> dict[str, list[Mirror]]:
    """Mirrors by the registry that they are of, in the order in which they are asked."""
    found: dict[str, list[Mirror]] = {}
    for mirror in mirrors:
        found.setdefault(mirror.of, []).append(mirror)
    return found


@dataclass(frozen=True, slots=True)
class EngineWants:
    """Those needs as things on a host.

    Attributes:
        conditional: as in `DesiredHost`.
        edits: settings in files that others write too, by path.
        logins: logins that a command of the engine makes; one that is part of a file is none.
    """

    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    conditional: tuple[Directory | File, ...] = ()
    edits: Mapping[str, WantedSettings] = field(default_factory=dict)
    logins: tuple[LoginEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """An engine's part of a plan.

    Attributes:
        also: those of the host's conditional things that are wanted.
        install: steps that come before everything else (the engine itself).
        configure: steps of its configuration, behind those of the files.
        edits: the new ownership in files that others write too, by path.
        apart: the installation is a touch of its own: the packages bring files that the rest
            has to be planned on, so the host is looked at again behind it.
        places: directories that this host's engine has elsewhere than others, by the usual path.
        new_store: images and containers that are there now will not be seen afterwards.
        notes: what people should know and the touch does not change.
        expected: SHA-256 (or `absent`) by path of what was looked at and will be replaced.
    """

    changes: tuple[Change, ...] = ()
    also: tuple[Directory | File, ...] = ()
    install: tuple[Step, ...] = ()
    configure: tuple[Step, ...] = ()
    edits: Mapping[str, OwnedEdit] = field(default_factory=dict)
    apart: bool = False
    notes: tuple[str, ...] = ()
    expected: tuple[tuple[str, str], ...] = ()
    may_restart: bool = False
    new_store: bool = False
    places: Mapping[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """A container engine that clients run.

    Beside its Python file stand its shell functions, for the three programs that run on hosts:
    `WORD.look.sh`, `WORD.touch.sh` and `WORD.smoke.sh` (see docs/engines.md).

    Attributes:
        name: as the fleet file names it.
        shell: how its shell files and functions are called: a word of letters, digits and `_`.
        is_docker: whether it is dockerd, so that registries can run on it.
        login_file: where its `login` command keeps logins, relative to the account's home; empty
            where it has none: logins are part of its files then, or cannot be kept.
        load: the shell command that loads a docker-archive whose path follows, or, as the account
            whose engine it is, from standard input; empty for none.
        no_smoke: why its hosts have no smoke test; empty where they have.
    """

    name: EngineName
    shell: str
    is_docker: bool
    login_file: str
    load: str
    no_smoke: str

    def wants(self, needs: ClientNeeds) -> EngineWants:
        """What has to be on a host to meet the needs. Pure."""

    def plan(
        self,
        want: DesiredHost,
        seen: ObservedHost,
        owned: Owned,
        others: Collection[Owned],
    ) -> EnginePlan:
        """What to do to the engine and its configuration. Pure.

        Args:
            owned: what this fleet owns on the host.
            others: what other fleets own on the host.

        Raises:
            HostError: the engine cannot be used as it is.
        """
