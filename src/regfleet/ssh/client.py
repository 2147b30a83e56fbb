"""Connections over SSH as OpenSSH makes them: through pyinfra's connector and paramiko's client."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import paramiko
from paramiko.agent import AgentRequestHandler
from pyinfra import api
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector

from regfleet.errors import UnreachableError, cut
from regfleet.ssh import algorithms, direct, jump
from regfleet.ssh.connection import ERROR, WAY
from regfleet.ssh.exchange import within
from regfleet.ssh.known_hosts import HostKeyPolicy
from regfleet.ssh.limits import LOGIN_SECONDS
from regfleet.ssh.login import Login, TooManyKeysError
from regfleet.ssh.multiplex import Multiplexed
from regfleet.ssh.transport import Transport
from regfleet.ssh.unreachable import ERRORS, unreachable

if TYPE_CHECKING:
    from regfleet.fleet.machines import Host
    from regfleet.ssh.way import Way

_LOGINS = 20  # connections for one login; each offers some keys


class ThroughError(paramiko.SSHException):
    """The connection through a jump host failed."""


class Client(paramiko.SSHClient):
    """A connection to one host.

    Args:
        way: the way to the host.
    """

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way
        self._policy_of_keys = HostKeyPolicy(way)
        self.set_missing_host_key_policy(self._policy_of_keys)
        self._jump: jump.Jump | None = None

    def log_in(self, login: Login, begun: socket.socket | None = None) -> None:
        """Connect and log in.

        Args:
            login: offers the keys.
            begun: a socket that is already connected to the host.

        Raises:
            SSHException, OSError, EOFError: there is no connection.
        """
        way, sock = self._way, begun
        if command := jump.command(way):
            self._jump = sock = jump.Jump(command)  # type: ignore[assignment] # all of a socket
        elif sock is None and direct.wanted(way):
            sock = direct.connect(way)
        try:
            self.connect(
                way.hostname,
                way.port,
                way.user,
                sock=sock,
                timeout=way.seconds,
                disabled_algorithms=algorithms.disabled(way),
                transport_factory=self.transport,  # type: ignore[arg-type] # takes what it is given
                auth_strategy=login,  # type: ignore[arg-type] # see `Login`
            )
        except (paramiko.SSHException, OSError, EOFError) as error:
            said = self._jump.said() if self._jump else ""
            self.close()
            if said:
                raise ThroughError(f"on the way through another host: {cut(said)}") from error
            raise
        except BaseException:
            self.close()
            raise

    def transport(self, sock: socket.socket, **options: bool) -> Transport:
        """The SSH transport on a socket; it asks for keys of the types that are known."""
        made = Transport(sock, **options)  # type: ignore[arg-type]
        algorithms.restrict(self._way, made.get_security_options())
        kinds = self._policy_of_keys.types(made.preferred_keys)
        made.prefer_keys(algorithms.host_keys(self._way, kinds))
        return made

    def close(self) -> None:
        """End the connection, and the program that it goes through."""
        if self._jump:
            self._jump.close()
        super().close()


class Connector(SSHConnector):
    """pyinfra's connector over `Client`; pyinfra's own command line knows it as `@regfleet`.

    Attributes:
        way: the way to the host; None for the one among the host's data.
        begun: a socket that is already connected, or None.
    """

    way: Way | None = None
    begun: socket.socket | None = None

    @staticmethod
    def make_names_data(name: str | None) -> Iterator[tuple[str, dict[str, object], list[str]]]:
        """The host `NAME` for `@regfleet/NAME`; `inventory.groups` gives it its data."""
        yield name or "", {}, []

    def connect(self) -> None:
        """Connect and log in, within a time limit.

        Raises:
            ConnectError: names what was tried and what to do.
        """
        way: Way | None = self.way or self.host.data.get(WAY)
        if way is None:
            raise ConnectError(
                self.host.data.get(ERROR)
                or f"{self.host.name} is no host of a fleet (regfleet.inventory.groups)"
            )
        late = unreachable(way, f"timeout: not logged in within {LOGIN_SECONDS:g} seconds")
        try:
            with within(LOGIN_SECONDS, late):
                self.log_in(way)
        except UnreachableError as error:
            raise ConnectError(str(error)) from error
        except ERRORS as error:
            raise ConnectError(str(unreachable(way, error))) from error

    def log_in(self, way: Way) -> None:
        """Connect and log in; again where a host ends the connection before all keys were tried.

        Raises:
            SSHException, OSError, EOFError: there is no connection.
        """
        begun, self.begun = self.begun, None
        login = Login(way)
        try:
            for left in reversed(range(_LOGINS)):
                self.client = client = Client(way)
                try:
                    client.log_in(login, begun)
                    break
                except TooManyKeysError:
                    if not left:
                        raise
                begun = None
        finally:
            login.close()
        if way.forward_agent and (transport := client.get_transport()):
            with suppress(paramiko.SSHException):
                AgentRequestHandler(transport.open_session())

    def disconnect(self) -> None:
        """End the connection."""
        super().disconnect()
        if self.client:
            self.client.close()


class Kept:
    """A connection that OpenSSH keeps, in the place of a `Client`.

    Args:
        connection: the connection.
    """

    def __init__(self, connection: Multiplexed) -> None:
        self._connection = connection

    def get_transport(self) -> Multiplexed:
        """The connection, which has what regfleet uses of paramiko's transport."""
        return self._connection

    def close(self) -> None:
        """Nothing: it stays open for the next run."""


class SessionConnector(Connector):
    """The connector of a `Session`, which has time limits and error texts of its own.

    Attributes:
        way: set before it connects.
        kept: the connection to use instead of one of its own, or None.
    """

    way: Way
    kept: Multiplexed | None = None

    def connect(self) -> None:
        """As `log_in`."""
        if self.kept is None:
            self.log_in(self.way)
        else:
            self.client = Kept(self.kept)  # type: ignore[assignment] # all that is used of it


def inventory(hosts: Mapping[str, Host]) -> api.Inventory:
    """A pyinfra inventory of hosts: over `SessionConnector`, or local for this machine."""
    made = api.Inventory(([], {}))
    for name, host in hosts.items():
        made.host_data[name] = {}
        kind = LocalConnector if host.is_local else SessionConnector
        made.hosts[name] = api.Host(name, made, [], kind)
    return made
