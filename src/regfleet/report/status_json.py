"""`status --json`: one document."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from regfleet.fleet.model import Json
from regfleet.report.status_model import Certificate, FleetStatus, HostStatus, RegistryStatus

VERSION = 1


def document(status: FleetStatus) -> str:
    """The survey as JSON. Times are UTC (RFC 3339); null is what is not known."""
    found: dict[str, Json] = {
        "version": VERSION,
        "fleet": status.fleet,
        "last_apply": moment(status.last_apply) if status.last_apply else None,
        "certificate_authority": _certificate(status.authority),
        "unknown": [message for message, _ in status.unknown],
        "hosts": {name: _host(host) for name, host in status.hosts.items()},
        "registries": {name: _registry(each) for name, each in status.registries.items()},
        "ok": status.ok,
    }
    return printable(found)


def moment(when: datetime) -> str:
    """A moment in UTC, to the second."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def printable(found: dict[str, Json]) -> str:
    """JSON that any terminal and file takes, lone surrogates replaced."""
    text = json.dumps(found, indent=2, ensure_ascii=False)
    return text.encode(errors="replace").decode()


def _host(host: HostStatus) -> Json:
    return {
        "state": host.state,
        "os": host.os or None,
        "engine": {
            "name": host.engine or None,
            "state": host.engine_state or None,
            "version": host.version or None,
        },
        "clock_skew_seconds": host.skew if host.os else None,
        "changes": [
            {
                "resource": each.change.resource,
                "action": each.change.action,
                "reason": each.change.reason,
                "activation": each.change.activation,
                "origin": each.origin,
            }
            for each in host.drift
        ],
        "unknown": list(host.unknown),
        "error": _error(host.error, host.hint),
        "attention": list(host.attention),
    }


def _registry(registry: RegistryStatus) -> Json:
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
        "note": registry.note or None,
        "error": _error(registry.error, registry.hint),
        "attention": list(registry.attention),
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
