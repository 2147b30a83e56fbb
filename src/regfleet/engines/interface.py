"""What an engine has to know."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from regfleet.desired.model import DaemonSettings, DesiredHost, Directory, File
from regfleet.fleet.model import EngineName, Json
from regfleet.look.observed import ObservedHost
from regfleet.plan.model import Change, Step
from regfleet.record import Owned, OwnedList, OwnedValue


@dataclass(frozen=True, slots=True)
class Trust:
    """A registry that a client trusts.

    Attributes:
        ca: PEM to trust, or None where it is trusted already or speaks plain HTTP.
        plain: whether it speaks plain HTTP.
        reason: what in the fleet file asks for it.
    """

    endpoint: str
    ca: bytes | None
    plain: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ClientNeeds:
    """What a client host needs of its engine; `daemon` holds engine settings to own."""

    trusts: tuple[Trust, ...] = ()
    mirrors: tuple[str, ...] = ()
    daemon: Mapping[str, Json] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EngineWants:
    """Those needs as things on a host."""

    directories: tuple[Directory, ...]
    files: tuple[File, ...]
    daemon: DaemonSettings


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """An engine's part of a plan.

    Attributes:
        install: steps that come before everything else (the engine itself).
        configure: steps that come after the files are in place.
        daemon_created, lists, values: the new ownership in the engine's own configuration.
        new_store: images and containers that are there now will not be seen afterwards.
        expected: SHA-256 (or `absent`) by path of what was looked at and will be replaced.
    """

    changes: tuple[Change, ...] = ()
    install: tuple[Step, ...] = ()
    configure: tuple[Step, ...] = ()
    daemon_created: bool = False
    lists: Mapping[str, OwnedList] = field(default_factory=dict)
    values: Mapping[str, OwnedValue] = field(default_factory=dict)
    expected: tuple[tuple[str, str], ...] = ()
    may_restart: bool = False
    new_store: bool = False


class Engine(Protocol):
    """A container engine that clients run."""

    @property
    def name(self) -> EngineName:
        """As the fleet file names it."""

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
