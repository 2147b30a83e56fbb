"""Errors for hosts without an SSH connection: what was tried, what was found, what to do."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

from paramiko import SSHException
from pyinfra.api.exceptions import PyinfraError

from regfleet.errors import UnreachableError
from regfleet.fleet.defaults import SSH_PORT
from regfleet.ssh.login import LockedKeyError
from regfleet.ssh.way import Way

ERRORS = (PyinfraError, SSHException, OSError, EOFError, ValueError)
"""What a login raises when there is no connection."""


def unreachable(way: Way, error: Exception | str) -> UnreachableError:
    """The error for a host.

    Args:
        way: the way that was tried.
        error: the exception, or its text.
    """
    said = error if isinstance(error, str) else _text(error)
    said = said.replace("[Errno None] ", "")
    if isinstance(error, LockedKeyError):
        files = " ".join(shlex.quote(str(file)) for file in error.keys)
        hint = f"start an agent and give it the key: eval $(ssh-agent); ssh-add {files}"
    else:
        hint = _hint(way, said)
    where = f"{way.user}@{way.hostname}, port {way.port}"
    return UnreachableError(way.host.name, f"no SSH connection to {where}: {said}", hint)


def _text(error: Exception) -> str:
    """An error's message, with the action that failed."""
    said = str(error) or type(error).__name__
    if isinstance(error, socket.gaierror):
        return f"Could not resolve hostname ({said})"
    if isinstance(error, EOFError):
        return "the host ended the connection"
    return f"Could not connect ({said})" if isinstance(error, OSError) else said


def _hint(way: Way, said: str) -> str:
    known = next(iter(way.known_hosts), Path("~/.ssh/known_hosts"))
    hints = (
        (
            ("on the way through",),
            (
                f"see what `ssh -o BatchMode=yes {way.host.address}` says; for jump hosts the same "
                f"host_key_checking and known_hosts hold: add their keys to {known}"
            ),
        ),
        (
            ("revoked",),
            f"{known} marks this key as revoked: give the host a new key, and add that one",
        ),
        (
            ("host certificate",),
            (
                "sign the host's key anew with the authority of @cert-authority, for this name "
                f"(`ssh-keygen -h -s CA -I ID -n {way.alias or way.hostname}`)"
            ),
        ),
        (("Authentication", "authentication"), _key_hint(way)),
        (("No such private key", "Invalid private key"), _key_hint(way)),
        (
            ("No host key",),
            (
                f"add its key to {known} (`ssh-keyscan -p {way.port} {way.hostname}`, "
                "compared with the host's own), or set "
                '`host_key_checking = "accept-new"` under [ssh]'
            ),
        ),
        (
            ("does not match", "host key"),
            (
                "the host was reinstalled, or somebody intercepts the connection; if reinstalled: "
                f"`ssh-keygen -R {shlex.quote(way.known_name)} -f {known}`"
            ),
        ),
        (("resolve",), "give the host an `address` in the fleet file, or a DNS entry"),
        (("refused",), "is sshd running there, and is the port right?"),
        (
            ("timed out", "timeout", "Unable to connect"),
            "is the host up, and does a firewall let SSH through?",
        ),
    )
    port = "" if way.port == SSH_PORT else f"-p {way.port} "
    return next(
        (text for words, text in hints if any(word in said for word in words)),
        f"try `ssh {port}{way.host.address}` by hand",
    )


def _key_hint(way: Way) -> str:
    key = way.host.ssh.key
    if key and not key.exists():
        return "`key` under [ssh] names a file that is not there; it is relative to the fleet file"
    if key:
        return f"is the public half of {key} in {way.user}'s authorized_keys there?"
    return "no `key` is set under [ssh]: the agent's and your default keys were tried"
