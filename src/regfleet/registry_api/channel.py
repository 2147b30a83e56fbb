"""Byte streams to a registry through the SSH connection to a host."""

from __future__ import annotations

import paramiko

from regfleet.registry_api.errors import RegistryError
from regfleet.registry_api.tunnel import Dial, SocketLike


def through(transport: paramiko.Transport, port: int, address: str = "127.0.0.1") -> Dial:
    """A `Dial` that opens a channel in an SSH connection; its host connects to the port.

    Args:
        transport: the established SSH connection.
        port: the registry's TCP port.
        address: the registry's address as that host reaches it.
    """

    def dial(seconds: float) -> SocketLike:
        try:
            return transport.open_channel(
                "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=seconds
            )
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise explain_channel(error, f"{address}:{port}") from error

    return dial


def explain_channel(error: Exception, target: str) -> RegistryError:
    """The error for an SSH channel that did not open (RFC 4254, 5.1). Pure.

    Args:
        error: as raised by `paramiko.Transport.open_channel`.
        target: the address and port that the host was to connect to.
    """
    code = error.code if isinstance(error, paramiko.ChannelException) else 0
    if code == 1:  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED
        return RegistryError(
            "unreachable",
            f"the host's sshd refuses to forward to {target}",
            "allow it in sshd_config: AllowTcpForwarding local",
        )
    if code == 2:  # noqa: PLR2004 - SSH_OPEN_CONNECT_FAILED
        return RegistryError(
            "refused",
            f"no service listens on {target} of the host",
            "is the registry running, and is the port right?",
        )
    said = str(error) or type(error).__name__
    return RegistryError("unreachable", f"no SSH channel to {target} of the host: {said}")
