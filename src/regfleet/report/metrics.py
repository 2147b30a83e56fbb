"""What `status` found, for Prometheus: a file as node_exporter's textfile collector reads it.

Names and units are as Prometheus advises (prometheus.io/docs/practices/naming): base units, the
unit last, 1 for yes. What is not known has no sample, so that an alert on absence sees it. The
file is replaced as a whole (`prometheus_client.write_to_textfile`), for it may be read at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import GaugeMetricFamily

from regfleet.model.copies import CopyStatus
from regfleet.model.records import JobStatus
from regfleet.model.status import FleetStatus, HostStatus, RegistryStatus

# By name without `regfleet_`: what it says, and its labels besides `fleet`.
FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "status_timestamp_seconds": ("When all this was found.", ()),
    "status_ok": ("Whether nothing needs attention, and everything is known.", ()),
    "attention": ("What needs attention, and why, in the words of `status`.", ("what", "why")),
    "last_apply_timestamp_seconds": ("When the last apply ended.", ()),
    "ca_expiry_timestamp_seconds": ("When the certificate of the fleet's CA ends.", ()),
    "host_up": ("Whether regfleet could connect to it.", ("host",)),
    "host_changes": ("The changes that an apply would make on it.", ("host",)),
    "host_proven": ("0 if it was changed, and no smoke test has passed since.", ("host",)),
    "host_clock_skew_seconds": (
        "By how much, at least, its clock is ahead of that of the machine with regfleet.",
        ("host",),
    ),
    "registry_healthy": ("Whether it answers as it should.", ("registry",)),
    "registry_read_only": ("Whether it takes no pushes now.", ("registry",)),
    "registry_certificate_expiry_timestamp_seconds": (
        "When its certificate ends.",
        ("registry",),
    ),
    "registry_repositories": ("The repositories that it has.", ("registry",)),
    "registry_tags": ("The tags that it has, as far as they were counted.", ("registry",)),
    "registry_images_bytes": ("The size of what its tags lead to, each blob once.", ("registry",)),
    "registry_missing_manifests": ("Manifests that are needed and are not there.", ("registry",)),
    "registry_storage_bytes": ("The size of the file system of its storage.", ("registry",)),
    "registry_storage_free_bytes": ("What is free of it.", ("registry",)),
    "registry_storage_free_inodes": ("The inodes that are free there.", ("registry",)),
    "registry_wrong_logins": (
        "Logins of the last day that its gateway refused.",
        ("registry",),
    ),
    "job_last_ok": ("Whether its last run was done.", ("registry", "job")),
    "job_last_timestamp_seconds": ("When its last run began.", ("registry", "job")),
    "job_last_duration_seconds": ("How long its last run took.", ("registry", "job")),
    "job_last_figure": ("What its last run did, as in JSON.", ("registry", "job", "figure")),
    "copy_last_ok": (
        "Whether all was at the target as it should be after its last run.",
        ("copy", "source", "target"),
    ),
    "copy_lag_seconds": (
        "The time since the last run began that copied everything.",
        ("copy", "source", "target"),
    ),
    "copy_last_timestamp_seconds": ("When its last run began.", ("copy", "source", "target")),
    "copy_last_duration_seconds": (
        "How long its last run took.",
        ("copy", "source", "target"),
    ),
    "copy_last_requests": ("The requests of its last run.", ("copy", "source", "target")),
    "copy_last_errors": ("The errors of its last run.", ("copy", "source", "target")),
    "copy_last_count": (
        "What its last run did, as in JSON.",
        ("copy", "source", "target", "count"),
    ),
}


class Sample(NamedTuple):
    """A value of a family; None where it is not known."""

    family: str
    labels: tuple[str, ...]
    value: float | None


def write(status: FleetStatus, path: Path) -> None:
    """Put what was found in the place of a file.

    Raises:
        OSError: the file cannot be written.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Found(status))
    write_to_textfile(str(path), registry)


class _Found:
    def __init__(self, status: FleetStatus) -> None:
        self._status = status

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The families that have a sample, in the order of `FAMILIES`."""
        made = {
            name: GaugeMetricFamily(f"regfleet_{name}", says, labels=("fleet", *labels))
            for name, (says, labels) in FAMILIES.items()
        }
        for family, labels, value in samples(self._status):
            if value is not None:
                made[family].add_metric((self._status.fleet, *labels), value)
        return [each for each in made.values() if each.samples]


def samples(status: FleetStatus) -> Iterator[Sample]:
    """All that is told of a fleet."""
    now = status.when.timestamp()
    yield Sample("status_timestamp_seconds", (), now)
    yield Sample("status_ok", (), status.ok)
    for what, reasons in status.attention.items():
        for why in dict.fromkeys(reasons):
            yield Sample("attention", (what, why), 1)
    applied, authority = status.last_apply, status.authority
    yield Sample("last_apply_timestamp_seconds", (), applied.timestamp() if applied else None)
    expiry = authority.not_after.timestamp() if authority else None
    yield Sample("ca_expiry_timestamp_seconds", (), expiry)
    for host in status.hosts.values():
        yield from _host(host, proven=host.name not in status.unproven)
    for registry in status.registries.values():
        yield from _registry(registry)
        for name, job in registry.jobs.items():
            yield from _job((registry.name, name), job)
    for copy in status.copies.values():
        yield from _copy(copy, copy.lag(status.when))


def _host(host: HostStatus, *, proven: bool) -> Iterator[Sample]:
    whose = (host.name,)
    yield Sample("host_up", whose, host.reachable)
    known = host.state not in ("failed", "unreachable")
    yield Sample("host_changes", whose, len(host.drift) if known else None)
    yield Sample("host_proven", whose, proven)
    yield Sample("host_clock_skew_seconds", whose, host.skew if host.os else None)


def _registry(registry: RegistryStatus) -> Iterator[Sample]:
    whose = (registry.name,)
    healthy = None if registry.health == "unknown" else registry.health == "healthy"
    yield Sample("registry_healthy", whose, healthy)
    # Its host tells that, which is not asked of an external one, and may not have answered.
    known = healthy is not None and not registry.external
    yield Sample("registry_read_only", whose, registry.read_only if known else None)
    if registry.certificate:
        expiry = registry.certificate.not_after.timestamp()
        yield Sample("registry_certificate_expiry_timestamp_seconds", whose, expiry)
    if held := registry.contents:
        yield Sample("registry_repositories", whose, held.repositories)
        yield Sample("registry_tags", whose, held.tags)
        yield Sample("registry_images_bytes", whose, held.size)
        yield Sample("registry_missing_manifests", whose, held.broken)
    if room := registry.room:
        yield Sample("registry_storage_bytes", whose, room.size)
        yield Sample("registry_storage_free_bytes", whose, room.free)
        inodes = room.free_inodes if room.inodes else None
        yield Sample("registry_storage_free_inodes", whose, inodes)
    if registry.wrong_logins:
        yield Sample("registry_wrong_logins", whose, registry.wrong_logins.count)


def _job(whose: tuple[str, str], job: JobStatus) -> Iterator[Sample]:
    if not job.last:
        return
    yield Sample("job_last_ok", whose, job.last.ok)
    yield Sample("job_last_timestamp_seconds", whose, job.last.began)
    yield Sample("job_last_duration_seconds", whose, job.last.seconds)
    for name, figure in job.figures.items():
        yield Sample("job_last_figure", (*whose, name), figure)


def _copy(copy: CopyStatus, lag: int | None) -> Iterator[Sample]:
    whose = (copy.name, copy.source, copy.target)
    yield Sample("copy_lag_seconds", whose, lag)
    if not copy.last:
        return
    yield Sample("copy_last_ok", whose, copy.last.ok)
    yield Sample("copy_last_timestamp_seconds", whose, copy.last.started or None)
    yield Sample("copy_last_duration_seconds", whose, copy.last.seconds)
    yield Sample("copy_last_requests", whose, copy.last.requests)
    yield Sample("copy_last_errors", whose, len(copy.last.errors))
    for name, count in copy.last.counts.items():
        yield Sample("copy_last_count", (*whose, name), count)
