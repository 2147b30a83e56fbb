"""The desired states of a run's hosts, and the materials that they are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from regfleet.desired.resolve import emptied, resolve
from regfleet.fleet.model import Fleet
from regfleet.materials import Materials, gather
from regfleet.model.desired import DesiredHost
from regfleet.model.resource import Resource
from regfleet.run.scheduling import with_jobs
from regfleet.state import StateDirectory


@dataclass(frozen=True, slots=True)
class Wanted:
    """The desired states of hosts.

    Attributes:
        materials: the passwords, certificates and salts in them.
        desired: the desired state by host.
        unknown: by host, resources that contain a stand-in, so that they cannot be compared.
    """

    fleet: Fleet
    materials: Materials
    desired: Mapping[str, DesiredHost]
    unknown: Mapping[str, frozenset[Resource]] = field(default_factory=dict)

    def also(self, desired: Mapping[str, DesiredHost]) -> Wanted:
        """The same, with these desired states added or replaced."""
        return replace(self, desired={**self.desired, **desired}) if desired else self


def declared(
    fleet: Fleet,
    state: StateDirectory,
    names: Collection[str] | None = None,
    *,
    save: bool = True,
) -> Wanted:
    """The desired states of the fleet file; reads or makes the materials they need.

    Args:
        names: the hosts of the run; default: all.
        save: whether to write made materials to the state directory.

    Raises:
        RegfleetError: a password, a certificate or the state directory cannot be read or made.
    """
    materials = gather(fleet, state, save=save, hosts=names)
    return Wanted(fleet, materials, with_jobs(fleet, resolve(fleet, materials, names)))


def nothing(fleet: Fleet, *, delete_data: bool = False) -> Wanted:
    """Empty desired states for all hosts, for removal; this needs no passwords."""
    return Wanted(fleet, Materials({}, ""), emptied(fleet, delete_data=delete_data))
