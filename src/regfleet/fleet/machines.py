"""The machines of a fleet, and how each is reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HostKeyChecking = Literal["strict", "accept-new", "off"]
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
