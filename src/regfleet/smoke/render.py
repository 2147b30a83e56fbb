"""What a client is to test, as the program for it. Pure."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from shlex import quote

from regfleet import shell
from regfleet.desired.resolve import clients_of
from regfleet.fleet.model import Fleet, Login, Registry
from regfleet.materials import Materials
from regfleet.secret import Secret

REPOSITORY = "regfleet-smoke"
STEPS = ("present", "push", "remove", "pull", "digest", "run")

_PATH_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Subject:
    """One registry to be tested from one client.

    Attributes:
        repository: where the image goes, the client's own: `regfleet-smoke/HOST`.
        account: the Unix account whose kept login is used; empty for none.
        user, password: a user of the registry, where it wants one and the client keeps no login.
    """

    registry: Registry
    repository: str
    account: str = ""
    user: str = ""
    password: Secret | None = None


def subjects(fleet: Fleet, materials: Materials, host: str) -> tuple[Subject, ...]:
    """The registries that a client may push to; none where the fleet file forbids all."""
    found: dict[str, Subject] = {}
    for client in clients_of(fleet, host):
        logins = {login.registry: login for login in client.logins}
        for name in client.registries:
            registry = fleet.registries[name]
            if registry.smoke:
                found.setdefault(name, _subject(registry, host, logins.get(name), materials))
    return tuple(found.values())


def _subject(registry: Registry, host: str, login: Login | None, materials: Materials) -> Subject:
    repository = f"{REPOSITORY}/{repository_name(host)}"
    if login:
        return Subject(registry, repository, account=login.accounts[0])
    if registry.users and not registry.external:
        user = registry.users[0].name
        password = materials.registries[registry.name].passwords[user]
        return Subject(registry, repository, user=user, password=password)
    return Subject(registry, repository)


def repository_name(host: str) -> str:
    """A host's name as a path component of a repository: as it is, where the grammar has it.

    Letters of the lower case and digits, with separators between them (distribution reference
    grammar, `path-component`).
    """
    name = host.lower()
    if _PATH_COMPONENT.fullmatch(name):
        return name
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "host"


def skipped(fleet: Fleet, host: str) -> tuple[Registry, ...]:
    """Registries of a client that the fleet file does not allow to be pushed to."""
    names = {name for client in clients_of(fleet, host) for name in client.registries}
    return tuple(
        registry
        for registry in fleet.registries.values()
        if registry.name in names and not registry.smoke
    )


def program(engine: str) -> str:
    """The smoke test's shell functions, with those of an engine (its shell word)."""
    return shell.program("regfleet.smoke", "smoke.sh", engines=(engine,))


def render(
    tests: tuple[Subject, ...], image: str, token: str, *, engine: str = "docker", brought: bool
) -> str:
    """The whole program for standard input.

    Args:
        tests: what to test.
        image: the image to push.
        token: tag of this run, and what the pulled container has to print.
        engine: shell word of the client's engine.
        brought: whether the image was sent for this test, and goes with it.
    """
    lines = [f"engine={quote(engine)}", *([f"brought={quote(image)}"] if brought else [])]
    for test in tests:
        password = base64.b64encode((test.password or Secret("")).reveal().encode()).decode()
        words = (
            test.registry.name,
            test.registry.endpoint,
            test.repository,
            token,
            image,
            test.account,
            test.user,
            password,
        )
        lines.append(" ".join(["registry", *map(quote, words)]))
    body = "\n".join(f"  {line}" for line in [*lines, "clean"])
    return f"{program(engine)}\nsmoke() {{\n{body}\n}}\nsmoke </dev/null\n"
