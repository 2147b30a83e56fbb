"""What hosts do by themselves at times, as jobs: their timers, programs and records. Pure.

Another kind is one more function beside `_collections`, and its line in `scheduled_on`: it yields
for each registry the timer, the job and what `status` shows of its answer. The job's shell calls
`keep_record KIND.SERVICE` where its work begins. All else (systemd or cron, plan, touch, drift,
rollback, lock, record) is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from regfleet.desired.resolve import registries_on
from regfleet.engines import ENGINES
from regfleet.fleet.model import Fleet
from regfleet.jobs import records, scheduled
from regfleet.jobs.backup import BackupJob
from regfleet.jobs.collection import Collection
from regfleet.jobs.interface import Job
from regfleet.model.backups import BackedUp
from regfleet.model.collections import Collected
from regfleet.model.desired import DesiredHost, Timer
from regfleet.model.observed import ObservedHost
from regfleet.model.records import JobStatus
from regfleet.run import backup
from regfleet.run.collection import collectable, collector


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A job for one registry of a host.

    Attributes:
        figures: the numbers of its answer that `status` shows, by name.
    """

    registry: str
    timer: Timer
    job: Job[Any]
    figures: Callable[[Any], Mapping[str, int]]


def with_jobs(fleet: Fleet, desired: Mapping[str, DesiredHost]) -> dict[str, DesiredHost]:
    """The desired hosts, with the jobs that they do by themselves."""
    return {name: _with(fleet, want) for name, want in desired.items()}


def _with(fleet: Fleet, want: DesiredHost) -> DesiredHost:
    its = list(scheduled_on(fleet, want))
    by_itself = [each for each in its if each.timer.schedule.every]
    words = [ENGINES[engine].shell for engine in want.engines]
    there = {each.path for each in want.directories}
    made = {
        directory.path: directory
        for each in by_itself
        for directory in scheduled.directories(each.timer, fleet.name)
        if directory.path not in there
    }
    programs = (scheduled.file(each.timer, each.job, fleet.name, words) for each in by_itself)
    return replace(
        want,
        directories=(*want.directories, *made.values()),
        files=(*want.files, *programs),
        timers=(*want.timers, *(each.timer for each in its)),
    )


def scheduled_on(fleet: Fleet, want: DesiredHost) -> Iterator[Scheduled]:
    """All that a host does by itself for its registries, or leaves records of."""
    yield from _collections(fleet, want)
    yield from _backups(fleet, want)


def _collections(fleet: Fleet, want: DesiredHost) -> Iterator[Scheduled]:
    for registry, subject in collectable(fleet, want):
        if collector(registry) != want.name:
            continue
        timer = scheduled.timer(
            Collection,
            fleet.name,
            registry.name,
            subject.service,
            schedule=registry.retention.gc,
            reason=f"registry.{registry.name}.retention.gc",
        )
        yield Scheduled(registry.name, timer, Collection((subject,)), _of_collections)


def _of_collections(found: tuple[Collected, ...]) -> dict[str, int]:
    return {
        "tags": sum(each.tags for each in found),
        "manifests": sum(each.manifests for each in found),
        "untagged": sum(each.untagged for each in found),
        "blobs": sum(each.blobs for each in found),
        "bytes_freed": sum(each.size for each in found),
        "read_only_seconds": sum(each.seconds for each in found),
    }


def _backups(fleet: Fleet, want: DesiredHost) -> Iterator[Scheduled]:
    for registry in registries_on(fleet, want.name):
        if registry.backup is None:
            continue
        for subject in backup.subjects(fleet, want, [registry]):
            timer = scheduled.timer(
                BackupJob,
                fleet.name,
                registry.name,
                subject.service,
                schedule=registry.backup.schedule,
                reason=f"registry.{registry.name}.backup",
            )
            yield Scheduled(registry.name, timer, BackupJob((subject,)), _of_backups)


def _of_backups(found: tuple[BackedUp, ...]) -> dict[str, int]:
    return {
        "tags": sum(each.tags for each in found),
        "blobs": sum(each.blobs for each in found),
        "bytes": sum(each.size for each in found),
        "left_out": sum(each.left_out_count for each in found),
        "kept": sum(each.kept for each in found),
        "newest": max(each.taken for each in found),
        "oldest": min(each.oldest for each in found),
    }


def job_status(each: Scheduled, seen: ObservedHost) -> JobStatus:
    """How the last run of a job ended on a host, whoever began it."""
    observed = seen.timers.get(each.timer.name)
    text = observed.record if observed else ""
    status = JobStatus(each.job.name, each.timer.schedule)
    if not text:
        return status
    found = records.parse(text, each.job)
    if found is None:
        return replace(status, error="its record cannot be read")
    last, value = found
    return replace(status, last=last, figures=each.figures(value) if value is not None else {})
