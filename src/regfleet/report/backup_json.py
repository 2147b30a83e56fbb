"""The documents of `backup --json` and `restore --json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from regfleet.fleet.values import Json
from regfleet.model.backups import BackedUp, KeptBackups, LeftOut, Restored, Verified
from regfleet.model.report import Report
from regfleet.report.audit_json import registry as audited
from regfleet.report.status_json import VERSION, moment, printable


def made(report: Report, found: Mapping[str, Sequence[BackedUp]], *, dry_run: bool) -> str:
    """What was backed up on each host."""
    whole = not any(each.left_out_count for its in found.values() for each in its)
    return _by_host(
        report,
        {host: {_name(each.service): _made(each) for each in its} for host, its in found.items()},
        dry_run=dry_run,
        whole=whole,
    )


def restored(report: Report, found: Mapping[str, Sequence[Restored]], *, dry_run: bool) -> str:
    """What was restored on each host."""
    return _by_host(
        report,
        {
            host: {_name(each.service): _restored(each) for each in its}
            for host, its in found.items()
        },
        dry_run=dry_run,
        whole=all(each.ok for its in found.values() for each in its),
    )


def verified(report: Report, found: Mapping[str, Sequence[Verified]]) -> str:
    """What was found in the backups on each host."""
    return _by_host(
        report,
        {host: {each.registry: _verified(each) for each in its} for host, its in found.items()},
        dry_run=False,
        whole=all(each.ok for its in found.values() for each in its),
    )


def _by_host(
    report: Report, registries: Mapping[str, dict[str, Json]], *, dry_run: bool, whole: bool
) -> str:
    hosts: dict[str, Json] = {}
    for name, host in report.hosts.items():
        error = f"{host.error} (hint: {host.hint})" if host.hint else host.error
        hosts[name] = {"registries": registries.get(name, {}), "error": error or None}
    return printable(
        {
            "version": VERSION,
            "fleet": report.fleet,
            "dry_run": dry_run,
            "hosts": hosts,
            "ok": report.ok and whole,
        }
    )


def _name(service: str) -> str:
    return service.removeprefix("regfleet-")


def _made(found: BackedUp) -> Json:
    return {
        "backup": found.number or None,
        "taken": _time(found.taken),
        "tags": found.tags,
        "blobs": found.blobs,
        "bytes": found.size,
        "copied_blobs": found.new_blobs,
        "copied_bytes": found.new_size,
        "left_out": found.left_out_count,
        "left_out_tags": _tags(found.left_out),
        "state": found.state or None,
        "kept": found.kept or None,
        "oldest": _time(found.oldest),
    }


def _verified(found: Verified) -> Json:
    return {
        "backups": found.backups,
        "blobs": found.blobs,
        "bytes": found.size,
        "bad": found.bad_count,
        "bad_blobs": [
            {
                "digest": each.digest,
                "reason": each.reason,
                "backups": [int(n) for n in each.backups.split(",") if n.isdecimal()],
            }
            for each in found.bad
        ],
        "unreadable": list(found.unreadable),
    }


def _restored(found: Restored) -> Json:
    return {
        "backup": found.number,
        "taken": _time(found.taken),
        "tags": found.tags,
        "copied_blobs": found.new_blobs,
        "copied_bytes": found.new_size,
        "overwritten": found.overwritten,
        "asked": found.asked,
        "left_out_tags": _tags(found.left_out),
        "audit": audited(found.audited) if found.audited else None,
    }


def _tags(found: Sequence[LeftOut]) -> list[Json]:
    return [
        {"repository": each.repository, "tag": each.name, "reason": each.reason} for each in found
    ]


def kept(fleet: str, found: Iterable[tuple[str, KeptBackups]]) -> str:
    """The backups of each registry, the oldest first."""
    registries: dict[str, Json] = {}
    fine = True
    for host, each in found:
        fine = fine and not each.error
        error = f"{each.error} (hint: {each.hint})" if each.hint else each.error
        registries[each.registry] = {
            "host": host,
            "place": each.place,
            "backups": [
                {
                    "backup": one.number,
                    "taken": _time(one.taken),
                    "tags": one.tags,
                    "blobs": one.blobs,
                    "bytes": one.size,
                    "left_out": one.left_out,
                }
                for one in each.backups
            ],
            "states": [{"state": number, "kept": _time(time)} for number, time in each.states],
            "error": error or None,
        }
    return printable({"version": VERSION, "fleet": fleet, "registries": registries, "ok": fine})


def state(fleet: str, directory: str, files: int, time: int) -> str:
    """What `restore --state` wrote."""
    document: dict[str, Json] = {"directory": directory, "files": files, "kept": _time(time)}
    return printable({"version": VERSION, "fleet": fleet, "state": document, "ok": True})


def _time(seconds: int | None) -> str | None:
    """A time in UTC; None for one that cannot be."""
    try:
        return moment(datetime.fromtimestamp(seconds, timezone.utc)) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None
