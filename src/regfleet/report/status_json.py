"""The document of `status --json`."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from regfleet.fleet.values import Json
from regfleet.model.copies import CopyOutcome, CopyStatus
from regfleet.model.records import JobStatus
from regfleet.model.status import (
    Certificate,
    FleetStatus,
    HostStatus,
    RegistryStatus,
    Room,
    WrongLogins,
)
from regfleet.report.resource_text import resource_text
from regfleet.terminal.cleaning import escape_json

VERSION = 1


def document(status: FleetStatus) -> str:
    """The survey as JSON. Times are UTC (RFC 3339); null for unknown."""
    found: dict[str, Json] = {
        "version": VERSION,
        "fleet": status.fleet,
        "last_apply": moment(status.last_apply) if status.last_apply else None,
        "certificate_authority": _certificate(status.authority),
        "unknown": [message for message, _ in status.unknown],
        "hosts": {name: _host(host) for name, host in status.hosts.items()},
        "registries": {
            name: _registry(each, status.when) for name, each in status.registries.items()
        },
        "copies": {name: _copy(each, status.when) for name, each in status.copies.items()},
        "unproven": {
            name: {"since": each.since, "run": each.run, "failed": list(each.checks)}
            for name, each in status.unproven.items()
        },
        "ok": status.ok,
    }
    return printable(found)


def moment(when: datetime) -> str:
    """A time in UTC, to the second."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def printable(found: dict[str, Json]) -> str:
    """JSON text with terminal control characters escaped."""
    return escape_json(json.dumps(found, indent=2, ensure_ascii=False))


def _host(host: HostStatus) -> Json:
    return {
        "state": host.state,
        "os": host.os or None,
        "engine": {
            "name": host.engine or None,
            "state": host.engine_state or None,
            "version": host.version or None,
        },
        "reinstalled": bool(host.reinstalled),
        "clock_skew_seconds": host.skew if host.os else None,
        "changes": [
            {
                "resource": resource_text(each.change.resource),
                "action": each.change.action,
                "reason": each.change.reason,
                "activation": each.change.activation,
                "origin": each.origin,
            }
            for each in host.drift
        ],
        "unknown": list(map(resource_text, host.unknown)),
        "error": _error(host.error, host.hint),
        "attention": list(host.attention),
    }


def _registry(registry: RegistryStatus, now: datetime) -> Json:
    found = registry.contents
    return {
        "endpoint": registry.endpoint,
        "external": registry.external,
        "health": registry.health,
        "api_version": registry.api_version or None,
        "certificate": _certificate(registry.certificate),
        "certificate_error": registry.certificate_error or None,
        "repositories": found.repositories if found else None,
        "empty_repositories": found.empty if found else None,
        "tags": found.tags if found else None,
        "bytes": found.size if found else None,
        "partial": found.partial if found else None,
        "missing_manifests": found.broken if found else None,
        "room": _room(registry.room),
        "wrong_logins": _wrong_logins(registry.wrong_logins),
        "read_only": registry.read_only,
        "jobs": {name: _job(each, now) for name, each in registry.jobs.items()},
        "served_by": registry.served_by or None,
        "note": registry.note or None,
        "error": _error(registry.error, registry.hint),
        "attention": [
            *registry.attention,
            *(why for each in registry.jobs.values() for why in each.attention(now)),
        ],
    }


def _job(job: JobStatus, now: datetime) -> Json:
    last = job.last
    return {
        "every_seconds": job.schedule.every or None,
        "at": job.schedule.at or None,
        "last": {
            "began": _time(last.began),
            "seconds": last.seconds,
            "result": last.result,
            "by_itself": last.by_itself,
            "who": last.who,
            "error": _error(last.error, last.hint),
            "figures": dict(job.figures),
        }
        if last
        else None,
        "error": job.error or None,
        "attention": list(job.attention(now)),
    }


def _copy(copy: CopyStatus, now: datetime) -> Json:
    return {
        "source": copy.source,
        "target": copy.target,
        "host": copy.host or None,
        "every_seconds": copy.every or None,
        "lag_seconds": copy.lag(now),
        "last": run_document(copy.last) if copy.last else None,
        "error": copy.error or None,
        "attention": list(copy.attention(now)),
    }


def run_document(found: CopyOutcome) -> Json:
    """One run of a copy."""
    return {
        "state": found.state,
        "started": _time(found.started),
        "seconds": found.seconds,
        "complete": _time(found.complete),
        "counts": dict(found.counts),
        "requests": found.requests,
        "errors": list(found.errors),
        "notices": list(found.notices),
        "would": list(found.would),
    }


def _time(seconds: int | None) -> str | None:
    """A time in UTC; None for one that cannot be."""
    try:
        return moment(datetime.fromtimestamp(seconds, timezone.utc)) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def _wrong_logins(found: WrongLogins | None) -> Json:
    return {"last_day": found.count, "addresses": found.addresses} if found else None


def _room(found: Room | None) -> Json:
    if found is None:
        return None
    return {
        "bytes": found.size,
        "bytes_free": found.free,
        "inodes": found.inodes or None,
        "inodes_free": found.free_inodes if found.inodes else None,
        "bytes_per_day": found.per_day,
        "warnings": list(found.warnings),
    }


def _certificate(found: Certificate | None) -> Json:
    if found is None:
        return None
    return {
        "not_after": moment(found.not_after),
        "days_left": found.days_left,
        "under_a_third": found.warn,
    }


def _error(error: str, hint: str) -> str | None:
    return (f"{error} (hint: {hint})" if hint else error) or None
