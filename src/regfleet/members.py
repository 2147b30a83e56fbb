"""The hosts that the last apply configured: one file in the state directory.

A host that leaves the fleet file keeps its trust, mirrors and logins, and regfleet no longer looks
at it. This file keeps how to reach it, so that regfleet can name it and clean it up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from regfleet import kept, state_paths
from regfleet.fleet.clients import EngineName
from regfleet.fleet.defaults import SSH_PORT
from regfleet.fleet.engine_rules import engines as engine_names
from regfleet.fleet.machines import Host, HostKeyChecking, Ssh
from regfleet.fleet.model import Fleet
from regfleet.fleet.values import Json
from regfleet.state import StateDirectory

VERSION = 1


@dataclass(frozen=True, slots=True)
class Member:
    """A host as it was declared at the last apply.

    Attributes:
        groups: its pyinfra groups, as `registry_main`, `client_build`.
        engines: the engines that were configured, as `DesiredHost.engines`.
        account: as `DesiredHost.account`.
    """

    host: Host
    groups: tuple[str, ...]
    engines: tuple[EngineName, ...]
    account: str = ""

    @classmethod
    def of(
        cls, fleet: Fleet, name: str, engines: tuple[EngineName, ...], account: str = ""
    ) -> Member:
        """The member for a host of the fleet as it is declared now."""
        groups = (
            group
            for group, names in fleet.groups().items()
            if name in names and group not in ("registries", "clients")
        )
        return cls(fleet.hosts()[name], tuple(groups), engines, account)


def gone(fleet: Fleet, members: Mapping[str, Member]) -> dict[str, Member]:
    """The members that the fleet file no longer declares, without hosts that were renamed. Pure."""
    places = {_place(host) for host in fleet.hosts().values()}
    return {
        name: member
        for name, member in members.items()
        if name not in fleet.hosts() and _place(member.host) not in places
    }


def _place(host: Host) -> tuple[str, int]:
    return host.address, host.ssh.port or SSH_PORT


def read(state: StateDirectory) -> dict[str, Member]:
    """The members by name; none when the file does not exist.

    Raises:
        StateError: the file cannot be read, or regfleet did not write it.
    """
    found = kept.read(
        state,
        state_paths.MEMBERS,
        VERSION,
        lambda document: {
            str(name): _parse_member(str(name), each) for name, each in document["hosts"].items()
        },
        "restore it from a backup; or remove it, and regfleet forgets the hosts that left the "
        "fleet file",
    )
    return found or {}


def write(state: StateDirectory, members: Mapping[str, Member]) -> None:
    """Replace the file if the members differ.

    Raises:
        StateError: the file cannot be read or written.
    """
    hosts = {name: _member_json(member) for name, member in sorted(members.items())}
    text = json.dumps({"version": VERSION, "hosts": hosts}, indent=1) + "\n"
    before = state.read_text(state_paths.MEMBERS)
    if before != text and (members or before is not None):
        state.write_text(state_paths.MEMBERS, text)


def _member_json(member: Member) -> dict[str, Json]:
    ssh = member.host.ssh
    left_out = {"port": ssh.port, "host_key_checking": ssh.host_key_checking}
    return {
        "address": member.host.address,
        "user": ssh.user,
        "port": ssh.port or SSH_PORT,
        "key": str(ssh.key) if ssh.key else None,
        "sudo": ssh.sudo,
        "host_key_checking": ssh.host_key_checking or "strict",
        # An earlier version needs a value of both, though the fleet file leaves them to OpenSSH.
        "undeclared": [name for name, value in left_out.items() if value is None],
        "known_hosts": str(ssh.known_hosts) if ssh.known_hosts else None,
        "groups": list(member.groups),
        "engines": list(member.engines),
        **({"account": member.account} if member.account else {}),
    }


def _parse_member(name: str, section: Mapping[str, Json]) -> Member:
    checking, engines = (
        _require_text(section["host_key_checking"]),
        _require_texts(section["engines"]),
    )
    if checking not in get_args(HostKeyChecking) or not set(engines) <= set(engine_names()):
        raise ValueError(f"host {name}")
    port = section["port"]
    if not isinstance(port, int) or not 0 < port < 2**16:
        raise ValueError(f"port of host {name}")
    undeclared = section.get("undeclared", [])
    if not isinstance(undeclared, list):
        raise TypeError(f"undeclared keys of host {name}")
    return Member(
        Host(
            name,
            _require_text(section["address"]),
            Ssh(
                user=_optional_text(section["user"]),
                port=None if "port" in undeclared else port,
                key=_optional_path(section["key"]),
                sudo=bool(section["sudo"]),
                host_key_checking=(
                    None if "host_key_checking" in undeclared else cast("HostKeyChecking", checking)
                ),
                known_hosts=_optional_path(section["known_hosts"]),
            ),
        ),
        _some(_require_texts(section["groups"])),
        engines,
        _require_text(section.get("account", "")),
    )


def _require_text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} where text belongs")
    return value


def _require_texts(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.60} where a list belongs")
    return tuple(map(_require_text, value))


def _some(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not texts:
        raise TypeError("an empty list where something belongs")
    return texts


def _optional_text(value: Json) -> str | None:
    return None if value is None else _require_text(value)


def _optional_path(value: Json) -> Path | None:
    return None if value is None else Path(_require_text(value))
