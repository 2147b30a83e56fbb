"""Programs that are asked about a host's key.

KnownHostsCommand (ssh_config(5)), and ssh-keygen for lists of revoked keys in OpenSSH's own format
(ssh-keygen(1), KEY REVOCATION LISTS).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import paramiko
from gevent.subprocess import Popen

from regfleet.errors import cut
from regfleet.ssh.limits import CONFIGURATION_SECONDS
from regfleet.ssh.way import Way

_MOST_BYTES = 1 << 20  # of an answer
_NONE = "NONE"  # in the place of a key that is not known yet


def known_hosts_lines(way: Way, purpose: str, key: paramiko.PKey | None = None) -> list[str]:
    """What the KnownHostsCommand prints, without a shell (sshconnect.c, load_hostkeys_command).

    Args:
        purpose: why it is asked: `ORDER` before the host's key is known, then `HOSTNAME`.
        key: the host's key.

    Raises:
        SSHException: it cannot be run, failed, or did not end in time.
    """
    tokens = {"H": way.known_name, "I": purpose, "f": _NONE, "t": _NONE, "K": _NONE, "%": "%"}
    if key is not None:
        kind, blob = _shown(key)
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        tokens |= {"f": f"SHA256:{digest}", "t": kind, "K": base64.b64encode(blob).decode()}
    words = [
        re.sub("%(.)", lambda found: tokens.get(found[1], found[0]), word)
        for word in shlex.split(way.known_command)
    ]
    status, said = _run(words, "KnownHostsCommand")
    if status != 0:
        raise paramiko.SSHException(f"KnownHostsCommand of OpenSSH's configuration failed: {said}")
    return said.splitlines()


def is_revoked(krl: Path, key: paramiko.PKey) -> bool:
    """Whether a list of OpenSSH's names a key, or a certificate with it.

    Raises:
        SSHException: there is no ssh-keygen, or the list cannot be used.
    """
    kind, blob = _shown(key)
    line = f"{kind} {base64.b64encode(blob).decode()}\n"
    what = f"ssh-keygen, which reads {krl} (RevokedHostKeys),"
    status, said = _run(["ssh-keygen", "-Q", "-f", str(krl), "/dev/stdin"], what, line)
    # It ends with 1 for a revoked key and says so; with 255 where it cannot tell.
    if status == 0 and "ok" in said.split():
        return False
    if "REVOKED" in said.split():
        return True
    raise paramiko.SSHException(f"{what} failed: {cut(' '.join(said.split()))}")


def _shown(key: paramiko.PKey) -> tuple[str, bytes]:
    """The type and the content of what the host showed: its certificate, or its key."""
    shown = key.public_blob
    if shown:
        return shown.key_type, shown.key_blob
    return key.get_name(), key.asbytes()


def _run(words: Sequence[str], what: str, stdin: str = "") -> tuple[int, str]:
    """Run a program, bounded in time and output.

    Returns:
        Its exit status, and what it printed, or its complaint where it failed.

    Raises:
        SSHException: it cannot be started, or did not end in time.
    """
    try:
        process = Popen(
            list(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise paramiko.SSHException(f"{what} cannot be started: {error.strerror}") from error
    try:
        said, complaint = process.communicate(stdin.encode(), timeout=CONFIGURATION_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise paramiko.SSHException(
            f"{what} did not end within {CONFIGURATION_SECONDS:g} seconds"
        ) from None
    text = said[:_MOST_BYTES].decode("utf-8", "replace")
    if process.returncode not in (0, 1) and not text.strip():
        text = cut(" ".join(complaint.decode("utf-8", "replace").split()))
    return int(process.returncode), text
