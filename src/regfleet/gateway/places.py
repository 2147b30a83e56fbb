"""The addresses of what runs behind a gateway, on its own host alone. Pure.

Each registry has an address of its own in 127.0.0.0/8, made from the port that its gateway listens
on: 127.82.19.136 for 5000, which is 19 * 256 + 136; and the ports are the same ones for all.
"""

from __future__ import annotations

from dataclasses import dataclass

from regfleet.fleet.loopback import network
from regfleet.model.service import at

REGISTRY_PORT = 22500
USERS_PORT = 22501
INNER_PORT = 22502
BEHIND_PORTS = (22503, 22504)
NAMED_PORT = 22505
DIRECT_PORT = 22506


@dataclass(frozen=True, slots=True)
class Places:
    """Where they listen: IPv4 addresses and ports, as in URLs.

    Attributes:
        address: the address of all of them.
        registry: the registry itself.
        users: the process that checks passwords.
        inner: the gateway's own, for what it has to ask itself.
        named: of the gateway, for clients whom the gateway at their port passes on by their name.
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
    def named(self) -> str:
        """ADDRESS:PORT for clients whom another gateway passes on, with the PROXY protocol."""
        return at(self.address, NAMED_PORT)

    @property
    def direct(self) -> str:
        """The same without that protocol: for this host."""
        return at(self.address, DIRECT_PORT)

    @property
    def behind(self) -> tuple[str, ...]:
        """ADDRESS:PORT of each way to another registry."""
        return tuple(at(self.address, port) for port in BEHIND_PORTS)


def behind(port: int, address: str = "", name: str = "") -> Places:
    """The places behind a gateway that listens there.

    Args:
        port: its TCP port.
        address, name: as of `loopback.network`.
    """
    return Places(f"127.{network(address, name)}.{port // 256}.{port % 256}")
