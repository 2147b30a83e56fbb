"""The document of `audit --json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regfleet.fleet.values import Json
from regfleet.model.audit import Audited
from regfleet.model.report import Report
from regfleet.report.status_json import VERSION, printable


def document(report: Report, found: Mapping[str, Sequence[Audited]]) -> str:
    """What was found on each host, as JSON."""
    hosts: dict[str, Json] = {}
    for name, host in report.hosts.items():
        error = f"{host.error} (hint: {host.hint})" if host.hint else host.error
        registries: dict[str, Json] = {
            each.service.removeprefix("regfleet-"): registry(each) for each in found.get(name, ())
        }
        hosts[name] = {"registries": registries, "error": error or None}
    whole = all(each.ok for registries in found.values() for each in registries)
    return printable(
        {"version": VERSION, "fleet": report.fleet, "hosts": hosts, "ok": report.ok and whole}
    )


def registry(found: Audited) -> dict[str, Json]:
    """What was found in one registry."""
    broken: list[Json] = [
        {"repository": each.repository, "tag": each.name, "reason": each.reason}
        for each in found.broken
    ]
    return {
        "tags": found.tags,
        "blobs": found.blobs,
        "bytes": found.size,
        "broken": found.broken_count,
        "broken_tags": broken,
        "damaged": found.damaged_count,
        "damaged_blobs": list(found.damaged),
        "empty": found.empty_count,
        "empty_links": list(found.empty),
    }
