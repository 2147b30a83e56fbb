"""The single copies that a fleet's policies of replication come to: one for each target. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from regfleet.fleet.machines import Host
from regfleet.fleet.model import Fleet
from regfleet.fleet.patterns import meet
from regfleet.fleet.policies import Replication
from regfleet.fleet.registries import Instance, Registry, read_only_name


@dataclass(frozen=True, slots=True)
class Copy:
    """The copies of one policy to one target.

    Attributes:
        fleet: the fleet's name.
        source: where the images are read: the registry, or what serves it read-only, where the
            policy's login is a user of that.
        two_way: whether the target's images are copied to the source, too.
    """

    fleet: str
    policy: Replication
    source: Registry
    target: Registry
    two_way: bool = False

    @property
    def name(self) -> str:
        """For people and in documents: `POLICY.TARGET`; no name has a dot in it."""
        return f"{self.policy.name}.{self.target.name}"

    @property
    def file_name(self) -> str:
        """For files of a host, which several fleets may share."""
        return f"{self.fleet}.{self.name}"

    @property
    def runner(self) -> Instance | None:
        """The instance on whose host it runs; None for the machine that runs regfleet."""
        sides = {"target": self.target, "source": self.source}
        side = sides.get(self.policy.run_on)
        return side.instance() if side else None

    @property
    def host(self) -> Host | None:
        """The host that it runs on; None for the machine that runs regfleet."""
        runner = self.runner
        return runner.host if runner else None

    @property
    def users(self) -> Iterator[tuple[str, str]]:
        """The registry and user of each login."""
        ends = ((self.policy.source, self.source), (self.target.name, self.target))
        for declared, registry in ends:
            if declared in self.policy.logins:
                yield registry.name, self.policy.logins[declared]


def copies(fleet: Fleet, names: Collection[str] = ()) -> list[Copy]:
    """The copies that a fleet declares, in the file's order.

    Args:
        names: policies, or `POLICY.TARGET`; all by default.
    """
    found = [
        Copy(
            fleet.name,
            policy,
            _read_at(fleet, policy),
            fleet.registries[target],
            _goes_back(fleet, policy, target),
        )
        for policy in fleet.replications.values()
        for target in policy.targets
    ]
    return [each for each in found if not names or {each.name, each.policy.name} & set(names)]


def _read_at(fleet: Fleet, policy: Replication) -> Registry:
    """Where a policy reads its images."""
    read_only = fleet.registries.get(read_only_name(policy.source))
    user = policy.logins.get(policy.source)
    registry = fleet.registries[policy.source]
    if read_only is None:
        return registry
    if user is None:  # who needs no login reads where none is needed
        return read_only if registry.users and not read_only.users else registry
    return read_only if any(user == each.name for each in read_only.users) else registry


def _goes_back(fleet: Fleet, policy: Replication, target: str) -> bool:
    """Whether another policy copies images of these repositories from the target to the source."""
    return any(
        other.source == target
        and policy.source in other.targets
        and meet(policy.repositories, other.repositories)
        for other in fleet.replications.values()
    )


def logins_on(fleet: Fleet, hosts: Collection[str]) -> set[tuple[str, str]]:
    """Registry and user of the logins that copies on these hosts need."""
    return {
        login
        for each in copies(fleet)
        if each.policy.every and each.host is not None and each.host.name in hosts
        for login in each.users
    }
