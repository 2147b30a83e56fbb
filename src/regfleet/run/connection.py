"""How pyinfra is told to reach a host. Pure."""

from __future__ import annotations

from regfleet.fleet.model import Host

_CHECKING = {"strict": "yes", "accept-new": "accept-new", "off": "off"}


def connection_data(host: Host) -> dict[str, object]:
    """A host's SSH settings as pyinfra's host data; nothing for this machine."""
    if host.is_local:
        return {}
    data: dict[str, object] = {
        "ssh_hostname": host.address,
        "ssh_port": host.ssh.port,
        "ssh_strict_host_key_checking": _CHECKING[host.ssh.host_key_checking],
    }
    if host.ssh.user:
        data["ssh_user"] = host.ssh.user
    if host.ssh.key:
        data["ssh_key"] = str(host.ssh.key)
    if host.ssh.known_hosts:
        data["ssh_known_hosts_file"] = str(host.ssh.known_hosts)
    return data
