"""Connections to a fleet's hosts for a whole run, over pyinfra's inventory, state and pool."""

from __future__ import annotations

import logging
import resource
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import gevent
from pyinfra.api import Config, State
from pyinfra.context import ctx_host, ctx_state

from regfleet.errors import (
    HostError,
    InterruptedRunError,
    RegfleetError,
    UnreachableError,
    defect,
)
from regfleet.fleet.model import Fleet
from regfleet.model.observed import ObservedHost
from regfleet.registry_api.tunnel import Dial
from regfleet.ssh import dial, persistent, remote, ways
from regfleet.ssh.client import SessionConnector, inventory
from regfleet.ssh.exchange import within
from regfleet.ssh.limits import (
    AGAIN_SECONDS,
    CONNECT_SECONDS,
    KEEPALIVE_SECONDS,
    KEPT_CONNECTIONS,
    LOGIN_SECONDS,
    UNACKNOWLEDGED_SECONDS,
)
from regfleet.ssh.unreachable import ERRORS, unreachable
from regfleet.ssh.way import Way

if TYPE_CHECKING:
    from pyinfra.api.host import Host as PyinfraHost

    from regfleet.model.service import Image

T = TypeVar("T")
FILES_BESIDE = 100  # open files that are no connections


class Session:
    """Connections to hosts, made once and kept until `close`.

    In a very large fleet only the most recently used connections stay open.

    Args:
        fleet: the fleet of the hosts.
        names: the hosts to work on.
        parallel: the number of hosts at the same time; default: pyinfra's choice.
    """

    def __init__(self, fleet: Fleet, names: Iterable[str], parallel: int | None = None) -> None:
        _quiet_libraries()
        everyone = fleet.hosts()
        self._hosts = {name: everyone[name] for name in names}
        config = Config(CONNECT_TIMEOUT=CONNECT_SECONDS, PARALLEL=parallel or 0)
        # By `init`: an inventory without hosts, as of a fleet of external registries, is falsy, and
        # the constructor would leave it out.
        self._state = State()
        self._state.init(inventory(self._hosts), config)
        self._most = _connections_to_keep()
        self._connected: dict[str, None] = {}  # the least recently used first
        self._at_work: set[str] = set()
        self._begun: dict[str, gevent.Greenlet[..., UnreachableError | None]] = {}
        self._alone: set[str] = set()  # hosts that no kept connection is used for (any more)
        self.stopped = False

    def each(
        self, work: Callable[[str], T], names: Iterable[str]
    ) -> Iterator[tuple[str, T | RegfleetError]]:
        """Do the work for each host in parallel; yields results as they are ready.

        An error of one host is its result; the others go on. After `stop` no further host is
        begun: it gets an `InterruptedRunError` instead.
        """
        pool = self._state.pool
        names = tuple(names)
        ways.prepare(self._hosts[name] for name in names)
        with ctx_state.use(self._state):
            results = pool.imap_unordered(
                lambda name: (name, self._result_or_error(work, name)), names
            )
            try:
                yield from results
            finally:
                if not results.ready():  # nobody waits for the others any more
                    results.kill(block=False)
                    pool.kill(block=False)

    def stop(self) -> None:
        """Begin no further host; those at work finish."""
        self.stopped = True

    def _result_or_error(self, work: Callable[[str], T], name: str) -> T | RegfleetError:
        if self.stopped:
            return InterruptedRunError(name)
        self._at_work.add(name)
        with ctx_host.use(self._pyinfra(name)):
            try:
                return work(name)
            except RegfleetError as error:
                return error
            except Exception as error:  # noqa: BLE001 - whatever one host sends, the others go on
                return defect(name, error)
            finally:
                self._at_work.discard(name)

    def begin(self, names: Iterable[str]) -> None:
        """Begin to connect to hosts; `connect` waits for the result."""
        for name in islice(names, self._most):
            self._begun[name] = gevent.spawn(self._connect_or_error, name)

    def _connect_or_error(self, name: str) -> UnreachableError | None:
        with ctx_host.use(self._pyinfra(name)):
            try:
                self._connect(name)
            except UnreachableError as error:
                return error
            except Exception as error:  # noqa: BLE001 - told by who asks for the connection
                told = defect(name, error)
                return UnreachableError(name, told.message, told.hint)
        return None

    def connect(self, name: str) -> None:
        """Connect to a host, if not connected.

        Raises:
            UnreachableError: names what was tried and what to do.
        """
        begun = self._begun.pop(name, None)
        if begun is not None and (error := begun.get()):
            raise error
        self._connect(name)

    def _connect(self, name: str) -> None:
        host = self._pyinfra(name)
        if host.connected and not _is_alive(host):
            remote.drop(host)
        if host.connected:
            self._connected[name] = self._connected.pop(name, None)
            return
        place = self._hosts[name]
        if place.is_local:
            host.connect(show_errors=False, raise_exceptions=True)
        else:
            self._log_in(host, ways.way_to(place))
        _detect_lost_network(host)
        self._connected[name] = None
        self._drop_idle_connections()

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

    def _drop_idle_connections(self) -> None:
        surplus = max(0, len(self._connected) - self._most)
        needed = self._at_work | set(self._begun)
        idle = [name for name in self._connected if name not in needed][:surplus]
        for name in idle:
            del self._connected[name]
        for name in idle:  # others may go on meanwhile
            remote.drop(self._pyinfra(name))

    def look(self, name: str, program: str, mark: str) -> ObservedHost:
        """One look: connect, one command.

        Raises:
            HostError: unreachable, or the look failed.
        """
        self.connect(name)
        host, sudo = self._pyinfra(name), self._hosts[name].ssh.sudo
        try:
            return remote.look(host, program, mark, sudo=sudo)
        except HostError:
            if not self._is_kept(name):
                raise
            self._connect_alone(name)  # the network of a kept connection may have gone long ago
            return remote.look(host, program, mark, sudo=sudo)

    def run(self, name: str, program: str, seconds: float) -> list[str]:
        """Run a program; see `remote.run_program`."""
        self.connect(name)
        return remote.run_program(
            self._pyinfra(name), program, sudo=self._hosts[name].ssh.sudo, seconds=seconds
        )

    def ask_again(self, name: str, program: str, seconds: float) -> list[str]:
        """Reconnect to a host and run a program there.

        Raises:
            HostError: it cannot be reached for a minute.
        """
        host = self._pyinfra(name)
        self._alone.add(name)
        deadline = time.monotonic() + AGAIN_SECONDS
        while True:
            remote.drop(host)
            try:
                self.connect(name)
                return self.run(name, program, seconds)
            except HostError as error:
                if time.monotonic() > deadline:
                    raise HostError(
                        name,
                        f"the connection broke while the host worked, and it cannot be reached "
                        f"again: {error.message}",
                        "the host finishes or puts back what it began by itself; run it again "
                        "when it is reachable",
                    ) from error
            gevent.sleep(2)

    def send(self, name: str, image: Image, *, load: str, fleet: str = "") -> None:
        """Send an archive; see `remote.send_archive`."""
        self.connect(name)
        sudo = self._hosts[name].ssh.sudo
        remote.send_archive(self._pyinfra(name), image, sudo=sudo, load=load, fleet=fleet)

    def tunnel(self, name: str, port: int, address: str = "127.0.0.1") -> Dial | None:
        """A tunnel to a TCP port of the host through its SSH connection.

        Returns:
            A factory of connections; None if the host is this machine.
        """
        if self._hosts[name].is_local:
            return None
        self.connect(name)
        if self._is_kept(name):
            self._connect_alone(name)
        return remote.tunnel(self._pyinfra(name), port, address)

    def _is_kept(self, name: str) -> bool:
        return isinstance(self._pyinfra(name).connector, SessionConnector) and (
            self._pyinfra(name).connector.kept is not None
        )

    def _connect_alone(self, name: str) -> None:
        """Connect to a host itself, not through a connection that OpenSSH keeps."""
        self._alone.add(name)
        remote.drop(self._pyinfra(name))
        self._connect(name)

    def close(self) -> None:
        """End all connections; begin those that are kept for the next run."""
        gevent.killall(list(self._begun.values()), block=False)
        dial.hang_up()
        persistent.keep(
            ways.way_to(self._hosts[name])
            for name in self._connected
            if self._hosts[name].ssh.control_persist and not self._is_kept(name)
        )
        for host in self._state.inventory:
            remote.drop(host)

    def _pyinfra(self, name: str) -> PyinfraHost:
        return self._state.inventory.get_host(name)


def _connections_to_keep() -> int:
    """The number of connections to keep; raises the limit of open files if it is low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = KEPT_CONNECTIONS + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return KEPT_CONNECTIONS if soft == resource.RLIM_INFINITY else min(wanted, soft) - FILES_BESIDE


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


def _quiet_libraries() -> None:
    """Silence pyinfra, paramiko and gevent: regfleet prints its own messages."""
    for name in ("pyinfra", "paramiko"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
            logger.propagate = False
    # Ctrl-C mostly comes while all wait: gevent hands it on to the main program, and need not
    # print where it was.
    hub = gevent.get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)
