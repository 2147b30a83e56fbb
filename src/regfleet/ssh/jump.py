"""Connections through jump hosts or a ProxyCommand of OpenSSH's configuration.

OpenSSH's own client goes through the jump hosts: it reads their sections, agents, keys and further
jumps. The fleet file's rules for host keys hold for each of them, the client never asks the user,
and it ends with the connection.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress

import gevent
from gevent.os import make_nonblocking, nb_read
from gevent.subprocess import PIPE, Popen

from regfleet.fleet.machines import Ssh
from regfleet.ssh import openssh_files
from regfleet.ssh.limits import CONNECT_SECONDS
from regfleet.ssh.openssh import includes, quoted, temporary_file
from regfleet.ssh.way import Way

_CHECKING = {"strict": "yes", "accept-new": "accept-new", "off": "no"}
_KEPT_BYTES = 2000  # of its error output
_LAST_WORDS_SECONDS = 1  # to wait for the end of its error output


class Jump:
    """A program's standard input and output as a socket.

    Args:
        command: the program and its arguments.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        # Without a terminal and without an askpass program: it fails instead of asking.
        with theirs:
            self._process = Popen(
                list(command),
                stdin=theirs,
                stdout=theirs,
                stderr=PIPE,
                start_new_session=True,
                env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
            )
        self._sock = ours
        self._words = b""
        self._listener = gevent.spawn(self._listen)

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        """As `socket.settimeout`."""
        self._sock.settimeout(seconds)

    def close(self) -> None:
        """End the program and its child processes."""
        self._sock.close()
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def said(self) -> str:
        """The end of its error output, on one line."""
        self._listener.join(_LAST_WORDS_SECONDS)
        return " ".join(self._words.decode("utf-8", "replace").split())

    def _listen(self) -> None:
        pipe = self._process.stderr
        make_nonblocking(pipe.fileno())
        with suppress(OSError):
            while piece := nb_read(pipe.fileno(), _KEPT_BYTES):
                self._words = (self._words + piece)[-_KEPT_BYTES:]
        pipe.close()


def command(way: Way) -> list[str]:
    """The program that a connection goes through; empty for a direct one.

    A ProxyCommand runs in the user's shell, as OpenSSH runs it (ssh_config(5), ProxyCommand).
    """
    if way.jumps:
        return through(way.jumps, way.hostname, way.port, way.host.ssh)
    if way.command:
        return [os.environ.get("SHELL", "/bin/sh"), "-c", f"exec {way.command}"]
    return []


def through(jumps: str, hostname: str, port: int, ssh: Ssh) -> list[str]:
    """The command that connects to a port through jump hosts.

    Args:
        jumps: `ProxyJump` of OpenSSH's configuration, `[USER@]HOST[:PORT],...`.
        hostname, port: the target, as seen from the last jump host.
        ssh: the host's SSH settings in the fleet file.
    """
    *before, last = (jump.strip() for jump in jumps.split(","))
    last = last if last.startswith("ssh://") else f"ssh://{last}"
    way = ["-J", ",".join(before)] if before else []
    return [
        "ssh",
        "-F",
        str(temporary_file(settings(ssh))),
        "-W",
        f"[{hostname}]:{port}",
        *way,
        "--",
        last,
    ]


def settings(ssh: Ssh) -> str:
    """OpenSSH's configuration for jump hosts: regfleet's lines first, because the first one counts.

    A file, not options: OpenSSH does not pass options to the clients that it starts for
    further jumps (openssh-portable, ssh.c, on `jump_host`).
    """
    lines = ["BatchMode yes", "LogLevel ERROR", f"ConnectTimeout {CONNECT_SECONDS}"]
    if ssh.host_key_checking:
        lines += [f"StrictHostKeyChecking {_CHECKING[ssh.host_key_checking]}"]
    if ssh.known_hosts:
        lines += [f"UserKnownHostsFile {quoted(ssh.known_hosts)}", "GlobalKnownHostsFile none"]
        if openssh_files.read().key_program:  # OpenSSH before 8.5 has no such keyword
            lines += ["KnownHostsCommand none"]
    if ssh.key:
        lines += [f"IdentityFile {quoted(ssh.key)}"]
    # Last, so that it holds where nothing else is said: unlike `ask`, it names the host it refuses.
    return "".join(f"{line}\n" for line in lines) + includes() + "StrictHostKeyChecking yes\n"
