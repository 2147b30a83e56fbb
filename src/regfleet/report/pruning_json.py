"""The document of `prune --json`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from regfleet.fleet.values import Json
from regfleet.report.status_json import VERSION, printable
from regfleet.run.pruning import Pruning


def document(fleet: str, found: Sequence[Pruning], *, dry_run: bool) -> str:
    """What goes of each registry, as JSON; null for unknown."""
    return printable(
        {
            "version": VERSION,
            "fleet": fleet,
            "dry_run": dry_run,
            "registries": {each.registry.name: _registry(each) for each in found},
            "ok": all(each.ok for each in found),
        }
    )


def _registry(found: Pruning) -> dict[str, Json]:
    images: list[Json] = []
    for each in found.deletions.images:
        doomed = found.reasons[each.image.repository, each.image.tag]
        pushed = datetime.fromtimestamp(doomed.tag.at, timezone.utc)
        images.append(
            {
                "repository": each.image.repository,
                "tag": each.image.tag,
                "digest": doomed.tag.digest,
                "pushed": pushed.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "reason": doomed.reason,
                "attached_tags": list(each.attached),
                "status": each.status,
                "error": each.error or None,
            }
        )
    error = f"{found.error} (hint: {found.hint})" if found.hint else found.error
    return {
        "tags": found.tags,
        "delete": images,
        "freed_bytes": found.freed,
        "kept_for": found.kept_for or None,
        "notes": list(found.notes),
        "error": error or None,
    }
