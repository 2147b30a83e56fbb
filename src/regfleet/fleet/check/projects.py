"""Cross-checks of a registry's projects, their members and its admins."""

from __future__ import annotations

from collections.abc import Iterator

from regfleet.fleet.check import tables
from regfleet.fleet.findings import Finding, Place, Table, did_you_mean
from regfleet.fleet.toml_text import place as written
from regfleet.fleet.toml_text import shown


def check(document: Table) -> Iterator[Finding]:
    """The mistakes in `[registry.NAME.projects]` and `admins` that the schema cannot find."""
    for name, registry in tables.named(document, "registry"):
        if registry.get("external") or tables.is_broken(registry, "external"):
            continue  # refused with everything else that regfleet would have to provision
        place = ("registry", name)
        if registry.get("projects"):
            yield from _possible(place, registry)
            yield from _names(place, registry)
        elif not tables.is_broken(registry, "projects"):
            yield from _without_effect(place, registry)


def _without_effect(place: Place, registry: Table) -> Iterator[Finding]:
    """Keys that would say who may do what, but do not without a project."""
    if "projects" in registry:
        message = "declares no project: every user of the registry may do everything"
        yield Finding((*place, "projects"), message, "declare one, or leave projects out")
        return
    if "admins" in registry:
        message = "has no effect: without projects every user may do everything"
        hint = f"declare [{written((*place, 'projects'))}.NAME], or leave admins out"
        yield Finding((*place, "admins"), message, hint)


def _possible(place: Place, registry: Table) -> Iterator[Finding]:
    """What a registry with projects cannot be."""
    where = (*place, "projects")
    if "proxy" in registry:
        message = "does not go with proxy: a pull-through cache has the images of its upstream"
        yield Finding(where, message, "leave out projects, or proxy")
    if not registry.get("users") and not tables.is_broken(registry, "users"):
        message = "needs users: without them nobody could push"
        yield Finding(where, message, 'declare some, as in users.ci.password = "generate"')


def _names(place: Place, registry: Table) -> Iterator[Finding]:
    """Admins and members who are no users of the registry."""
    users = registry.get("users")
    if not users:
        return
    seen: dict[str, int] = {}
    for index, user in tables.items(registry, "admins"):
        where = (*place, "admins", index)
        if user not in users:
            yield Finding(where, *_unknown(place, user, users))
        elif seen.setdefault(user, index) != index:
            message = f"is the same as {written((*place, 'admins', seen[user]))}"
            yield Finding(where, message, "leave one out")
    for name, project in tables.pairs(registry, "projects"):
        for user in project.get("members") or ():
            if user not in users:
                where = (*place, "projects", name, "members", user)
                yield Finding(where, *_unknown(place, user, users))


def _unknown(place: Place, user: str, users: Table) -> tuple[str, str]:
    known = f"its users are {', '.join(users)}"
    return f"{written(place)} has no user {shown(user)}", did_you_mean(user, users, known)
