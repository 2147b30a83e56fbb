"""Connections to a fleet's hosts, held for a whole run: pyinfra's inventory, state and pool."""

from __future__ import annotations

import logging
import resource
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import gevent
from pyinfra.api import Config, State
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.context import ctx_host, ctx_state

from regfleet.errors import HostError, InterruptedRunError, RegfleetError, UnreachableError
from regfleet.fleet.model import Fleet, Host
from regfleet.look.observed import ObservedHost
from regfleet.registry_api.tunnel import Dial
from regfleet.run import dial, remote, ssh
from regfleet.run.connection import connection_data
from regfleet.run.limits import (
    AGAIN_SECONDS,
    CONNECT_SECONDS,
    KEEPALIVE_SECONDS,
    KEPT_CONNECTIONS,
    TOUCH_SECONDS,
    UNACKNOWLEDGED_SECONDS,
)

if TYPE_CHECKING:
    from pyinfra.api.host import Host as PyinfraHost

    from regfleet.desired.model import Image

T = TypeVar("T")
FILES_BESIDE = 100  # open files that are no connections


class Session:
    """Connections to hosts, made once and kept until `close`.

    Of very large fleets, those that were used last are kept, as many as may be open.

    Args:
        fleet: whose hosts.
        names: the hosts to work on.
        parallel: how many at the same time; pyinfra's own choice by default.
    """

    def __init__(self, fleet: Fleet, names: Iterable[str], parallel: int | None = None) -> None:
        _quiet_libraries()
        everyone = fleet.hosts()
        self._hosts = {name: everyone[name] for name in names}
        ssh.use()
        pairs = [(name, connection_data(host)) for name, host in self._hosts.items()]
        inventory = ssh.Inventory((pairs, {}))
        config = Config(CONNECT_TIMEOUT=CONNECT_SECONDS, PARALLEL=parallel or 0)
        self._state = State(inventory, config)
        self._most = _connections_to_keep()
        self._connected: dict[str, None] = {}  # the least recently used first
        self._at_work: set[str] = set()
        self._begun: dict[str, gevent.Greenlet[..., UnreachableError | None]] = {}
        self.stopped = False

    def each(
        self, work: Callable[[str], T], names: Iterable[str]
    ) -> Iterator[tuple[str, T | RegfleetError]]:
        """Do the work for each host, in parallel; results come as they are ready.

        An error of one host is its result; the others go on. After `stop` no further host is
        begun: those get an `InterruptedRunError`.
        """
        pool = self._state.pool
        with ctx_state.use(self._state):
            results = pool.imap_unordered(lambda name: (name, self._guarded(work, name)), names)
            try:
                yield from results
            finally:
                if not results.ready():  # nobody waits for the others any more
                    results.kill(block=False)
                    pool.kill(block=False)

    def stop(self) -> None:
        """Begin no further host; those at work finish."""
        self.stopped = True

    def _guarded(self, work: Callable[[str], T], name: str) -> T | RegfleetError:
        if self.stopped:
            return InterruptedRunError(name)
        self._at_work.add(name)
        with ctx_host.use(self._pyinfra(name)):
            try:
                return work(name)
            except RegfleetError as error:
                return error
            finally:
                self._at_work.discard(name)

    def begin(self, names: Iterable[str]) -> None:
        """Begin to connect to hosts; `connect` waits for what was begun, and tells how it went."""
        for name in islice(names, self._most):
            self._begun[name] = gevent.spawn(self._tried, name)

    def _tried(self, name: str) -> UnreachableError | None:
        with ctx_host.use(self._pyinfra(name)):
            try:
                self._connect(name)
            except UnreachableError as error:
                return error
        return None

    def connect(self, name: str) -> None:
        """Connect to a host, unless that is done.

        Raises:
            UnreachableError: with what was tried and what to do.
        """
        begun = self._begun.pop(name, None)
        if begun is not None and (error := begun.get()):
            raise error
        self._connect(name)

    def _connect(self, name: str) -> None:
        host = self._pyinfra(name)
        if host.connected and not _is_alive(host):
            _drop(host)
        if host.connected:
            self._connected[name] = self._connected.pop(name, None)
            return
        place = self._hosts[name]
        ssh.prepare(host, None if place.is_local else dial.take(place.address, place.ssh.port))
        try:
            host.connect(show_errors=False, raise_exceptions=True)
        except (ConnectError, PyinfraError, OSError, ValueError) as error:
            raise _unreachable(place, str(error)) from error
        _watch(host)
        self._connected[name] = None
        self._make_room()

    def _make_room(self) -> None:
        surplus = max(0, len(self._connected) - self._most)
        needed = self._at_work | set(self._begun)
        idle = [name for name in self._connected if name not in needed][:surplus]
        for name in idle:
            del self._connected[name]
        for name in idle:  # others may go on meanwhile
            _drop(self._pyinfra(name))

    def look(self, name: str, program: str) -> ObservedHost:
        """One look: connect, one command.

        Raises:
            HostError: unreachable, or the look failed.
        """
        self.connect(name)
        return remote.look(self._pyinfra(name), program, sudo=self._hosts[name].ssh.sudo)

    def run(self, name: str, program: str, seconds: int) -> list[str]:
        """Run a program; see `remote.run_program`."""
        self.connect(name)
        return remote.run_program(
            self._pyinfra(name), program, sudo=self._hosts[name].ssh.sudo, seconds=seconds
        )

    def ask_again(self, name: str, program: str) -> list[str]:
        """Connect anew to a host whose connection broke, and run a program there.

        Raises:
            HostError: it cannot be reached for a minute.
        """
        host = self._pyinfra(name)
        deadline = time.monotonic() + AGAIN_SECONDS
        while True:
            _drop(host)
            try:
                self.connect(name)
                return self.run(name, program, TOUCH_SECONDS)
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

    def send(self, name: str, image: Image, *, load: str) -> None:
        """Send an archive; see `remote.send_archive`."""
        self.connect(name)
        remote.send_archive(self._pyinfra(name), image, sudo=self._hosts[name].ssh.sudo, load=load)

    def tunnel(self, name: str, port: int) -> Dial | None:
        """A way to a TCP port of the host itself through its SSH connection.

        Returns:
            A factory of connections, or None where the host is this machine.
        """
        if self._hosts[name].is_local:
            return None
        self.connect(name)
        return remote.tunnel(self._pyinfra(name), port)

    def close(self) -> None:
        """End all connections."""
        gevent.killall(list(self._begun.values()), block=False)
        dial.hang_up()
        for host in self._state.inventory:
            _drop(host)

    def _pyinfra(self, name: str) -> PyinfraHost:
        return self._state.inventory.get_host(name)


def _connections_to_keep() -> int:
    """As many as the system lets be open; it is asked for more where it gives few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = KEPT_CONNECTIONS + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return KEPT_CONNECTIONS if soft == resource.RLIM_INFINITY else min(wanted, soft) - FILES_BESIDE


def _is_alive(host: PyinfraHost) -> bool:
    """Whether its connection has not ended meanwhile, as when people took long to say yes.

    While they are asked nobody answers the host's keep-alive messages, and an sshd that was told
    to ends such a connection within a minute (sshd_config(5), ClientAliveInterval).
    """
    transport = remote.transport(host)
    return transport is None or transport.is_active()


def _drop(host: PyinfraHost) -> None:
    client = getattr(host.connector, "client", None)
    host.connected = False  # first: to close it may take a moment, in which somebody may ask
    if client is not None:
        with suppress(Exception):
            client.close()


def _watch(host: PyinfraHost) -> None:
    """Notice within half a minute that the network is gone: by default TCP takes a quarter hour.

    Keep-alive messages are sent, and what stays unacknowledged ends the connection (tcp(7),
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
    """Pyinfra, paramiko and gevent speak for programs that have no messages of their own."""
    for name in ("pyinfra", "paramiko"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
            logger.propagate = False
    # Ctrl-C mostly comes while all wait: gevent hands it on to the main program, and need not
    # print where it was.
    hub = gevent.get_hub()
    hub.NOT_ERROR = (*hub.NOT_ERROR, KeyboardInterrupt)


def _unreachable(host: Host, said: str) -> UnreachableError:
    said = said.replace("[Errno None] ", "")
    where = f"{host.ssh.user + '@' if host.ssh.user else ''}{host.address}, port {host.ssh.port}"
    known = host.ssh.known_hosts or Path("~/.ssh/known_hosts")
    hints = (
        (("Authentication", "authentication"), _key_hint(host)),
        (("No such private key", "Invalid private key", "encrypted"), _key_hint(host)),
        (
            ("No host key", "StrictPolicy"),
            (
                f"add its key to {known} (`ssh-keyscan -p {host.ssh.port} {host.address}`, "
                "compared with the host's own), or set "
                '`host_key_checking = "accept-new"` under [ssh]'
            ),
        ),
        (
            ("does not match", "host key"),
            (
                "the host was installed anew, or somebody is in between; if it is the former: "
                f"`ssh-keygen -R {host.address} -f {known}`"
            ),
        ),
        (("resolve",), "give the host an `address` in the fleet file, or a DNS entry"),
        (("refused",), "is sshd running there, and is the port right?"),
        (
            ("timed out", "timeout", "Unable to connect"),
            "is the host up, and does a firewall let SSH through?",
        ),
    )
    hint = next(
        (text for words, text in hints if any(word in said for word in words)),
        f"try `ssh -p {host.ssh.port} {host.address}` by hand",
    )
    return UnreachableError(host.name, f"no SSH connection to {where}: {said}", hint)


def _key_hint(host: Host) -> str:
    user = f"{host.ssh.user}'s" if host.ssh.user else "your user's"
    if host.ssh.key and not host.ssh.key.exists():
        return "`key` under [ssh] names a file that is not there; it is relative to the fleet file"
    if host.ssh.key:
        return (
            f"is the public half of {host.ssh.key} in {user} authorized_keys there, and has the "
            "key no passphrase (or an agent)?"
        )
    return "no `key` is set under [ssh]: the agent's and your default keys were tried"
