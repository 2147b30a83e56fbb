"""The document of `images --json`."""

from __future__ import annotations

from collections.abc import Sequence

from regfleet.fleet.values import Json
from regfleet.model.contents import Tag
from regfleet.model.images import RegistryImages
from regfleet.report.status_json import VERSION, printable


def document(fleet: str, found: Sequence[RegistryImages]) -> str:
    """The content of registries as JSON; null for unknown."""
    registries: dict[str, Json] = {
        registry.name: {
            "endpoint": registry.endpoint,
            "repositories": {
                name: [_tag(tag) for tag in tags] for name, tags in registry.repositories.items()
            },
            "hidden_repositories": registry.hidden,
            "note": registry.note or None,
            "error": (
                f"{registry.error} (hint: {registry.hint})"
                if registry.hint
                else registry.error or None
            ),
        }
        for registry in found
    }
    return printable(
        {
            "version": VERSION,
            "fleet": fleet,
            "registries": registries,
            "ok": not any(registry.error for registry in found),
        }
    )


def _tag(tag: Tag) -> Json:
    return {
        "tag": tag.name,
        "digest": tag.digest or None,
        "media_type": tag.media_type or None,
        "bytes": tag.size if tag.digest else None,
        "platforms": list(tag.platforms),
        "created": tag.created,
        "missing_manifests": tag.missing,
    }
