"""The fleet as frozen dataclasses: all that the rest of regfleet knows of a fleet file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from regfleet.errors import Mistake
from regfleet.fleet.clients import Client
from regfleet.fleet.machines import Host
from regfleet.fleet.policies import Promotion, Replication, Rollout, Smoke
from regfleet.fleet.registries import Registry


@dataclass(frozen=True, slots=True)
class Fleet:
    """A whole fleet file, checked.

    Attributes:
        path: the fleet file, absolute.
        registries, clients: by name, in the file's order. What serves a registry read-only is a
            registry here, too, by `read_only_name`, right after it.
        warnings: what the file declares that is allowed but dangerous; see `fleet.warnings`.
        ca_permitted: domains and networks that the fleet's CA may sign for; empty for all.
        replications, promotions: by name, in the file's order.
    """

    name: str
    path: Path
    registries: Mapping[str, Registry]
    clients: Mapping[str, Client]
    rollout: Rollout
    smoke: Smoke
    warnings: tuple[Mistake, ...] = field(default=(), compare=False)
    ca_permitted: tuple[str, ...] = ()
    replications: Mapping[str, Replication] = field(default_factory=dict)
    promotions: Mapping[str, Promotion] = field(default_factory=dict)
    _on: Mapping[str, Sequence[Registry]] = field(init=False, repr=False, compare=False)
    _of: Mapping[str, Sequence[Client]] = field(init=False, repr=False, compare=False)
    _pairs: Mapping[str, Mapping[str, Host]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # By host: with a thousand sites, each with a registry, a search takes half a minute.
        object.__setattr__(self, "_on", _by_member(self.registries.values()))
        object.__setattr__(self, "_of", _by_member(self.clients.values()))
        pairs = {
            gateway.name: {
                host.name: host
                for each in (*self.behind(gateway), gateway)
                for host in each.machines
            }
            for gateway in self.registries.values()
            if len(gateway.before) > 1
        }
        object.__setattr__(self, "_pairs", pairs)

    def registries_on(self, host: str) -> Sequence[Registry]:
        """The registries that a host runs, or runs the gateway of."""
        return self._on.get(host, ())

    def standing_in(self, host: str) -> dict[str, tuple[Host, ...]]:
        """By registry's name: machines that serve while another is away, this one among them.

        For a gateway before several registries these are theirs, too: one takes the other's place.
        """
        found = {each.name: each.machines for each in self.registries_on(host)}
        for name, machines in self._pairs.items():
            if host in machines:
                found[name] = tuple(machines.values())
        return found

    def clients_of(self, host: str) -> Sequence[Client]:
        """The client groups that contain a host."""
        return self._of.get(host, ())

    @property
    def declared(self) -> tuple[Registry, ...]:
        """The registries that keep images, or are external: each set of images once."""
        return tuple(each for each in self.registries.values() if not each.read_only_of)

    def hosts(self) -> dict[str, Host]:
        """Every host by name, registries' first, each once."""
        found: dict[str, Host] = {}
        for registry in self.registries.values():
            found |= {host.name: host for host in registry.machines if host.name not in found}
        for client in self.clients.values():
            found |= {host.name: host for host in client.hosts if host.name not in found}
        return found

    def behind(self, registry: Registry) -> tuple[Registry, ...]:
        """The registries that one stands before which is a gateway alone, the preferred one first.

        A rehearsal may have none of them.
        """
        return tuple(self.registries[name] for name in registry.before if name in self.registries)

    def sharing(self, registry: Registry) -> tuple[Registry, ...]:
        """The registries whose gateways have one port on the same hosts, this one among them.

        Clients are told apart by the name that they ask for. The first one's gateway listens there.
        Empty where it has its port to itself.
        """

        def where(each: Registry) -> tuple[int, frozenset[str]]:
            return each.port, frozenset(host.name for host in each.fronts)

        found = tuple(
            each
            for each in self.registries.values()
            if each.gateway and each.listen is None and where(each) == where(registry)
        )
        return found if len(found) > 1 and registry in found else ()

    def upstream_of(self, cache: Registry) -> Registry | None:
        """The declared registry that a pull-through cache has as its upstream; None for others."""
        if cache.proxy is None:
            return None
        url = urlsplit(cache.proxy)
        wanted = (url.hostname, url.port or (80 if url.scheme == "http" else 443))
        others = (each for each in self.registries.values() if each.name != cache.name)
        return next((each for each in others if (each.host, each.port) == wanted), None)

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups for pyinfra: `registry_NAME`, `client_NAME`, `registries`, `clients`.

        Gateways on hosts of their own are `gateway_NAME`, and among `registries`.
        """
        groups: dict[str, tuple[str, ...]] = {}
        for registry in self.declared:
            if registry.hosts:
                groups[f"registry_{registry.name}"] = tuple(host.name for host in registry.hosts)
            if registry.gateway and registry.gateway.hosts:
                fronts = tuple(host.name for host in registry.gateway.hosts)
                groups[f"gateway_{registry.name}"] = fronts
        for client in self.clients.values():
            groups[f"client_{client.name}"] = tuple(host.name for host in client.hosts)
        for prefix, whole in ((("registry_", "gateway_"), "registries"), ("client_", "clients")):
            members = [names for group, names in groups.items() if group.startswith(prefix)]
            groups[whole] = tuple(dict.fromkeys(name for names in members for name in names))
        return groups


_Group = TypeVar("_Group", Registry, Client)


def _by_member(groups: Iterable[_Group]) -> dict[str, list[_Group]]:
    found: dict[str, list[_Group]] = {}
    for group in groups:
        for name in group.members:
            found.setdefault(name, []).append(group)
    return found
