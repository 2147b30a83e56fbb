"""Who may do what in a fleet's registries, from the fleet file alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from regfleet.errors import UsageError
from regfleet.fleet.findings import did_you_mean
from regfleet.fleet.formats import is_repository
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry, Role
from regfleet.fleet.toml_text import shown
from regfleet.roles import Actions, may_list, project_of, rights

By = Literal[Role, "registry-admin", "anybody", "user"]
DecidedBy = Literal["projects", "users", "nobody", "itself"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked about; with neither user nor repository, everything.

    Attributes:
        registry: the one registry to look at, by name; empty for all.
    """

    user: str = ""
    repository: str = ""
    registry: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """What somebody may do somewhere, and by which role."""

    may: Actions
    by: By


@dataclass(frozen=True, slots=True)
class Row:
    """Repositories and what may be done there.

    Attributes:
        repository: a project's name, which stands for all below it, or the one repository that
            was asked about; empty for all that belong to no project.
        project: the project that it belongs to; empty for none.
        anybody: what may be done without a login.
        users: of each user with a right there, the one asked about or all.
    """

    repository: str
    project: str
    anybody: Actions
    users: Mapping[str, Right]


@dataclass(frozen=True, slots=True)
class RegistryRights:
    """Who may do what in one registry.

    Attributes:
        decided_by: `projects` (roles), `users` (every user may do everything), `nobody` (there are
            no users: anybody may do everything), `itself` (an external registry).
        users: its declared users, the one asked about or all.
        lists: those who may list all repositories.
        clients: groups of machines that keep a login, by its user.
    """

    registry: Registry
    decided_by: DecidedBy
    users: tuple[str, ...]
    lists: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    clients: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def parse_subject(fleet: Fleet, text: str) -> Subject:
    """What a word on the command line asks about.

    Args:
        text: a declared user; a repository; `REGISTRY/REPOSITORY`, the registry by its name or
            endpoint; or empty.

    Raises:
        UsageError: it is neither a declared user nor a repository's path.
    """
    if not text:
        return Subject()
    users = {user.name for registry in fleet.registries.values() for user in registry.users}
    if text in users:
        return Subject(user=text)
    first, _, rest = text.strip("/").partition("/")
    for registry in fleet.registries.values():
        if rest and first in (registry.name, registry.endpoint) and is_repository(rest):
            return Subject(repository=rest, registry=registry.name)
    if is_repository(text):
        return Subject(repository=text)
    known = f"users are {', '.join(sorted(users))}" if users else "no registry has users"
    message = f"{shown(text)} is neither a declared user nor the path of a repository"
    raise UsageError(message, did_you_mean(text, users, known))


def who(fleet: Fleet, subject: Subject) -> tuple[RegistryRights, ...]:
    """Who may do what, registry by registry.

    A registry that does not know the user who was asked about is left out.
    """
    return tuple(
        _of_registry(fleet, registry, subject)
        for registry in fleet.registries.values()
        if subject.registry in ("", registry.name)
        and (not subject.user or subject.user in {each.name for each in registry.users})
    )


def _of_registry(fleet: Fleet, registry: Registry, subject: Subject) -> RegistryRights:
    users = tuple(
        user.name for user in registry.users if not subject.user or user.name == subject.user
    )
    clients = {
        user: groups
        for user in users
        if (
            groups := tuple(
                client.name
                for client in fleet.clients.values()
                if any(
                    (each.registry, each.user) == (registry.name, user) for each in client.logins
                )
            )
        )
    }
    if registry.external:
        return RegistryRights(registry, "itself", users, clients=clients)
    rows = tuple(_row(registry, name, users) for name in _repositories(registry, subject))
    if subject.repository:
        clients = {user: groups for user, groups in clients.items() if user in rows[0].users}
    return RegistryRights(
        registry,
        "projects" if registry.projects else "users" if registry.users else "nobody",
        users,
        tuple(user for user in users if may_list(registry, user)),
        rows,
        clients,
    )


def _repositories(registry: Registry, subject: Subject) -> Iterator[str]:
    if subject.repository:
        yield subject.repository
        return
    yield from sorted(project.name for project in registry.projects)
    yield ""


def _row(registry: Registry, repository: str, users: tuple[str, ...]) -> Row:
    project = project_of(registry, repository)
    found: dict[str, Right] = {}
    for user in users:
        may = _possible(registry, rights(registry, user, repository))
        if may:
            found[user] = Right(may, _by(registry, user, project.name if project else ""))
    anybody = _possible(registry, rights(registry, None, repository))
    return Row(repository, project.name if project else "", anybody, found)


def _possible(registry: Registry, may: Actions) -> Actions:
    """What of these rights the registry can do at all."""
    if not registry.takes_pushes:  # nor deletions (registry/proxy/proxymanifeststore.go)
        return may & {"pull"}
    return may if registry.delete else may - {"delete"}


def _by(registry: Registry, user: str, project: str) -> By:
    if not registry.projects:
        return "user"
    if user in registry.admins:
        return "registry-admin"
    found = registry.by_project.get(project)
    return found.roles.get(user, "anybody") if found else "anybody"


def unlikely(fleet: Fleet, subject: Subject) -> str:
    """A declared user whose name is close to a repository that belongs to no project, or empty."""
    if not subject.repository or subject.registry:
        return ""
    held = [registry for registry in fleet.registries.values() if registry.projects]
    if any(project_of(registry, subject.repository) for registry in held):
        return ""
    users = {user.name for registry in fleet.registries.values() for user in registry.users}
    return did_you_mean(subject.repository, users)
