"""Writes the program that smoke-tests registries on a client. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from shlex import quote

from regfleet import shell
from regfleet.desired.resolve import clients_of
from regfleet.fleet.model import Fleet, Login, Registry
from regfleet.shell import frame

REPOSITORY = "regfleet-smoke"

_PATH_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Subject:
    """One registry to test from one client.

    Attributes:
        repository: the repository that this client alone pushes to: `regfleet-smoke/HOST`.
        account: the Unix account whose kept login is used; empty when none is declared.
        without: a text that says that no login is declared; empty when one is.
    """

    registry: Registry
    repository: str
    account: str = ""
    without: str = ""


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
    if login:
        return Subject(registry, repository, account=login.accounts[0])
    without = f"{host} declares no login to {registry.name}"
    return Subject(registry, repository, without=without)


def repository_name(host: str) -> str:
    """A host's name as a path component of a repository, changed only when it is not valid as one.

    A component has lower-case letters and digits, with separators between them (distribution
    reference grammar, `path-component`).
    """
    name = host.lower()
    if _PATH_COMPONENT.fullmatch(name):
        return name
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "host"


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
    tests: tuple[Subject, ...], image: str, token: str, *, engine: str, brought: bool
) -> str:
    """The whole program for standard input.

    Args:
        tests: what to test.
        image: the image to push.
        token: this run's tag; the pulled container must print it, and it frames the output.
        engine: shell word of the client's engine.
        brought: whether regfleet sent the image for this test, which then removes it again.
    """
    lines = ["begin", f"engine={quote(engine)}", *([f"brought={quote(image)}"] if brought else [])]
    for test in tests:
        words = (
            test.registry.name,
            test.registry.endpoint,
            test.repository,
            token,
            image,
            test.account,
            test.without,
        )
        lines.append(" ".join(["registry", *map(quote, words)]))
    body = "\n".join(f"  {line}" for line in [*lines, "clean"])
    call = frame.around(token, "smoke </dev/null")
    return f"{program(engine)}\nsmoke() {{\n{body}\n}}\n{call}"
