"""The document of `gc --json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from regfleet.fleet.values import Json
from regfleet.model.collections import Collected
from regfleet.model.report import Report
from regfleet.report.status_json import VERSION, printable


def document(report: Report, found: Mapping[str, Sequence[Collected]], *, dry_run: bool) -> str:
    """What was collected on each host, as JSON."""
    hosts: dict[str, Json] = {}
    for name, host in report.hosts.items():
        error = f"{host.error} (hint: {host.hint})" if host.hint else host.error
        hosts[name] = {
            "registries": {
                each.service.removeprefix("regfleet-"): {
                    "tags": each.tags,
                    "manifests": each.manifests,
                    "missing_blobs": each.missing,
                    "untagged": each.untagged,
                    "blobs": each.blobs,
                    "bytes": each.size,
                    "read_only_seconds": each.seconds,
                }
                for each in found.get(name, ())
            },
            "error": error or None,
        }
    return printable(
        {
            "version": VERSION,
            "fleet": report.fleet,
            "dry_run": dry_run,
            "hosts": hosts,
            "ok": report.ok,
        }
    )
