"""The addresses of what runs behind a gateway, on its own host alone. Pure.

All of 127.0.0.0/8 is the host itself (ip(7), RFC 6890). Each registry has an address of its own
there, made from the port that its gateway listens on: 127.82.19.136 for 5000, which is
19 * 256 + 136. So two registries of a host do not meet, and the ports are the same ones for all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from regfleet.model.service import at

REGISTRY_PORT = 22500
USERS_PORT = 22501
INNER_PORT = 22502
BEHIND_PORTS = (22503, 22504)

_NET = 82
_NETS = 100  # for gateways that listen at one address of several: 83 to 182


@dataclass(frozen=True, slots=True)
class Places:
    """Where they listen: IPv4 addresses and ports, as in URLs.

    Attributes:
        address: the address of all of them.
        registry: the registry itself.
        users: the process that checks passwords.
        inner: the gateway's own, for what it has to ask itself.
        behind: its own too: its ways to the registries that a gateway alone stands before.
    """

    address: str

    @property
    def registry(self) -> str:
        """ADDRESS:PORT of the registry."""
        return at(self.address, REGISTRY_PORT)

    @property
    def users(self) -> str:
        """ADDRESS:PORT of the process that checks passwords."""
        return at(self.address, USERS_PORT)

    @property
    def inner(self) -> str:
        """ADDRESS:PORT at which the gateway asks itself."""
        return at(self.address, INNER_PORT)

    @property
    def behind(self) -> tuple[str, ...]:
        """ADDRESS:PORT of each way to another registry."""
        return tuple(at(self.address, port) for port in BEHIND_PORTS)


def behind(port: int, address: str = "") -> Places:
    """The places behind a gateway that listens there.

    Args:
        port: its TCP port.
        address: the one address that it listens at; empty for all addresses.
    """
    net = _NET
    if address:
        net += 1 + hashlib.sha256(address.encode()).digest()[0] % _NETS
    return Places(f"127.{net}.{port // 256}.{port % 256}")
