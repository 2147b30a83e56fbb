"""What a host has that a fleet file can declare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regfleet.model.foreign import Foreign


@dataclass(frozen=True, slots=True)
class OwnDocker:
    """Docker that an account runs without root.

    Attributes:
        account: whose it is.
        engine: its name in a fleet file.
        insecure, mirrors, trusted, obstacle: as in `Imported`.
    """

    account: str
    engine: str
    insecure: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    trusted: Mapping[str, str] = field(default_factory=dict)
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """The registries of a host, what it trusts, and who is logged in where.

    Attributes:
        name: what the host calls itself.
        engine: whether dockerd runs there.
        registries: those that run there, and that regfleet did not make.
        ours: registries of regfleet's there: fleet by service.
        insecure, mirrors: as dockerd has them, by its file and its flags.
        trusted: files of CAs in certs.d, by endpoint.
        logins: account, endpoint and user; `-` for a user that a helper keeps.
        obstacle: why daemon.json could not be read; empty when it could.
        own: Docker of accounts.
    """

    name: str
    engine: bool = False
    registries: tuple[Foreign, ...] = ()
    ours: Mapping[str, str] = field(default_factory=dict)
    insecure: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    trusted: Mapping[str, str] = field(default_factory=dict)
    logins: tuple[tuple[str, str, str], ...] = ()
    obstacle: str = ""
    own: tuple[OwnDocker, ...] = ()
