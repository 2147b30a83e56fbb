"""Connections to a fleet's hosts for a whole run: which, and when; `links` makes them."""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import gevent
from gevent.pool import Pool

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
from regfleet.ssh import dial, ways
from regfleet.ssh.limits import AGAIN_SECONDS, KEPT_CONNECTIONS, PER_CORE

if TYPE_CHECKING:
    from regfleet.model.service import Image
    from regfleet.shell.how_far import Heard
    from regfleet.ssh.links import Links

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
        most = parallel or PER_CORE * (os.cpu_count() or 1)
        self._pool = Pool(max(1, min(most, len(self._hosts))))
        self._most = _connections_to_keep()
        self._connected: dict[str, None] = {}  # the least recently used first
        self._at_work: set[str] = set()
        self._begun: dict[str, gevent.Greenlet[..., UnreachableError | None]] = {}
        self.stopped = False

    @cached_property
    def _links(self) -> Links:
        # Imported here: a run whose looks are all done over kept connections needs none of it.
        made: Links = import_module("regfleet.ssh.links").Links(self._hosts)
        return made

    def _has_links(self) -> bool:
        return "_links" in vars(self)

    def each(
        self, work: Callable[[str], T], names: Iterable[str]
    ) -> Iterator[tuple[str, T | RegfleetError]]:
        """Do the work for each host in parallel; yields results as they are ready.

        An error of one host is its result; the others go on. After `stop` no further host is
        begun: it gets an `InterruptedRunError` instead.
        """
        names = tuple(names)
        ways.prepare(self._hosts[name] for name in names)
        results = self._pool.imap_unordered(
            lambda name: (name, self._result_or_error(work, name)), names
        )
        try:
            yield from results
        finally:
            if not results.ready():  # nobody waits for the others any more
                results.kill(block=False)
                self._pool.kill(block=False)

    def stop(self) -> None:
        """Begin no further host; those at work finish."""
        self.stopped = True

    def _result_or_error(self, work: Callable[[str], T], name: str) -> T | RegfleetError:
        if self.stopped:
            return InterruptedRunError(name)
        self._at_work.add(name)
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
        if self._links.connect(name):
            self._connected[name] = None
            self._drop_idle_connections()
        else:
            self._connected[name] = self._connected.pop(name, None)

    def _drop_idle_connections(self) -> None:
        surplus = max(0, len(self._connected) - self._most)
        needed = self._at_work | set(self._begun)
        idle = [name for name in self._connected if name not in needed][:surplus]
        for name in idle:
            del self._connected[name]
        for name in idle:  # others may go on meanwhile
            self._links.drop(name)

    def look(self, name: str, program: str, mark: str) -> ObservedHost:
        """One look: connect, one command.

        Raises:
            HostError: unreachable, or the look failed.
        """
        self.connect(name)
        return self._links.look(name, program, mark)

    def run(self, name: str, program: str, seconds: float, heard: Heard | None = None) -> list[str]:
        """Run a program; see `remote.run_program`."""
        self.connect(name)
        return self._links.run(name, program, seconds, heard)

    def ask_again(self, name: str, program: str, seconds: float) -> list[str]:
        """Reconnect to a host and run a program there.

        Raises:
            HostError: it cannot be reached for a minute.
        """
        deadline = time.monotonic() + AGAIN_SECONDS
        while True:
            self._links.leave(name)
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
        self._links.send(name, image, load=load, fleet=fleet)

    def tunnel(self, name: str, port: int, address: str = "127.0.0.1") -> Dial | None:
        """A tunnel to a TCP port of the host through its SSH connection.

        Returns:
            A factory of connections; None if the host is this machine.
        """
        if self._hosts[name].is_local:
            return None
        self.connect(name)
        return self._links.tunnel(name, port, address)

    def close(self) -> None:
        """End all connections; begin those that are kept for the next run."""
        gevent.killall(list(self._begun.values()), block=False)
        dial.hang_up()
        if self._has_links():
            self._links.keep(
                name for name in self._connected if self._hosts[name].ssh.control_persist
            )
            self._links.close()


def _connections_to_keep() -> int:
    """The number of connections to keep; raises the limit of open files if it is low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = KEPT_CONNECTIONS + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return KEPT_CONNECTIONS if soft == resource.RLIM_INFINITY else min(wanted, soft) - FILES_BESIDE


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
