"""The document of `delete --json`."""

from __future__ import annotations

from regfleet.fleet.values import Json
from regfleet.model.deletions import Deletion, Deletions
from regfleet.report.status_json import VERSION, printable


def document(found: Deletions) -> str:
    """The images and how their deletion went, as JSON; null for unknown."""
    return printable(
        {
            "version": VERSION,
            "fleet": found.fleet,
            "dry_run": found.dry_run,
            "images": [_image(each) for each in found.images],
            "ok": found.ok,
        }
    )


def _image(each: Deletion) -> dict[str, Json]:
    error = f"{each.error} (hint: {each.hint})" if each.hint else each.error
    return {
        "registry": each.image.registry,
        "repository": each.image.repository,
        "tag": each.image.tag or None,
        "digest": each.digest or each.image.digest or None,
        "bytes": each.size if each.digest and not (each.unfinished or each.unreadable) else None,
        "tags": list(each.tags),
        "attached_tags": list(each.attached),
        "other_tags": list(each.others),
        "status": each.status,
        "error": error or None,
    }
