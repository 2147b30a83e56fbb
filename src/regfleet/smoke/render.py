"""Writes the program that smoke-tests registries on a client. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from regfleet import shell
from regfleet.desired.resolve import clients_of
from regfleet.fleet.clients import Login
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.roles import Action, place_in, project_of, rights
from regfleet.shell import frame

REPOSITORY = "regfleet-smoke"
OTHER_ROLES = "its host has other roles than the fleet file, after the rollback"
_GIVEN = "given"  # below it: what regfleet itself puts there, for clients that may only pull

_PATH_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Subject:
    """One registry to test from one client.

    Attributes:
        repository: the repository that this client alone pushes to: `regfleet-smoke/HOST`, in a
            project where its login needs one; or the one that it pulls from.
        account: the Unix account whose kept login is used; empty when none is declared.
        without: a text that says that no login is declared; empty when one is.
        only_pulls: why it may pull and not push; empty when it may push.
        untestable: why it may do neither; empty when it may.
    """

    registry: Registry
    repository: str
    account: str = ""
    without: str = ""
    only_pulls: str = ""
    untestable: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """What regfleet has put into a registry for a client that may only pull.

    Attributes:
        tag: empty where it could not be put there.
        digests: one of them is what the client's engine has to report.
        why: why it is not there; empty where it is.
    """

    tag: str = ""
    digests: tuple[str, ...] = ()
    why: str = ""


def subjects(fleet: Fleet, host: str) -> tuple[Subject, ...]:
    """The registries of a client that the fleet file allows the smoke test to push to.

    The test uses only the logins that are declared for the client; it never gets a password.
    Without a declared login it tests what the registry allows without one.
    """
    found: dict[str, Subject] = {}
    for client in clients_of(fleet, host):
        logins = {login.registry: login for login in client.logins}
        for name in client.registries:
            registry = fleet.registries[name]
            if registry.smoke:
                found.setdefault(name, _build_subject(registry, host, logins.get(name)))
    return tuple(found.values())


def _build_subject(registry: Registry, host: str, login: Login | None) -> Subject:
    repository = f"{REPOSITORY}/{repository_name(host)}"
    if registry.projects:
        return _in_projects(registry, host, login, repository)
    if login:
        return Subject(registry, repository, account=login.accounts[0])
    without = f"{host} declares no login to {registry.name}"
    return Subject(registry, repository, without=without)


def _in_projects(registry: Registry, host: str, login: Login | None, own: str) -> Subject:
    """As `_build_subject`, where the login's roles say what can be tested, and in which project."""
    user = login.user if login else None
    account = login.accounts[0] if login else ""
    without = "" if login else f"{host} declares no login to {registry.name}"
    if login and (place := _place(registry, user, own, "push")):
        return Subject(registry, place, account)
    if place := _place(registry, user, f"{REPOSITORY}/{_GIVEN}", "pull"):
        project = project_of(registry, place)
        where = project.name if project else place
        why = f"{user} may only pull in {where}" if login else f"{without}: it may only pull"
        return Subject(registry, place, account, without, only_pulls=why)
    untestable = f"{user} has no role in {registry.name}" if login else ""
    return Subject(registry, own, account, without, untestable=untestable)


def _place(registry: Registry, user: str | None, below: str, action: Action) -> str:
    """A repository for the test in which somebody may do that; empty for none.

    One outside all projects first, for admins; then in a project of which the user is a member.
    """
    members = (project for project in registry.projects if user in project.roles)
    projects = itertools.chain(members, registry.projects)
    places = itertools.chain((below,), (place_in(registry, each, below) for each in projects))
    return next(
        (place for place in places if place and action in rights(registry, user, place)), ""
    )


def repository_name(host: str) -> str:
    """A host's name as a path component of a repository, changed only when it is not valid as one.

    A component has lower-case letters and digits, with separators between them (distribution
    reference grammar, `path-component`).
    """
    name = host.lower()
    if _PATH_COMPONENT.fullmatch(name):
        return name
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "host"


def is_of_the_test(repository: str) -> bool:
    """Whether a repository is the smoke test's, in whatever project it is."""
    return f"/{REPOSITORY}/" in f"/{repository}"


def skipped(fleet: Fleet, host: str) -> tuple[Registry, ...]:
    """The registries of a client that the fleet file excludes from the smoke test's pushes."""
    names = {name for client in clients_of(fleet, host) for name in client.registries}
    return tuple(
        registry
        for registry in fleet.registries.values()
        if registry.name in names and not registry.smoke
    )


def program(engine: str) -> str:
    """The smoke test's shell functions and those of one engine (by its shell word)."""
    return shell.program("regfleet.smoke", "smoke.sh", engines=(engine,))


def render(
    tests: tuple[Subject, ...],
    image: str,
    token: str,
    *,
    engine: str,
    brought: bool,
    account: str = "",
    given: Mapping[str, Given] | None = None,
) -> str:
    """The whole program for standard input.

    Args:
        tests: what to test.
        image: the image to push.
        token: this run's tag; the pulled container must print it, and it frames the output.
        engine: shell word of the client's engine.
        brought: whether regfleet sent the image for this test, which then removes it again.
        account: whose the engine is; empty for root's.
        given: what is there to be pulled, by registry, for each test that only pulls.
    """
    of_account = [f"engine_account={quote(account)}"] if account else []
    lines = [
        *of_account,
        "begin",
        f"engine={quote(engine)}",
        *([f"brought={quote(image)}"] if brought else []),
    ]
    for test in tests:
        name, endpoint = test.registry.name, test.registry.endpoint
        there = (given or {}).get(name, Given()) if test.only_pulls else None
        if there is None:
            words = (endpoint, test.repository, token, image, test.account, test.without)
            lines.append(" ".join(["registry", quote(name), *map(quote, words)]))
            continue
        digests = " ".join(there.digests)
        words = (endpoint, test.repository, there.tag, test.account, digests, test.only_pulls)
        lines.append(" ".join(["pull_only", quote(name), *map(quote, words)]))
    body = "\n".join(f"  {line}" for line in [*lines, "clean"])
    call = frame.around(token, "smoke </dev/null")
    return f"{program(engine)}\nsmoke() {{\n{body}\n}}\n{call}"
