"""List the images of registries, with the fleet's CA, user and connection for each."""

from __future__ import annotations

from collections.abc import Iterable

from regfleet.errors import RegfleetError, UsageError
from regfleet.fleet.findings import did_you_mean
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.model.images import RegistryImages
from regfleet.registry_api import bounds, contents
from regfleet.registry_api.client import RegistryClient
from regfleet.run.asking import Asking, Tunnels
from regfleet.run.known import Known
from regfleet.smoke.render import is_of_the_test

MOST_COMPARED = 1000  # names that are compared for "did you mean"


def chosen(fleet: Fleet, asked: str) -> tuple[list[Registry], str]:
    """The registries to ask, and the repository, which is empty for all.

    Args:
        asked: `REGISTRY` or `REGISTRY/REPOSITORY`, the registry by its name or endpoint; empty
            for everything.

    Raises:
        UsageError: there is no such registry.
    """
    if not asked:
        return list(fleet.declared), ""
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
    registry: Registry,
    repository: str,
    known: Known,
    connections: Tunnels,
    *,
    every: bool = False,
) -> RegistryImages:
    """The content of one registry, or its error.

    Args:
        repository: the only repository to read; empty for all.
        every: also the smoke test's repositories that are empty: it deletes its tags, and a
            registry keeps the repository (distribution has no way to delete one).
    """
    found = RegistryImages(registry.name, registry.endpoint)
    try:
        credentials = known.registries[registry.name].credentials()
        asking = Asking(known.registries, connections)
        with asking.client(registry, credentials, bounds.READ_ALL) as client:
            client.ping()
            if registry.proxy:
                found.note = f"a cache of {registry.proxy}: its tags are those of its upstream"
                found.repositories = dict.fromkeys(_catalog(client, repository), ())
            else:
                _read(client, registry, repository, found, every=every)
    except RegfleetError as error:
        found.error, found.hint = error.message, error.hint
    return found


def _read(
    client: RegistryClient,
    registry: Registry,
    repository: str,
    found: RegistryImages,
    *,
    every: bool,
) -> None:
    """Read repositories one by one; if one fails, the earlier ones stay in `found`."""
    count = 0
    for name in [repository] if repository else client.catalog():
        tags = tuple(contents.images(client, name))
        count += len(tags)
        if count > bounds.MOST_NAMES:
            raise bounds.endless(registry.endpoint, f"more than {bounds.MOST_NAMES} tags")
        if not tags and not every and not repository and is_of_the_test(name):
            found.hidden += 1
        else:
            found.repositories[name] = tags
    if repository and not found.repositories[repository]:
        raise _no_repository(registry, repository, client)
    every_tag = (tag for tags in found.repositories.values() for tag in tags)
    unread = [f"{registry.name}/{tag.repository}:{tag.name}" for tag in every_tag if not tag.digest]
    if unread:
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        raise RegfleetError(
            f"the registry cannot read {unread[0]}{more}",
            f"push that tag again, or `regfleet delete FILE {unread[0]}` deletes it",
        )


def _catalog(client: RegistryClient, repository: str) -> Iterable[str]:
    return [name for name in client.catalog() if not repository or name == repository]


def _no_repository(registry: Registry, repository: str, client: RegistryClient) -> RegfleetError:
    message = f"the registry {registry.name} has no tag in a repository {repository}"
    try:
        names = list(client.catalog()[:MOST_COMPARED])
    except RegfleetError:
        names = []
    hint = f"`regfleet images FILE {registry.name}` lists what it has"
    return RegfleetError(message, did_you_mean(repository, names, hint))
