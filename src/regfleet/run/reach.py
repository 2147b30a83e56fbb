"""The way to a declared registry from here: a channel in its host's SSH connection, or direct."""

from __future__ import annotations

from typing import Protocol

from regfleet.fleet.model import Registry
from regfleet.registry_api.target import Target
from regfleet.registry_api.tunnel import Dial, direct


class Tunnels(Protocol):
    """What `session.Session` and `work.Connections` offer of ways to ports."""

    def tunnel(self, name: str, port: int) -> Dial | None:
        """A way to a port of the host, None where it is this machine."""


def target_of(registry: Registry, ca: bytes | None, connections: Tunnels) -> Target:
    """A declared registry as something to talk to.

    Args:
        registry: its declaration; one of ours is reached through its host.
        ca: what clients trust.
        connections: the way to hosts.

    Raises:
        HostError: the registry's host cannot be reached.
    """
    dial: Dial | None = None
    if registry.hosts:
        way = connections.tunnel(registry.hosts[0].name, registry.port)
        dial = way or direct("127.0.0.1", registry.port)
    return Target.of(registry, ca, dial)
