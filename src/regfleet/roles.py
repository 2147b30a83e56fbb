"""Who may do what in a registry's repositories. Pure.

The project of a repository is the one with the longest name that is the repository's name, or its
beginning up to a slash. Only that project counts: a member of `team-a` has no rights in
`team-a/infra` if that is a project of its own. What belongs to no project is for the registry's
admins alone.

The gateway enforces the same rule by a script of its own (gateway/njs/rights.js).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from regfleet.fleet.formats import LONGEST_REPOSITORY, is_repository
from regfleet.fleet.registries import Project, Registry, Role
from regfleet.fleet.values import Json

Action = Literal["pull", "push", "delete"]  # as in a token's scope (distribution, spec/auth/scope)
Actions: TypeAlias = frozenset[Action]

NOTHING: Actions = frozenset()
GRANTED: Mapping[Role, Actions] = {
    "guest": frozenset({"pull"}),
    "developer": frozenset({"pull", "push"}),
    "admin": frozenset({"pull", "push", "delete"}),
}
EVERYTHING = GRANTED["admin"]


def rights(registry: Registry, user: str | None, repository: str) -> Actions:
    """What a user may do in a repository of a registry that regfleet runs.

    Args:
        user: the name of a user whose password was checked; None without a login.
        repository: any text that somebody may ask for; what is no repository's path is nobody's
            but the admins'.
    """
    if not registry.projects:
        declared = {each.name for each in registry.users}
        return EVERYTHING if not declared or user in declared else NOTHING
    if user is not None and user in registry.admins:
        return EVERYTHING
    project = project_of(registry, repository)
    if project is None:
        return NOTHING
    role = project.roles.get(user) if user is not None else None
    if role is not None:
        return GRANTED[role]
    return GRANTED["guest"] if project.public else NOTHING


def may_list(registry: Registry, user: str | None) -> bool:
    """Whether a user may list all repositories (`/v2/_catalog`)."""
    if registry.projects:
        return user is not None and user in registry.admins
    return rights(registry, user, "") == EVERYTHING


def project_of(registry: Registry, repository: str) -> Project | None:
    """The project that a repository belongs to; None for none, and for what is no repository."""
    if len(repository) > LONGEST_REPOSITORY or not is_repository(repository):
        return None
    prefix = repository
    while prefix:
        if prefix in registry.by_project:
            return registry.by_project[prefix]
        prefix = prefix.rpartition("/")[0]
    return None


def document(registry: Registry) -> dict[str, Json]:
    """Admins and projects as the gateway reads them: `{"admins": {NAME: true}, "projects": {...}}`.

    A project is `{"public": BOOL, "members": {USER: ROLE}}`. Nothing in it is secret.
    """
    users = (user.name for user in registry.users)  # without projects each may do everything
    return {
        "admins": dict.fromkeys(registry.admins if registry.projects else users, True),
        "projects": {
            project.name: {
                "public": project.public,
                "members": dict(project.roles),
            }
            for project in registry.projects
        },
    }


def who_may(registry: Registry, users: Iterable[str], repository: str, action: Action) -> str:
    """The user with the least rights who may do that there; empty when nobody may.

    Of users with the same rights a member comes before an admin of the registry.
    """
    able = [(user, rights(registry, user, repository)) for user in users]
    able = [(user, may) for user, may in able if action in may]
    chosen = min(able, key=lambda each: (len(each[1]), each[0] in registry.admins), default=("", 0))
    return chosen[0]


def place_in(registry: Registry, project: Project, below: str) -> str:
    """A repository below a project, for tests; empty where a name is too long, or another's."""
    repository = f"{project.name}/{below}"
    fits = len(f"{registry.endpoint}/{repository}") <= LONGEST_REPOSITORY
    return repository if fits and project_of(registry, repository) == project else ""


@dataclass(frozen=True, slots=True)
class Roles:
    """Who is what, as a host has it on record; the plan compares it with the declaration.

    Attributes:
        members: the role of each user, by project.
        public: the projects from which anybody may pull.
    """

    admins: frozenset[str] = frozenset()
    members: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    public: frozenset[str] = frozenset()


def record(registry: Registry) -> str:
    """The text that the registry's host keeps of the declared roles, for the next plan."""
    return json.dumps(document(registry), indent=1, ensure_ascii=False) + "\n"


def parse(text: str) -> Roles | None:
    """The roles in a text of `record`'s; None for any other text.

    The text comes from a host: anything may be in it.
    """
    try:
        found = json.loads(text)
        admins, projects = found["admins"], found["projects"]
        members = {name: dict(each["members"]) for name, each in projects.items()}
        public = frozenset(name for name, each in projects.items() if each["public"] is True)
        roles = Roles(frozenset(admins), members, public)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    known = get_args(Role)
    if any(role not in known for each in members.values() for role in each.values()):
        return None
    return roles
