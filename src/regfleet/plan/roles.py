"""What changes in the roles of a registry's users. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from regfleet.model.plan import Action, Part
from regfleet.model.resource import Resource
from regfleet.roles import Roles

EVERYWHERE = "all repositories"


def role_changes(wanted: Roles, there: Roles) -> tuple[Part, ...]:
    """The roles that users gain, lose and change, then the projects that open or close.

    As people read them: `+ team-a: bob guest`, `~ team-a: bob guest -> developer`,
    `~ team-a: public`, and `+ all repositories: root admin` for an admin of the registry.
    """
    return tuple(_changes(wanted, there))


def _changes(wanted: Roles, there: Roles) -> Iterator[Part]:
    admins = dict.fromkeys(sorted(wanted.admins), "admin")
    yield from _members(EVERYWHERE, admins, dict.fromkeys(sorted(there.admins), "admin"))
    for project in dict.fromkeys((*wanted.members, *there.members)):
        now, before = wanted.members.get(project), there.members.get(project)
        yield from _members(project, now or {}, before or {})
        public, was_public = project in wanted.public, project in there.public
        if before is None:
            if public or not now:
                yield _part("create", project, "public" if public else "admins only")
        elif now is None:
            if was_public or not before:
                yield _part("delete", project, "public" if was_public else "admins only")
        elif public != was_public:
            yield _part("update", project, "public" if public else "not public")


def _members(project: str, now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[Part]:
    for user, role in now.items():
        if user not in before:
            yield _part("create", project, f"{user} {role}")
        elif before[user] != role:
            yield _part("update", project, f"{user} {before[user]} -> {role}")
    for user, role in before.items():
        if user not in now:
            yield _part("delete", project, f"{user} {role}")


def _part(action: Action, project: str, what: str) -> Part:
    return Part(Resource("role", f"{project}: {what}"), action)
