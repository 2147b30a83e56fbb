"""The document of `who --json`."""

from __future__ import annotations

from collections.abc import Sequence

from regfleet.fleet.values import Json
from regfleet.report.status_json import VERSION, printable
from regfleet.report.who import RegistryRights, Row, Subject
from regfleet.roles import Actions


def document(fleet: str, subject: Subject, found: Sequence[RegistryRights]) -> str:
    """Who may do what, as JSON; null for what was not asked about."""
    return printable(
        {
            "version": VERSION,
            "fleet": fleet,
            "user": subject.user or None,
            "repository": subject.repository or None,
            "registries": {each.registry.name: _registry(each) for each in found},
        }
    )


def _registry(each: RegistryRights) -> Json:
    return {
        "endpoint": each.registry.endpoint,
        "decided_by": each.decided_by,
        "users": list(each.users),
        "list_repositories": list(each.lists),
        "repositories": [_row(row) for row in each.rows],
        "clients": {user: list(groups) for user, groups in each.clients.items()},
    }


def _row(row: Row) -> Json:
    return {
        "repository": row.repository or None,
        "project": row.project or None,
        "anybody": _actions(row.anybody),
        "users": {
            user: {"may": _actions(right.may), "as": right.by} for user, right in row.users.items()
        },
    }


def _actions(may: Actions) -> list[Json]:
    return [action for action in ("pull", "push", "delete") if action in may]
