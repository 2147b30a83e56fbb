"""Delete images of a fleet's registries: what was asked for, what goes, and doing it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from regfleet.errors import RegfleetError, UsageError
from regfleet.fleet.findings import did_you_mean
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.model.deletions import Deletion, Deletions, ImageName
from regfleet.registry_api import answers, bounds, deletion
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import RegistryError, only_registry_errors
from regfleet.run.asking import Asking


def named(fleet: Fleet, asked: Sequence[str]) -> list[ImageName]:
    """The images that the command line names, each once.

    Args:
        asked: `REGISTRY/REPOSITORY:TAG` or `REGISTRY/REPOSITORY@DIGEST`, the registry by its name
            or endpoint.

    Raises:
        UsageError: with all mistakes; nothing has been contacted.
    """
    found = [_image_or_mistake(fleet, text) for text in asked]
    mistakes = [each for each in found if isinstance(each, UsageError)]
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise UsageError("\n".join(str(each) for each in mistakes))
    return list(dict.fromkeys(each for each in found if isinstance(each, ImageName)))


def _image_or_mistake(fleet: Fleet, text: str) -> ImageName | UsageError:
    try:
        return _image(fleet, text)
    except UsageError as error:
        return error


def _image(fleet: Fleet, text: str) -> ImageName:
    name, _, rest = text.partition("/")
    registry = next(
        (each for each in fleet.registries.values() if name in (each.name, each.endpoint)), None
    )
    if registry is None:
        known = list(fleet.registries)
        hint = did_you_mean(name, known, f"registries are {', '.join(known)}" if known else "")
        raise UsageError(f"{text}: there is no registry {name} in {fleet.path.name}", hint)
    repository, at, digest = rest.partition("@")
    tag = ""
    if not at:
        repository, _, tag = rest.rpartition(":")
    if not repository or not (tag or digest):
        raise UsageError(
            f"{text} names no image: the tag or the digest is missing",
            f"name one: {registry.name}/REPOSITORY:TAG or {registry.name}/REPOSITORY@sha256:…",
        )
    if not answers.is_repository(repository):
        raise UsageError(f"{text}: {repository} cannot be a repository's name")
    if not (answers.is_digest(digest) if at else answers.is_tag(tag)):
        raise UsageError(f"{text}: {digest or tag} is no {'digest' if at else 'tag'}")
    if registry.proxy:
        raise UsageError(
            f"{text}: {registry.name} is a pull-through cache of {registry.proxy}, which fills it "
            "again",
            "delete the image at its upstream; `proxy.ttl` says how long a cache keeps what it got",
        )
    if not registry.delete and not registry.external:
        raise UsageError(
            f"{text}: deletion is off in the registry {registry.name}",
            f"set `delete = true` in [registry.{registry.name}], and apply that first",
        )
    return ImageName(registry.name, repository, tag, digest)


def plan(fleet: Fleet, images: Sequence[ImageName], asking: Asking) -> Deletions:
    """What goes and what stays. An image that cannot be deleted has its error."""
    found = Deletions(fleet.name, [Deletion(image) for image in images])
    for registry, deletions in _by_registry(fleet, found.images):
        _plan_registry(registry, deletions, asking)
    return found


def _plan_registry(registry: Registry, deletions: Sequence[Deletion], asking: Asking) -> None:
    try:
        with connected(registry, asking) as client:
            client.ping()
            by_repository = sorted(deletions, key=lambda each: each.image.repository)
            for name, group in groupby(by_repository, key=lambda each: each.image.repository):
                its = list(group)
                try:
                    deletion.plan(client, name, its)
                except RegistryError as error:
                    if error.kind != "protocol":  # its storage is damaged: others are not
                        raise
                    _fail(its, error)
    except RegfleetError as error:
        _fail(deletions, error)


def _fail(deletions: Sequence[Deletion], error: RegfleetError) -> None:
    for each in deletions:
        if each.status == "planned":
            each.fail(error.message, error.hint)


def delete(fleet: Fleet, planned: Deletions, asking: Asking) -> Iterator[Deletion]:
    """Delete what was planned, image by image; gives each when it is done or has its error."""
    for registry, deletions in _by_registry(fleet, planned.planned):
        yield from _delete_in(registry, deletions, asking)


def _delete_in(
    registry: Registry, deletions: Sequence[Deletion], asking: Asking
) -> Iterator[Deletion]:
    try:
        with connected(registry, asking) as client:
            for name in dict.fromkeys(each.image.repository for each in deletions if each.attached):
                its = [each for each in deletions if each.image.repository == name]
                deletion.spare_signatures(client, name, its)
            for each in deletions:
                if each.unreadable and each.image.tag:
                    with _told(each, registry):
                        deletion.take_place(client, each)
            for each in deletions:
                if each.status == "planned":
                    with _told(each, registry):
                        deletion.delete(client, each)
                        each.status = "deleted"
                yield each
    except RegfleetError as error:
        for each in deletions:
            if each.status == "planned":
                each.fail(error.message, error.hint)
                yield each


@contextmanager
def _told(each: Deletion, registry: Registry) -> Iterator[None]:
    """An error of a deletion is its own: others go on."""
    try:
        with only_registry_errors(registry.endpoint):
            yield
    except RegfleetError as error:
        each.fail(error.message, error.hint)


@contextmanager
def connected(registry: Registry, asking: Asking) -> Iterator[RegistryClient]:
    """A connection to a registry as one who may delete there."""
    credentials = asking.about[registry.name].credentials()
    with asking.client(registry, credentials, bounds.READ_ALL) as client:
        yield client


def _by_registry(
    fleet: Fleet, deletions: Sequence[Deletion]
) -> Iterator[tuple[Registry, list[Deletion]]]:
    for name, registry in fleet.registries.items():
        its = [each for each in deletions if each.image.registry == name]
        if its:
            yield registry, its
