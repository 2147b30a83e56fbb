"""Which registries are backed up and from where they are restored, and questions about backups."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from regfleet import backup_state, passwords
from regfleet.desired.resolve import registries_on
from regfleet.errors import HostError, UsageError
from regfleet.fleet.findings import did_you_mean
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Backup, Registry
from regfleet.fleet.selection import registries_with
from regfleet.jobs import backup as job
from regfleet.jobs.backup import BackupSubject, Place
from regfleet.jobs.running import Connection
from regfleet.model.backups import KeptBackups
from regfleet.model.desired import DesiredHost
from regfleet.run.collection import service_of
from regfleet.secret import Secret
from regfleet.ssh.limits import LOOK_SECONDS
from regfleet.state import StateDirectory

_STATE_SECONDS = 600.0


def chosen(fleet: Fleet, asked: str) -> list[Registry]:
    """The registries with backups; with a name, that one.

    Raises:
        UsageError: there is none.
    """
    if found := registries_with(fleet, asked, lambda each: each.backup):
        return found
    what = f"the registry {asked} has no" if asked else f"no registry in {fleet.path.name} has a"
    raise UsageError(
        f"{what} place for backups",
        "declare one: `regfleet docs registry.backup` shows how",
    )


def declared(registry: Registry) -> Backup:
    """The table of a registry that `chosen` gave."""
    if registry.backup is None:
        raise UsageError(f"the registry {registry.name} has no place for backups")
    return registry.backup


def place(fleet: Fleet, registry: Registry) -> Place:
    """Where the backups of a registry are kept, on the host that makes or restores them."""
    backup = declared(registry)
    return Place(backup.to, backup.mounted, fleet.name, registry.name)


def host_of(registry: Registry) -> str:
    """The host that makes its backups: of several with one storage, the first."""
    return registry.hosts[0].name


def subjects(
    fleet: Fleet, want: DesiredHost, registries: Iterable[Registry]
) -> tuple[BackupSubject, ...]:
    """Those of the registries that a host backs up."""
    return tuple(
        BackupSubject(
            service.name,
            service.kind,
            registry.storage,
            place(fleet, registry),
            declared(registry).keep,
        )
        for registry in registries
        if host_of(registry) == want.name and (service := service_of(registry, want))
    )


def passphrase(registry: Registry) -> Secret | None:
    """What encrypts the state directory; None where that is not kept.

    Raises:
        PasswordError: its source cannot be read, or it is too short.
    """
    key = declared(registry).key
    if key is None:
        return None
    whose = f"passphrase of the backup of registry {registry.name!r}"
    found = passwords.read(key, whose)
    backup_state.check_passphrase(found, whose)
    return found


def with_states(
    found: Sequence[BackupSubject], state: StateDirectory, keys: dict[str, Secret]
) -> tuple[BackupSubject, ...]:
    """The subjects, with the state directory as each keeps it.

    Args:
        keys: passphrases by registry.

    Raises:
        StateError: the state directory cannot be read, or is too large.
    """
    packed: dict[Secret, bytes] = {}
    result = []
    for each in found:
        key = keys.get(each.place.registry)
        if key is not None and key not in packed:
            packed[key] = backup_state.pack(state, key)
        result.append(replace(each, state=packed[key] if key is not None else None))
    return tuple(result)


def target(fleet: Fleet, registry: Registry, to: str) -> tuple[str, Registry]:
    """Host and registry that a backup is restored into.

    Args:
        registry: whose backup it is.
        to: a host; empty for the registry's own.

    Raises:
        UsageError: there is no registry on it that can take the images, or there are several.
    """
    if not to or to in registry.members:
        return to or host_of(registry), registry
    hosts = fleet.hosts()
    if to not in hosts:
        raise UsageError(
            f"there is no host {to} in {fleet.path.name}", did_you_mean(to, list(hosts), "")
        )
    there = [each for each in registries_on(fleet, to) if each.takes_pushes and each.storage]
    if len(there) != 1:
        what = "no registry" if not there else "several registries"
        raise UsageError(
            f"{to} has {what} that could take the images of {registry.name}",
            f"name it under hosts of registry.{registry.name}, and run `regfleet apply` first",
        )
    return to, there[0]


def kept(connections: Connection, host: str, places: Sequence[Place]) -> dict[str, KeptBackups]:
    """The backups at places of a host, by registry.

    Raises:
        HostError: unreachable, or it did not answer.
    """
    mark = _mark()
    lines = connections.run(host, job.render_list(places, mark), LOOK_SECONDS)
    found = job.parse_list(lines, mark)
    if found is None:
        raise HostError(host, "the backups cannot be listed: no answer", "run it again")
    return found


def restore_state(
    connections: Connection,
    host: str,
    where: Place,
    key: Secret,
    state: StateDirectory,
) -> tuple[int, int]:
    """Bring the newest state directory that a place keeps into one that has no other content.

    Returns:
        How many files were written, and when it was kept, in seconds since 1970.

    Raises:
        HostError: unreachable, or nothing is kept there.
        StateError: it cannot be decrypted, or the directory has other content.
    """
    mark = _mark()
    lines = connections.run(host, job.render_state(where, mark), _STATE_SECONDS)
    try:
        found = job.parse_state(lines, mark)
    except ValueError as error:
        raise HostError(host, f"the kept state directory did not arrive: {error}") from None
    if found is None:
        raise HostError(host, "the kept state directory did not arrive", "run it again")
    told, sealed = found
    if told.error:
        raise HostError(host, told.error, told.hint)
    if not sealed or not told.states:
        raise HostError(
            host,
            f"no state directory is kept in {told.place}",
            "`regfleet backup` keeps one where registry.NAME.backup.key is declared",
        )
    return backup_state.write(state, backup_state.unpack(sealed, key)), told.states[-1][1]


def refuse_unknown(hosts: Collection[str], registries: Sequence[Registry]) -> None:
    """Refuse when none of the registries is backed up by these hosts.

    Raises:
        UsageError: as said.
    """
    if not any(host_of(each) in hosts for each in registries):
        names = ", ".join(f"{each.name} on {host_of(each)}" for each in registries)
        raise UsageError("none of these hosts makes backups", f"they are made of {names}")


def _mark() -> str:
    return f"backup-{secrets.token_hex(6)}"
