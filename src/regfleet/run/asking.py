"""Ask registries: by which connection, trusted CA and user, and whether one accepts the user.

`status`, `images`, `doctor` and the smoke test ask registries through this module. An own registry
is asked through the SSH connection of its host, because this machine often has no other way; an
external registry is asked directly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import gevent.pool

from regfleet.errors import RegfleetError
from regfleet.fleet.registries import Registry
from regfleet.materials import Materials, RegistryMaterial
from regfleet.registry_api import bounds
from regfleet.registry_api.answers import Answer, refusal
from regfleet.registry_api.bounds import Bounds
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import only_registry_errors
from regfleet.registry_api.target import Credentials, Target, preferred
from regfleet.registry_api.tunnel import Dial, direct

A = TypeVar("A")
B = TypeVar("B")

_ELSEWHERE = 8  # external registries asked at the same time
_UNAUTHORIZED = 401  # RFC 9110, 15.5.2


class Tunnels(Protocol):
    """The tunnels that `session.Session` and `work.Connections` offer."""

    def tunnel(self, name: str, port: int, address: str = "127.0.0.1") -> Dial | None:
        """A tunnel to a port at an address of the host; None if the host is this machine."""


class RegistryAccess(Protocol):
    """Trust and users of a registry: `known.KnownRegistry`, or from a run's materials."""

    def trusted(self) -> bytes | None:
        """The CA to trust; None for the machine's own CAs.

        Raises:
            RegfleetError: it is not known.
        """

    def credentials(self, first: Collection[str] = ()) -> Credentials | None:
        """A user to ask the registry as; None if it has no known users.

        Args:
            first: the users to be preferred: admins, where not everybody may do everything.

        Raises:
            RegfleetError: it has users, but no password is known.
        """


@dataclass(frozen=True, slots=True)
class _MaterialAccess:
    """Access by the materials of a run."""

    material: RegistryMaterial

    def trusted(self) -> bytes | None:
        return self.material.ca

    def credentials(self, first: Collection[str] = ()) -> Credentials | None:
        return preferred(self.material.passwords, first)


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks the registries of a fleet.

    Attributes:
        about: trust and users of each registry, by name.
        connections: the tunnels to hosts.
    """

    about: Mapping[str, RegistryAccess]
    connections: Tunnels

    @classmethod
    def of(cls, materials: Materials, connections: Tunnels) -> Asking:
        """With the materials of a run."""
        about = {name: _MaterialAccess(each) for name, each in materials.registries.items()}
        return cls(about, connections)

    def target(self, registry: Registry, on: Container[str] | None = None) -> Target:
        """The connection target of a declared registry.

        Args:
            registry: its declaration; an own registry is reached through its host.
            on: as for `Registry.instance`.

        Raises:
            RegfleetError: its host cannot be reached, or whom to trust is not known.
        """
        return self._target(registry, self.about[registry.name].trusted(), on)

    def _target(
        self, registry: Registry, ca: bytes | None, on: Container[str] | None = None
    ) -> Target:
        dial: Dial | None = None
        instance = registry.instance(on)
        if instance:
            way = self.connections.tunnel(instance.host.name, instance.port, instance.address)
            dial = way or direct(instance.address, instance.port)
        return Target.of(registry, ca, dial)

    def user(self, registry: Registry) -> tuple[Credentials | None, str]:
        """The user to ask a registry as; if unknown, None and the reason."""
        try:
            return self.about[registry.name].credentials(registry.admins), ""
        except RegfleetError as error:
            return None, error.message

    @contextmanager
    def client(
        self,
        registry: Registry,
        credentials: Credentials | None,
        whole: Bounds = bounds.CONVERSATION,
    ) -> Iterator[RegistryClient]:
        """A connection to a registry; every error inside is a `RegfleetError`.

        Args:
            whole: bounds of all requests together.

        Raises:
            RegfleetError: it cannot be reached, is no registry, or its CA is unknown.
        """
        with (
            only_registry_errors(registry.endpoint),
            RegistryClient(self.target(registry), credentials, whole) as client,
        ):
            yield client

    def connect(self, registry: Registry) -> None:
        """Connect to a registry without a request, which needs no CA.

        Raises:
            RegfleetError: nobody listens there, or it cannot be reached.
        """
        with only_registry_errors(registry.endpoint):
            self._target(registry, None).connect().close()


def let_in(
    client: RegistryClient, answer: Answer, registry: Registry, credentials: Credentials | None
) -> str:
    """Check that a registry answers as one and accepts the user; without a user it may refuse.

    Args:
        answer: to `GET /v2/`.
        credentials: the client's credentials.

    Returns:
        Why it refuses access; empty if it does not.

    Raises:
        RegistryError: it cannot be reached, is no registry, or refuses a user of its own.
    """
    challenge = answer.headers.get("www-authenticate", "")
    if answer.status != _UNAUTHORIZED or not challenge:
        client.ping()
        return ""
    if not challenge.lower().startswith("basic"):
        return "it wants a token from another service"
    if credentials is None:
        return "it wants a login, and none is declared"
    raise refusal(answer, registry.endpoint, "GET /v2/", credentials.user)


def elsewhere(ask: Callable[[A], B], registries: Sequence[A]) -> list[B]:
    """Ask external registries in parallel; answers in the given order."""
    return list(gevent.pool.Pool(_ELSEWHERE).map(ask, registries))
