"""paramiko and pyinfra made fit for a thousand hosts: the same protocol and checks, less work.

Each class stands in for one of theirs, and says what that one would spend most of a run on.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from typing import TYPE_CHECKING, get_type_hints

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey
from pyinfra import api
from pyinfra.connectors import base
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.sshuserclient import client as pyinfra_client

from regfleet.fleet.model import LOCAL
from regfleet.run.limits import KEEPALIVE_SECONDS

if TYPE_CHECKING:
    from pyinfra.api.state import State


class Transport(paramiko.Transport):
    """An SSH connection that sends at once, wakes up seldom, and has one code for each packet.

    paramiko lets the system hold a short packet back until the one before is acknowledged, which
    the other side puts off for 40 ms (tcp(7), TCP_NODELAY). It wakes each connection ten times a
    second, to see whether a keep-alive is due. Its first choice is a cipher that does not
    authenticate, with a code beside it whose bytes are compared one by one in Python; AES-GCM,
    where the host has it, is one call.
    """

    _active_check_timeout = KEEPALIVE_SECONDS / 4
    _preferred_ciphers = tuple(
        sorted(vars(paramiko.Transport)["_preferred_ciphers"], key=lambda name: "gcm" not in name)
    )

    def __init__(
        self,
        sock: socket,
        *,
        gss_kex: bool = False,
        gss_deleg_creds: bool = True,
        disabled_algorithms: dict[str, Iterable[str]] | None = None,
    ) -> None:
        with suppress(OSError, AttributeError):  # a connection through a proxy is no TCP socket
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        super().__init__(
            sock,
            gss_kex=gss_kex,
            gss_deleg_creds=gss_deleg_creds,
            disabled_algorithms=disabled_algorithms,
        )


class KnownHosts(paramiko.HostKeys):
    """A known_hosts file, asked by name alone; the cost does not grow with the square of its size.

    paramiko compares a name with every line, three times a connection, and each line with all
    lines before it. Lines that cannot be read are passed over, as ssh does (sshd(8)).
    """

    def __init__(self, filename: str | None = None) -> None:
        self._lines: list[str] = []
        self._plain: dict[str, list[int]] = defaultdict(list)
        self._hashed: list[tuple[bytes, bytes, int]] = []
        self._found: dict[str, paramiko.HostKeys] = {}
        super().__init__(filename)

    def load(self, filename: str) -> None:  # type: ignore[override] # other types are not used
        """Add a file's lines.

        Raises:
            OSError: it cannot be read.
        """
        for line in Path(filename).read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split(maxsplit=1)
            if not words or line.startswith("#"):
                continue
            self._lines.append(line.strip())
            for name in words[0].split(","):
                self._add_name(name, len(self._lines) - 1)
        self._found.clear()

    def lookup(self, hostname: str) -> Mapping[str, paramiko.PKey] | None:  # type: ignore[override]
        """A host's keys by their type, None where there are none.

        Args:
            hostname: name or address; with another port than 22, `[NAME]:PORT`.
        """
        if hostname not in self._found:
            name = hostname.encode()
            numbers = set(self._plain.get(hostname, ())) | {
                number
                for salt, digest, number in self._hashed
                if hmac.digest(salt, name, "sha1") == digest
            }
            self._found[hostname] = keys = paramiko.HostKeys()
            vars(keys)["_entries"] = list(self._entries_of(sorted(numbers)))
        return self._found[hostname].lookup(hostname)

    def _add_name(self, name: str, number: int) -> None:
        """A name is plain, or hashed as `|1|SALT|DIGEST` (HMAC-SHA1, both in base64)."""
        if not name.startswith("|1|"):
            self._plain[name].append(number)
            return
        try:
            salt, digest = (base64.b64decode(part) for part in name[3:].split("|"))
        except (ValueError, binascii.Error):
            return
        self._hashed.append((salt, digest, number))

    def _entries_of(self, numbers: Iterable[int]) -> Iterable[HostKeyEntry]:
        for number in numbers:
            try:
                entry = HostKeyEntry.from_line(self._lines[number], number + 1)
            except (InvalidHostKey, paramiko.SSHException, ValueError):
                continue
            if entry is not None:
                yield entry


class Host(api.Host):
    """A host whose name need not be as long as the longest: that costs a look at all the others."""

    def init(self, state: State) -> None:
        """As pyinfra's, which pads what it prints."""
        self.state = state
        self.connector = self.connector_cls(state, self)
        self.print_prefix_padding = ""


class Inventory(api.Inventory):
    """Hosts with their data, in no groups, reached over SSH or on this machine.

    pyinfra reads the metadata of every installed distribution for connectors, and loads them all.
    """

    def make_hosts_and_groups(
        self, names: Iterable[tuple[str, dict[str, object]]], groups: object
    ) -> None:
        """As pyinfra's constructor calls it."""
        del groups
        self.host_data.update(names)
        self.hosts = {
            name: Host(name, self, [], LocalConnector if name == LOCAL else SSHConnector)
            for name in self.host_data
        }


def use() -> None:
    """Have pyinfra use `KnownHosts`, and take a host's data as `connection_data` makes it.

    pyinfra works out their types anew for each host, and compares every value with its own.
    """
    pyinfra_client.HostKeys = KnownHosts
    base.get_type_hints = cache(get_type_hints)
    base.raise_if_bad_type = _unchecked


def _unchecked(*_: object) -> None:
    pass


def prepare(host: Host, sock: socket | None) -> None:
    """Have a host connect by `Transport`, on a connection that is there already where it is."""
    begun = {"sock": sock} if sock else {}
    host.connector.data["ssh_paramiko_connect_kwargs"] = {"transport_factory": Transport, **begun}
