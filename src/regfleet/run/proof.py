"""Record which hosts are proven: before each change, and after each smoke test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone

from regfleet import unproven
from regfleet.desired.resolve import clients_of, registries_on, served_on
from regfleet.fleet.model import Fleet
from regfleet.model.checks import Check
from regfleet.state import StateDirectory
from regfleet.unproven import Unproven


class Proof:
    """The record of hosts without a passed smoke test since their last change.

    Args:
        state: the state directory; a run that changes hosts holds its lock.

    Attributes:
        hosts: the unproven hosts, by name.
        run: the number of this run; 0 until it has one.

    Raises:
        StateError: the record cannot be read.
    """

    def __init__(self, fleet: Fleet, state: StateDirectory) -> None:
        self._fleet = fleet
        self._state = state
        everyone = fleet.hosts()
        found = unproven.read(state)
        self.hosts = {name: each for name, each in found.items() if name in everyone}
        self.run = 0

    def begin(self, names: Collection[str]) -> None:
        """Record these hosts, and the clients of their registries, as unproven before a change.

        Raises:
            StateError: it cannot be written; then the hosts must not be changed.
        """
        new = Unproven(_now(), self.run)
        found = dict.fromkeys(affected(self._fleet, names), new)
        if found:
            self.hosts = {**self.hosts, **found}
            unproven.write(self._state, self.hosts)

    def settle(self, tested: Mapping[str, Sequence[Check]]) -> None:
        """Record the results of finished smoke tests.

        Args:
            tested: each host's checks, all of them.

        Raises:
            StateError: it cannot be noted.
        """
        found = dict(self.hosts)
        for name, checks in tested.items():
            failed = tuple(check.name for check in checks if check.verdict == "failed")
            if failed:
                before = found.get(name, Unproven(_now(), self.run))
                found[name] = Unproven(before.since, before.run, failed)
            else:
                found.pop(name, None)
        self._write(found)

    def forget(self, names: Iterable[str]) -> None:
        """Record that these hosts have nothing to prove.

        Raises:
            StateError: it cannot be noted.
        """
        gone = set(names)
        self._write({name: each for name, each in self.hosts.items() if name not in gone})

    def _write(self, found: dict[str, Unproven]) -> None:
        if found != self.hosts:
            self.hosts = found
            unproven.write(self._state, found)


class SharedProof(Proof):
    """As `Proof`, for `smoke`, which does not hold the fleet's lock.

    Entries that another run writes meanwhile stay: this test does not prove its changes.
    """

    def _write(self, found: dict[str, Unproven]) -> None:
        if found == self.hosts:
            return
        with self._state.lock("smoke"):
            now = unproven.read(self._state)
            ours = [
                name
                for name in {*found, *self.hosts}
                if now.get(name) == self.hosts.get(name) != found.get(name)
            ]
            merged = {name: each for name, each in now.items() if name not in ours}
            merged |= {name: found[name] for name in ours if name in found}
            unproven.write(self._state, merged)
        self.hosts = {name: each for name, each in merged.items() if name in self._fleet.hosts()}


def affected(fleet: Fleet, names: Collection[str]) -> list[str]:
    """The hosts to prove after a change: the changed ones, and those of their registries.

    These are clients, and gateways that run elsewhere.
    """
    registries = {registry.name for name in names for registry in registries_on(fleet, name)}
    return [
        name
        for name in fleet.hosts()
        if to_prove(fleet, name)
        and (
            name in names
            or any(registries & set(client.registries) for client in clients_of(fleet, name))
            or any(each.name in registries for each in served_on(fleet, name))
        )
    ]


def to_prove(fleet: Fleet, name: str) -> bool:
    """Whether a smoke test applies to a host: it serves a registry, or uses one that is tested."""
    asked = {registry for client in clients_of(fleet, name) for registry in client.registries}
    return bool(served_on(fleet, name)) or any(
        fleet.registries[registry].smoke for registry in asked
    )


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
