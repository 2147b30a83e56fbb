"""Who may do what, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from regfleet.model.names import listed
from regfleet.report import tables
from regfleet.report.lines import show
from regfleet.report.who import By, RegistryRights, Row, Subject
from regfleet.roles import Action, Actions
from regfleet.terminal.cleaning import clean

_ORDER: tuple[Action, ...] = ("pull", "push", "delete")
_AS: dict[By, str] = {
    "registry-admin": "admin of the registry",
    "anybody": "anybody",
    "user": "user of the registry",
}
_WIDE = 100  # columns of a list of names


def render(
    found: Sequence[RegistryRights], subject: Subject, console: Console, *, hint: str = ""
) -> None:
    """Print who may do what, a registry after the other.

    Args:
        subject: what was asked about.
        hint: said at the end, for a word that was perhaps mistyped.
    """
    for each in found:
        show(console, "", Text.assemble((each.registry.name, "bold"), _title(each, subject)))
        if each.decided_by == "projects":
            _show_projects(each, subject, console)
        else:
            show(console, "  ", _without_projects(each))
        _show_clients(each, console)
    if hint:
        show(console, "hint: ", hint)


def actions_text(may: Actions) -> str:
    """Rights in words: `pull, push`; `nothing` for none."""
    return ", ".join(action for action in _ORDER if action in may) or "nothing"


def _spoken(may: Actions) -> str:
    *first, last = [action for action in _ORDER if action in may]
    return f"{', '.join(first)} and {last}" if first else last


def _title(each: RegistryRights, subject: Subject) -> str:
    words = f"  {each.registry.endpoint}"
    if subject.user:
        return f"{words}: {subject.user}"
    if subject.repository:
        words += f": {subject.repository}"
        if each.decided_by == "projects":
            project = each.rows[0].project
            words += f", of the project {project}" if project else ", of no project"
    return words


def _without_projects(each: RegistryRights) -> str:
    if each.decided_by == "itself":
        known = f"; declared users: {_names(each.users)}" if each.users else ""
        return f"decides itself: regfleet does not run it{known}"
    (row,) = each.rows
    if each.decided_by == "nobody":
        return f"anybody may {_spoken(row.anybody)} in every repository: it has no users"
    (may,) = {right.may for right in row.users.values()}
    return f"every user may {_spoken(may)} in every repository: {_names(each.users)}"


def _show_projects(each: RegistryRights, subject: Subject, console: Console) -> None:
    if subject.user in each.lists:
        words = "everything in every repository, and list them all: admin of the registry"
        show(console, "  ", words)
    elif subject.repository:
        _show_repository(each.rows[0], console)
    elif subject.user:
        _show_user(each, subject.user, console)
    else:
        _show_all(each, console)
    if not each.registry.delete:
        show(console, "  ", "deletion is off in this registry")


def _show_all(each: RegistryRights, console: Console) -> None:
    admins = _names(each.registry.admins) if each.registry.admins else "nobody"
    show(console, "  ", f"may do everything, and list all repositories: {admins}")
    table = _table("project", "anybody", "guests", "developers", "admins")
    for project in sorted(each.registry.projects, key=lambda each: each.name):
        by_role = [
            [member.user for member in project.members if member.role == role]
            for role in ("guest", "developer", "admin")
        ]
        anybody = "pull" if project.public else "-"
        _add(table, project.name, anybody, *(_names(names) or "-" for names in by_role))
    tables.show(console, table)


def _show_user(each: RegistryRights, user: str, console: Console) -> None:
    rows = [row for row in each.rows if user in row.users]
    if not rows:
        show(console, "  ", "nothing")
        return
    table = _table("project", "may", "as")
    for row in rows:
        right = row.users[user]
        _add(table, row.repository, actions_text(right.may), _AS.get(right.by, right.by))
    tables.show(console, table)


def _show_repository(row: Row, console: Console) -> None:
    table = _table("user", "may", "as")
    by_rights = sorted(row.users.items(), key=lambda pair: -len(pair[1].may))
    for user, right in by_rights:
        if right.by != "anybody":
            _add(table, user, actions_text(right.may), _AS.get(right.by, right.by))
    if table.row_count:
        tables.show(console, table)
    words = "without a login, and every other user"
    show(console, "  ", f"{words}: {actions_text(row.anybody)}")


def _show_clients(each: RegistryRights, console: Console) -> None:
    kept = [f"{user} on {', '.join(groups)}" for user, groups in each.clients.items()]
    if kept:
        show(console, "  ", f"logins that machines keep: {'; '.join(kept)}")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 0, 0, 2))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*(Text(clean(cell)) for cell in cells))


def _names(names: Iterable[str]) -> str:
    return listed(list(names), _WIDE)
