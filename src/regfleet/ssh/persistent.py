"""Connections that outlive a run: OpenSSH's client keeps them, and the next run goes through them.

A login takes a host and this machine far more time than a look. With `control_persist` a client
opens a connection to each host when a run ends, and ends when nothing has used it for that long
(ssh_config(5), ControlPersist).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path

from regfleet.ssh.control_socket import is_safe, socket_to_keep, socket_to_use
from regfleet.ssh.jump import settings
from regfleet.ssh.limits import KEEPALIVE_SECONDS
from regfleet.ssh.multiplex import Multiplexed
from regfleet.ssh.openssh import answer
from regfleet.ssh.way import Way, question

MOST = 200  # clients that are started; each is a process
_UNWANTED = (  # of the user's configuration: what such a connection is not for
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "Tunnel=no",
)


def join(way: Way) -> Multiplexed | None:
    """The kept connection to a host; None if there is none that may be used."""
    path = socket_to_use(way)
    connection = path and Multiplexed(path)
    return connection if connection and connection.is_active() else None


def keep(ways: Iterable[Way]) -> None:
    """Start clients that keep connections to hosts open; does not wait for them.

    One that fails changes nothing: the next run connects as this one did.
    """
    for way in islice(ways, MOST):
        path = socket_to_keep(way)
        if path and not way.forward_agent:
            with suppress(OSError):  # no ssh program, no place for the socket
                _start(way, path)


def _start(way: Way, path: Path) -> None:
    """Log in, run `true` and stay; where a client is there already, run it through that one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_safe(path.parent):
        return
    configuration = _configuration(settings(way.host.ssh), path.parent)
    options = (
        "ControlMaster=auto",
        f"ControlPath={str(path).replace('%', '%%')}",
        f"ControlPersist={way.host.ssh.control_persist}",
        f"ServerAliveInterval={KEEPALIVE_SECONDS}",
        "ServerAliveCountMax=2",
        *_UNWANTED,
        *(("IdentitiesOnly=yes",) if way.only else ()),
        *(("KnownHostsCommand=none",) if _has_other_host_keys(way) else ()),
    )
    given = [part for option in options for part in ("-o", option)]
    target = ["-l", way.user, "-p", str(way.port), "--", way.host.address, "true"]
    subprocess.Popen(
        ["ssh", "-F", str(configuration), *given, *target],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
    )


def _has_other_host_keys(way: Way) -> bool:
    """Whether the user's configuration has a source of host keys that the fleet file rules out.

    OpenSSH before 8.5 does not know the keyword, so it is not named without a reason.
    """
    return bool(way.host.ssh.known_hosts) and "knownhostscommand" in answer(question(way.host))


def _configuration(text: str, directory: Path) -> Path:
    """A configuration file that stays: a client may read it when this process has ended."""
    path = directory / f"{sha256(text.encode()).hexdigest()[:24]}.conf"
    if not path.exists():
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    return path
