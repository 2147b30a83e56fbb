"""The JSON documents of `--json` (Contract)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import get_args

from regfleet.fleet.values import Json
from regfleet.model.checks import Verdict
from regfleet.model.plan import Part
from regfleet.model.report import HostReport, Origin, Report, Status
from regfleet.report.impact import disturbed, inside
from regfleet.report.resource_text import not_compared_text, resource_text
from regfleet.terminal.cleaning import escape_json

VERSION = 1
_DRIFT: Mapping[Origin, bool | None] = {"host": True, "fleet": False, "unclear": None}


def plan_document(report: Report, *, diff: bool = False) -> str:
    """`plan --json`.

    Args:
        diff: include the changes inside files, without secrets.
    """
    hosts: dict[str, Json] = {
        host.name: {
            "changes": _changes(host, diff=diff),
            "activation": host.plan.activation if host.plan else "none",
            "containers_affected": host.plan.containers_affected if host.plan else 0,
            "error": _error(host),
            **({"unknown": list(map(not_compared_text, host.unknown))} if host.unknown else {}),
            **({"notes": list(host.plan.notes)} if host.plan and host.plan.notes else {}),
            **({"skipped": host.skip} if host.skip else {}),
            **({"reinstalled": True} if host.reinstalled else {}),
        }
        for host in report.hosts.values()
    }
    totals = {
        "hosts": len(report.hosts),
        "hosts_to_change": sum(bool(host.plan and host.plan.changes) for host in _of(report)),
        **_totals(report),
        "containers_affected": sum(
            host.plan.containers_affected for host in _of(report) if host.plan
        ),
        "errors": sum(bool(host.error) for host in _of(report)),
    }
    document: dict[str, Json] = {"version": VERSION, "fleet": report.fleet, "hosts": hosts}
    if report.gone:
        document["gone"] = {name: list(groups) for name, groups in report.gone.items()}
    return _render({**document, "totals": totals})


def apply_document(report: Report, *, diff: bool = False) -> str:
    """`--json` of `apply`, `smoke`, `rollback` and `destroy`; `diff` as in `plan_document`."""
    hosts: dict[str, Json] = {
        host.name: {
            "status": host.status,
            "changes": _changes(host, diff=diff),
            "error": _error(host),
            "smoke": {check.name: check.verdict for check in host.checks},
            **({"reinstalled": True} if host.reinstalled else {}),
        }
        for host in report.hosts.values()
    }
    statuses = Counter(host.status for host in _of(report))
    checks = Counter(check.verdict for host in _of(report) for check in host.checks)
    totals: dict[str, Json] = {
        "hosts": len(report.hosts),
        **{status: statuses[status] for status in get_args(Status)},
        **_totals(report),
        "checks": {verdict: checks[verdict] for verdict in get_args(Verdict)},
    }
    return _render(
        {
            "version": VERSION,
            "fleet": report.fleet,
            "hosts": hosts,
            "ok": report.ok,
            "totals": totals,
        }
    )


def _of(report: Report) -> Collection[HostReport]:
    return report.hosts.values()


def _totals(report: Report) -> dict[str, Json]:
    """The number of changes, of drift, and of changes that may be drift."""
    origins = [
        host.origins.get(change, "fleet")
        for host in _of(report)
        for change in (host.plan.changes if host.plan else ())
    ]
    return {
        "changes": len(origins),
        "drift": origins.count("host"),
        "drift_unknown": origins.count("unclear"),
    }


def _changes(host: HostReport, *, diff: bool) -> list[Json]:
    if host.plan is None:
        return []
    return [
        {
            "resource": resource_text(change.resource),
            "action": change.action,
            "reason": change.reason,
            "activation": change.activation,
            "drift": _DRIFT[host.origins.get(change, "fleet")],
            "impact": disturbed(host.plan, change),
            **({"diff": inside(change)} if diff else {}),
            **({"parts": [_part(part) for part in change.parts]} if change.parts else {}),
        }
        for change in host.plan.changes
    ]


def _part(part: Part) -> dict[str, Json]:
    return {"resource": resource_text(part.resource), "action": part.action}


def _error(host: HostReport) -> str | None:
    if not host.error:
        return None
    return f"{host.error} (hint: {host.hint})" if host.hint else host.error


def _render(document: dict[str, Json]) -> str:
    return escape_json(json.dumps(document, indent=2, ensure_ascii=False))
