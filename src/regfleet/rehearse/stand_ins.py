"""Finds out what of a fleet cannot be had on this machine: passwords, certificates, images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path

from regfleet import passwords
from regfleet.errors import CertificateError, PasswordError
from regfleet.fleet.addresses import HUB_HOSTS
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.pki import given
from regfleet.rehearse.images import Seeds
from regfleet.rehearse.likeness import SMOKE, ImageStandIn, StandIns, gateway_of
from regfleet.seed import hub_reachable
from regfleet.state import StateDirectory

NGINX = "nginx:stable"


def find(
    fleet: Fleet,
    state: StateDirectory,
    seeds: Callable[[], Seeds],
    now: datetime,
    hub: Callable[[], bool] | None = None,
) -> StandIns:
    """What cannot be had, and what plays it.

    Password commands are run; nothing is kept, shown or sent.

    Args:
        fleet: the fleet in play.
        state: the twin's.
        seeds: makes the archives of all images; called only where they are needed.
        now: with a time zone.
        hub: whether Docker Hub can be reached; asked once, where that matters.

    Raises:
        RegfleetError: an image can neither be pulled nor made of packages.
    """
    registries = fleet.registries.values()
    return StandIns(
        passwords=dict(pair for each in registries for pair in _passwords(each, state)),
        certificates=dict(pair for each in registries for pair in _certificates(each, now)),
        images=_Images(seeds, cache(hub or hub_reachable)).of(fleet),
    )


def on_hub(image: str) -> bool:
    """Whether an image's reference is one of Docker Hub (distribution/reference, domains)."""
    first, slash, _ = image.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return not named or first in HUB_HOSTS


def _passwords(registry: Registry, state: StateDirectory) -> Iterator[tuple[tuple[str, str], str]]:
    if registry.external:
        return
    for user in registry.users:
        if user.password.kind == "generate":
            continue
        try:
            passwords.resolve(
                user.password, state=state, registry=registry.name, user=user.name, save=False
            )
        except PasswordError as error:
            yield (registry.name, user.name), _reason(error)


def _certificates(registry: Registry, now: datetime) -> Iterator[tuple[str, str]]:
    if registry.tls.source != "files":
        return
    try:
        if not registry.external:
            given.read_pair(registry, now)
        elif registry.tls.ca:
            given.read_ca(registry.tls.ca, now)
    except CertificateError as error:
        yield registry.name, error.message


def _reason(error: PasswordError) -> str:
    """The message without whose password it is."""
    return error.message.partition(": ")[2] or error.message


class _Images:
    def __init__(self, seeds: Callable[[], Seeds], hub: Callable[[], bool]) -> None:
        self._seeds = seeds
        self._hub = hub

    def of(self, fleet: Fleet) -> dict[str, ImageStandIn]:
        wanted = {
            each.name: (each.image, each.image_archive, "registry:2")
            for each in fleet.registries.values()
            if not each.external
        }
        for each in fleet.registries.values():
            if each.gateway:
                gateway = each.gateway
                wanted[gateway_of(each.name)] = (gateway.image, gateway.image_archive, NGINX)
        if any(registry.smoke and not registry.external for registry in fleet.registries.values()):
            wanted[SMOKE] = (fleet.smoke.image, fleet.smoke.image_archive, "busybox:latest")
        found = {whose: self._one(*each) for whose, each in wanted.items()}
        return {whose: each for whose, each in found.items() if each}

    def _one(self, image: str, archive: Path | None, seed: str) -> ImageStandIn | None:
        missing = ""
        if archive:
            if _readable(archive):
                return None
            missing = f"its archive {archive} cannot be read"
        if not on_hub(image):
            missing = missing or "it is in another registry than Docker Hub"
        elif self._hub():
            return ImageStandIn(image, None, missing) if missing else None
        else:
            missing = f"{missing}, and " if missing else ""
            missing += "Docker Hub cannot be reached"
        seeds = self._seeds()
        path = {"registry:2": seeds.registry, NGINX: seeds.nginx}.get(seed, seeds.busybox)
        return ImageStandIn(seed, path, missing)


def _readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False
