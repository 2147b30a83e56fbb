"""The ways to hosts: asks OpenSSH for those that are not known yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module

from regfleet.errors import UnreachableError
from regfleet.fleet.machines import Host, HostKeyChecking
from regfleet.ssh import openssh_kept
from regfleet.ssh.openssh_kept import ConfigurationError
from regfleet.ssh.way import Way, kept, question, way


def prepare(hosts: Iterable[Host]) -> None:
    """Ask for all hosts at once; errors wait until `way_to` is called for that host."""
    if not openssh_kept.configured():
        return
    asked = [question(host) for host in hosts if not host.is_local]
    if any(openssh_kept.kept(each) is None for each in asked):
        import_module("regfleet.ssh.openssh").ask(asked)  # slow to import, seldom needed


def checking(hosts: Sequence[Host]) -> dict[str, HostKeyChecking]:
    """How each host's key is checked; hosts whose configuration cannot be used are left out."""
    prepare(hosts)
    found = {}
    for host in hosts:
        if not host.is_local:
            with suppress(UnreachableError):
                found[host.name] = way_to(host).checking
    return found


def way_to(host: Host) -> Way:
    """The way to a host.

    Raises:
        UnreachableError: OpenSSH's configuration cannot be used for it.
    """
    if found := kept(host):
        return found
    try:
        return way(host, import_module("regfleet.ssh.openssh").answer(question(host)))
    except ConfigurationError as error:
        raise UnreachableError(
            host.name, f"no SSH connection to {host.address}: {error.message}", error.hint
        ) from error
