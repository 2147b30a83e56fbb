"""Log in to hosts while Python imports the modules that will use the connections.

Key exchange and login take a host ten times as long as this machine; they are done before the
first request.
"""

from __future__ import annotations

from collections.abc import Sequence

from regfleet.fleet.model import Fleet
from regfleet.ssh import ways
from regfleet.ssh.session import Session

_begun: list[tuple[Fleet, Session]] = []  # at most one


def begin(fleet: Fleet, names: Sequence[str], parallel: int | None) -> None:
    """Begin to log in to dialled hosts.

    Hosts without strict host key checking wait, because the user is warned about them first.

    Args:
        fleet: the fleet of the hosts.
        names: the hosts that were dialled.
        parallel: hosts at the same time, as on the command line.
    """
    hosts = fleet.hosts()
    known = [name for name in names if ways.way_to(hosts[name]).checking == "strict"]
    if not known:
        return
    session = Session(fleet, hosts, parallel)
    _begun[:] = [(fleet, session)]
    session.begin(known)


def session(fleet: Fleet, parallel: int | None) -> Session:
    """The session for a fleet: the one that was begun, or a new one."""
    if _begun:
        begun, session = _begun.pop()
        if begun == fleet:  # the file may have been written to in between
            return session
        session.close()
    return Session(fleet, fleet.hosts(), parallel)
