"""Connections that are made while Python imports what will look at hosts through them.

A host's part in a connection, keys and the login, takes ten times as long as ours; it is done by
the time that it is asked something.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import gevent

from regfleet.fleet.model import Fleet
from regfleet.run.session import Session

_begun: dict[str, Session] = {}  # at most one


def begin(fleet: Fleet, names: Sequence[str], parallel: int | None, modules: Sequence[str]) -> None:
    """Begin to connect to hosts that were dialled, and import modules meanwhile.

    Hosts whose keys need not be known wait: for them, people are warned first.

    Args:
        fleet: whose hosts.
        names: the hosts that were dialled.
        parallel: hosts at the same time, as on the command line.
        modules: what the command imports anyway; between two of them connections go on.
    """
    hosts = fleet.hosts()
    known = [name for name in names if hosts[name].ssh.host_key_checking == "strict"]
    if not known:
        return
    _begun[fleet.proof] = session = Session(fleet, hosts, parallel)
    session.begin(known)
    for module in modules:
        gevent.sleep(0.001)  # sockets are asked; with 0 only who is ready already goes on
        import_module(module)


def session(fleet: Fleet, parallel: int | None) -> Session:
    """The session of a run over a fleet: the one that was begun, or a new one."""
    return _begun.pop(fleet.proof, None) or Session(fleet, fleet.hosts(), parallel)
