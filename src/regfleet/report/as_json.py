"""The JSON documents of `--json` (Contract)."""

from __future__ import annotations

import json

from regfleet.fleet.model import Json
from regfleet.plan.model import Plan
from regfleet.report.model import HostReport, Report

VERSION = 1


def plan_document(report: Report) -> str:
    """`plan --json`."""
    hosts: dict[str, Json] = {
        host.name: {
            "changes": _changes(host.plan),
            "activation": host.plan.activation if host.plan else "none",
            "containers_affected": host.plan.containers_affected if host.plan else 0,
            "error": _error(host),
        }
        for host in report.hosts.values()
    }
    return _render({"version": VERSION, "fleet": report.fleet, "hosts": hosts})


def apply_document(report: Report) -> str:
    """`apply --json`, `smoke --json` and `destroy --json`."""
    hosts: dict[str, Json] = {
        host.name: {
            "status": host.status,
            "changes": _changes(host.plan),
            "error": _error(host),
            "smoke": {check.name: check.verdict for check in host.checks},
        }
        for host in report.hosts.values()
    }
    return _render({"version": VERSION, "fleet": report.fleet, "hosts": hosts, "ok": report.ok})


def _changes(plan: Plan | None) -> list[Json]:
    return [
        {
            "resource": change.resource,
            "action": change.action,
            "reason": change.reason,
            "activation": change.activation,
        }
        for change in (plan.changes if plan else ())
    ]


def _error(host: HostReport) -> str | None:
    if not host.error:
        return None
    return f"{host.error} (hint: {host.hint})" if host.hint else host.error


def _render(document: dict[str, Json]) -> str:
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return text.encode(errors="replace").decode()  # file names that are no text stay printable
