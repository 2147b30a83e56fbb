"""The images of registries, asked of each with what the fleet knows: CA, a user, the way there."""

from __future__ import annotations

from collections.abc import Iterable

from regfleet.errors import RegfleetError, UsageError
from regfleet.fleet.findings import did_you_mean
from regfleet.fleet.model import Fleet, Registry
from regfleet.registry_api import contents
from regfleet.registry_api.client import RegistryClient
from regfleet.report.images_model import RegistryImages
from regfleet.run.known import Known
from regfleet.run.reach import Tunnels, target_of

ALIKE = 1000  # names that are compared for "did you mean"


def chosen(fleet: Fleet, asked: str) -> tuple[list[Registry], str]:
    """The registries to ask, and the repository; empty for all of them.

    Args:
        asked: `REGISTRY` or `REGISTRY/REPOSITORY`, the registry by its name or endpoint; empty
            for everything.

    Raises:
        UsageError: there is no such registry.
    """
    if not asked:
        return list(fleet.registries.values()), ""
    name, _, repository = asked.strip("/").partition("/")
    for registry in fleet.registries.values():
        if name in (registry.name, registry.endpoint):
            return [registry], repository
    known = list(fleet.registries)
    raise UsageError(
        f"there is no registry {name} in {fleet.path.name}",
        did_you_mean(name, known, f"registries are {', '.join(known)}" if known else ""),
    )


def of_registry(
    registry: Registry, repository: str, known: Known, connections: Tunnels
) -> RegistryImages:
    """What one registry holds; what went wrong is in it.

    Args:
        repository: that one alone; empty for all.
    """
    found = RegistryImages(registry.name, registry.endpoint)
    about = known.registries[registry.name]
    try:
        credentials = about.credentials()
        target = target_of(registry, about.trusted(), connections)
        with RegistryClient(target, credentials) as client:
            client.ping()
            if registry.proxy:
                found.note = f"a cache of {registry.proxy}: its tags are those of its upstream"
                found.repositories = dict.fromkeys(_catalog(client, repository), ())
            else:
                for name in [repository] if repository else client.catalog():
                    found.repositories[name] = tuple(contents.images(client, name))
                if repository and not found.repositories[repository]:
                    raise _no_repository(registry, repository, client)
    except RegfleetError as error:
        found.error, found.hint = error.message, error.hint
    return found


def _catalog(client: RegistryClient, repository: str) -> Iterable[str]:
    return [name for name in client.catalog() if not repository or name == repository]


def _no_repository(registry: Registry, repository: str, client: RegistryClient) -> RegfleetError:
    message = f"the registry {registry.name} has no tag in a repository {repository}"
    try:
        names = [name for name, _ in zip(client.catalog(), range(ALIKE), strict=False)]
    except RegfleetError:
        names = []
    hint = f"`regfleet images FILE {registry.name}` lists what it has"
    return RegfleetError(message, did_you_mean(repository, names, hint))
