"""A session's connections to hosts, over pyinfra's inventory and state. Slow to import."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress

from pyinfra.api import Config, State
from pyinfra.api.host import Host as PyinfraHost
from pyinfra.context import ctx_host, ctx_state

from regfleet.errors import HostError
from regfleet.fleet.machines import Host
from regfleet.model.observed import ObservedHost
from regfleet.model.service import Image
from regfleet.registry_api.tunnel import Dial
from regfleet.shell.how_far import Heard
from regfleet.ssh import dial, persistent, remote, ways
from regfleet.ssh.client import SessionConnector, inventory
from regfleet.ssh.exchange import within
from regfleet.ssh.limits import (
    CONNECT_SECONDS,
    KEEPALIVE_SECONDS,
    LOGIN_SECONDS,
    UNACKNOWLEDGED_SECONDS,
)
from regfleet.ssh.unreachable import ERRORS, unreachable
from regfleet.ssh.way import Way


class Links:
    """The connections to hosts.

    Args:
        hosts: by name.
    """

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self._hosts = hosts
        self._alone: set[str] = set()  # hosts that no kept connection is used for (any more)
        # By `init`: an inventory without hosts, as of a fleet of external registries, is falsy, and
        # the constructor would leave it out.
        self._state = State()
        self._state.init(inventory(hosts), Config(CONNECT_TIMEOUT=CONNECT_SECONDS))
        ctx_state.set(self._state)  # of the whole process, unlike `ctx_host`

    def connect(self, name: str) -> bool:
        """Connect to a host, if not connected; whether that was done.

        Raises:
            UnreachableError: names what was tried and what to do.
        """
        host = self._pyinfra(name)
        if host.connected and not _is_alive(host):
            remote.drop(host)
        if host.connected:
            return False
        with ctx_host.use(host):
            if self._hosts[name].is_local:
                host.connect(show_errors=False, raise_exceptions=True)
            else:
                self._log_in(host, ways.way_to(self._hosts[name]))
        _detect_lost_network(host)
        return True

    def _log_in(self, host: PyinfraHost, way: Way) -> None:
        connector = host.connector
        connector.way = way
        connector.kept = None if host.name in self._alone else persistent.join(way)
        connector.begun = None if connector.kept else dial.take(way.hostname, way.port)
        late = unreachable(way, f"timeout: not logged in within {LOGIN_SECONDS:g} seconds")
        try:
            with within(LOGIN_SECONDS, late):
                host.connect(show_errors=False, raise_exceptions=True)
        except ERRORS as error:
            remote.drop(host)
            raise unreachable(way, error) from error
        except BaseException:
            remote.drop(host)
            raise

    def connect_alone(self, name: str) -> None:
        """Connect to a host itself, not through a connection that OpenSSH keeps.

        Raises:
            UnreachableError: as `connect`.
        """
        self.leave(name)
        self.connect(name)

    def leave(self, name: str) -> None:
        """End the connection to a host; the next one is no kept one."""
        self._alone.add(name)
        self.drop(name)

    def look(self, name: str, program: str, mark: str) -> ObservedHost:
        """One look at a connected host.

        Raises:
            HostError: unreachable, or the look failed.
        """
        host, sudo = self._pyinfra(name), self._hosts[name].ssh.sudo
        with ctx_host.use(host):
            try:
                return remote.look(host, program, mark, sudo=sudo)
            except HostError:
                if not self.is_kept(name):
                    raise
                self.connect_alone(name)  # the network of a kept connection may have gone long ago
                return remote.look(host, program, mark, sudo=sudo)

    def run(self, name: str, program: str, seconds: float, heard: Heard | None = None) -> list[str]:
        """Run a program on a connected host; see `remote.run_program`."""
        host, sudo = self._pyinfra(name), self._hosts[name].ssh.sudo
        with ctx_host.use(host):
            return remote.run_program(host, program, sudo=sudo, seconds=seconds, heard=heard)

    def send(self, name: str, image: Image, *, load: str, fleet: str) -> None:
        """Send an archive to a connected host; see `remote.send_archive`."""
        host, sudo = self._pyinfra(name), self._hosts[name].ssh.sudo
        with ctx_host.use(host):
            remote.send_archive(host, image, sudo=sudo, load=load, fleet=fleet)

    def tunnel(self, name: str, port: int, address: str) -> Dial:
        """A tunnel to a TCP port of a connected host; see `remote.tunnel`."""
        if self.is_kept(name):
            self.connect_alone(name)
        return remote.tunnel(self._pyinfra(name), port, address)

    def is_kept(self, name: str) -> bool:
        """Whether the connection to a host is one that OpenSSH keeps."""
        connector = self._pyinfra(name).connector
        return isinstance(connector, SessionConnector) and connector.kept is not None

    def keep(self, names: Iterable[str]) -> None:
        """Begin connections to hosts that are kept for the next run."""
        persistent.keep(ways.way_to(self._hosts[name]) for name in names if not self.is_kept(name))

    def drop(self, name: str) -> None:
        """End the connection to a host, if there is one."""
        remote.drop(self._pyinfra(name))

    def close(self) -> None:
        """End all connections."""
        for host in self._state.inventory:
            remote.drop(host)
        ctx_state.reset()

    def _pyinfra(self, name: str) -> PyinfraHost:
        return self._state.inventory.get_host(name)


def _is_alive(host: PyinfraHost) -> bool:
    """Whether the connection still lives: it may end while the user answers a question.

    During a question nothing answers the host's keep-alive messages, and an sshd configured
    to ends such a connection within a minute (sshd_config(5), ClientAliveInterval).
    """
    transport = remote.transport(host)
    return transport is None or transport.is_active()


def _detect_lost_network(host: PyinfraHost) -> None:
    """Detect a lost network within half a minute; by default TCP takes a quarter of an hour.

    Sends keep-alive messages; unacknowledged data ends the connection (tcp(7),
    TCP_USER_TIMEOUT).
    """
    transport = remote.transport(host)
    if transport is None:
        return
    transport.set_keepalive(KEEPALIVE_SECONDS)
    with suppress(OSError, AttributeError):  # a connection through a proxy is no TCP socket
        transport.sock.setsockopt(  # type: ignore[union-attr]
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_SECONDS * 1000
        )
