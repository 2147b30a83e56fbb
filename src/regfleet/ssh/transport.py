"""paramiko's transport for a thousand hosts: the same protocol and checks, less work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from socket import IPPROTO_TCP, TCP_NODELAY, socket

import paramiko

from regfleet.ssh.limits import KEEPALIVE_SECONDS
from regfleet.ssh.metered import Metered


class Transport(paramiko.Transport):
    """An SSH connection that sends at once, wakes up seldom, and has one code for each packet.

    paramiko lets the system hold a short packet back until the one before is acknowledged, which
    the other side puts off for 40 ms (tcp(7), TCP_NODELAY). It has the socket wake each connection
    ten times a second, to see whether a keep-alive message is due. Its first choice is a cipher
    that does not authenticate, with a code beside it whose bytes are compared one by one in Python;
    AES-GCM, where the host has it, is one call.
    """

    def __init__(
        self,
        sock: socket,
        *,
        gss_kex: bool = False,
        gss_deleg_creds: bool = True,
        disabled_algorithms: dict[str, Iterable[str]] | None = None,
    ) -> None:
        self._kinds: tuple[str, ...] = ()
        with suppress(OSError, AttributeError):  # a connection through a proxy is no TCP socket
            sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        super().__init__(
            Metered(sock),  # type: ignore[arg-type] # all that it wants of a socket
            gss_kex=gss_kex,
            gss_deleg_creds=gss_deleg_creds,
            disabled_algorithms=disabled_algorithms,
        )
        self.sock.settimeout(KEEPALIVE_SECONDS / 4)
        security = self.get_security_options()
        security.ciphers = sorted(security.ciphers, key=lambda name: "gcm" not in name)

    def prefer_keys(self, kinds: Sequence[str]) -> None:
        """Ask the host for a key of these types, the first one first."""
        self._kinds = tuple(kinds)

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """The types of host keys that are asked for. paramiko asks for certificates unasked."""
        return self._kinds or tuple(self.get_security_options().key_types)
