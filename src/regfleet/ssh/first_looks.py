"""Looks at hosts that OpenSSH keeps connections to, while Python still imports the rest.

Quick to import: neither pyinfra nor paramiko is needed for them. What such a look cannot do (the
client is gone, the host does not answer) is no error: the run then looks in its usual way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

import gevent
from gevent import Greenlet
from gevent.event import Event

from regfleet.errors import HostError, RegfleetError
from regfleet.fleet.machines import Host
from regfleet.shell.command import shell_command
from regfleet.ssh import sudo_password
from regfleet.ssh.control_socket import socket_to_use
from regfleet.ssh.exchange import TooMuchError, over_ssh, within
from regfleet.ssh.limits import LOOK_SECONDS, PER_CORE
from regfleet.ssh.multiplex import Multiplexed
from regfleet.ssh.way import kept

# Until all programs are sent: the imports that follow let no greenlet go on.
_SENDING_SECONDS = 0.2


class FirstLook:
    """A look that was begun.

    Args:
        mark: frames its answer.
        lines: becomes the lines of its answer; None where there was none.

    Attributes:
        mark: as given.
    """

    def __init__(self, mark: str, lines: Greenlet[..., list[str] | None]) -> None:
        self.mark = mark
        self._lines = lines

    def lines(self) -> list[str] | None:
        """Wait for the lines of its answer; None where there was none."""
        found: list[str] | None = self._lines.get()
        return found


def usable(hosts: Iterable[Host]) -> dict[str, Multiplexed]:
    """The kept connections that there seem to be, by host; nobody is asked whether they live.

    Hosts whose keys are not checked strictly are left out: the user is warned about them first.
    """
    found = {}
    for host in hosts:
        try:
            way = None if host.is_local else kept(host)
        except RegfleetError:  # of OpenSSH's configuration; who connects tells it
            continue
        if way and way.checking == "strict" and (path := socket_to_use(way)):
            found[host.name] = Multiplexed(path)
    return found


def begin(
    connections: Mapping[str, Multiplexed],
    program: Callable[[str], tuple[str, str]],
    *,
    sudo: Mapping[str, bool],
    parallel: int | None,
) -> dict[str, FirstLook]:
    """Begin to look at hosts.

    Args:
        connections: by host.
        program: a host's program and the mark that frames its answer.
        sudo: by host, whether it runs as root through sudo.
        parallel: how many hosts; by default as many as pyinfra works on at the same time.

    Returns:
        The looks, by host; further hosts are looked at in the usual way.
    """
    begun, all_sent = {}, []
    for name in islice(connections, parallel or PER_CORE * (os.cpu_count() or 1)):
        text, mark = program(name)
        sent = Event()
        look = gevent.spawn(_look, name, connections[name], text, sudo[name], sent)
        begun[name] = FirstLook(mark, look)
        all_sent.append(sent)
    gevent.wait(all_sent, timeout=_SENDING_SECONDS)
    return begun


def _look(
    name: str, connection: Multiplexed, program: str, sudo: bool, sent: Event
) -> list[str] | None:
    def pieces() -> Iterator[str]:
        yield program
        sent.set()

    def execute(command: str, stdin: Iterable[str]) -> list[str]:
        with within(LOOK_SECONDS, HostError(name, "no answer in time")):
            return over_ssh(connection, command, stdin)

    try:
        if sudo:
            return sudo_password.run(name, "sh -s", pieces(), execute)
        return execute(shell_command("sh -s", sudo=False), pieces())
    except (HostError, TooMuchError, OSError, EOFError):
        connection.give_up()
        return None
    finally:
        sent.set()
