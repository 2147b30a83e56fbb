"""How registries are cared for, by looks at their hosts: room, jobs, copies, read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from regfleet import state_paths
from regfleet.fleet.copies import Copy, copies
from regfleet.fleet.model import Fleet
from regfleet.model.copies import CopyStatus
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.status import Care, RegistryStatus, Room
from regfleet.replication import outcome, timers
from regfleet.run.samples import Sample, growth, sample
from regfleet.run.scheduling import job_status, scheduled_on
from regfleet.state import StateDirectory


def care(
    fleet: Fleet,
    desired: Mapping[str, DesiredHost],
    seen: Mapping[str, ObservedHost],
    state: StateDirectory,
    samples: Mapping[str, Sequence[Sample]],
) -> Care:
    """The registries of the hosts that were looked at, and the copies of the fleet."""
    found: dict[str, RegistryStatus] = {}
    for registry in fleet.declared:
        host = next((each.name for each in registry.hosts if each.name in seen), "")
        if not host:
            continue
        status = RegistryStatus(registry.name, registry.endpoint, registry.external)
        look_after(status, fleet, desired[host], seen[host])
        space = seen[host].space.get(registry.storage)
        if space:
            grown = growth(samples.get(registry.name, ()), sample(seen[host], space))
            status.room = Room(space.size, space.free, space.inodes, space.free_inodes, grown)
        found[registry.name] = status
    its = [copy_status(each, seen, state) for each in copies(fleet)]
    return Care(tuple(found.values()), tuple(its))


def look_after(status: RegistryStatus, fleet: Fleet, want: DesiredHost, seen: ObservedHost) -> None:
    """Record a registry's jobs on a host, and whether it takes no pushes at the moment."""
    status.jobs = {
        each.job.name: job_status(each, seen)
        for each in scheduled_on(fleet, want)
        if each.registry == status.name
    }
    its = {each.name for each in want.services if each.registry == status.name}
    status.read_only = bool(its & seen.read_only)


def copy_status(copy: Copy, seen: Mapping[str, ObservedHost], state: StateDirectory) -> CopyStatus:
    """A copy and its last run, from the look at its host, or from the state directory."""
    host = copy.host.name if copy.host else ""
    status = CopyStatus(copy.name, copy.source.name, copy.target.name, host, copy.policy.every)
    if host:
        looked = seen.get(host)
        if looked is None:
            return replace(status, error=f"its host {host} was not looked at")
        found = looked.timers.get(timers.timer(copy).name)
        kept = found.record if found else ""
    else:
        kept = state.read_text(f"{state_paths.REPLICATION}/{copy.file_name}.json") or ""
    last = outcome.parse_text(kept) if kept else None
    return replace(
        status, last=last, error="its record cannot be read" if kept and not last else ""
    )
