"""A host's way in pyinfra's terms. Pure."""

from __future__ import annotations

from regfleet.ssh.way import Way

CONNECTOR = "regfleet"  # the name of `client.Connector` for pyinfra (pyproject.toml)
WAY = "regfleet_way"  # the name of a host's way among its data
ERROR = "regfleet_error"  # why it has none
_CHECKING = {"strict": "yes", "accept-new": "accept-new", "off": "off"}


def connection_data(way: Way) -> dict[str, object]:
    """A host's data for pyinfra: its way, and what pyinfra's own programs (rsync) know of it."""
    data: dict[str, object] = {
        WAY: way,
        "ssh_hostname": way.hostname,
        "ssh_port": way.port,
        "ssh_user": way.user,
        "ssh_strict_host_key_checking": _CHECKING[way.checking],
    }
    if way.host.ssh.key:
        data["ssh_key"] = str(way.host.ssh.key)
    if way.host.ssh.known_hosts:
        data["ssh_known_hosts_file"] = str(way.host.ssh.known_hosts)
    return data
