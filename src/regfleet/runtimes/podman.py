"""A registry as a container of Podman's, which the host's service manager runs: no Docker."""

from __future__ import annotations

from dataclasses import dataclass

from regfleet.fleet.clients import EngineName
from regfleet.fleet.registries import Instance, Registry
from regfleet.materials import RegistryMaterial
from regfleet.model.service import Image, Service, UnitRun
from regfleet.runtimes import configuration, files, fronted
from regfleet.runtimes.container import (
    CHECKER,
    CONFINED,
    INSIDE,
    NO_TRACES,
    PROGRAM,
    gateway_rights,
    published,
)
from regfleet.services.unit import for_podman


@dataclass(frozen=True, slots=True)
class Podman:
    """The runtime `podman`; see `interface.Runtime`."""

    engine: EngineName = "podman"

    def services(
        self,
        fleet: str,
        registry: Registry,
        instance: Instance,
        material: RegistryMaterial,
        image: Image,
        *,
        gateway: Image | None = None,
    ) -> tuple[Service, ...]:
        """One container, confined as Docker's is; three where there is a gateway."""
        if gateway:
            return _behind_gateway(
                fleet, registry, instance, material, image=image, gateway=gateway
            )
        needs = files.needs(registry, material, files.Places(seen_at=INSIDE))
        entry, *command = files.with_variables(needs, "serve", f"{INSIDE}/config.yml")
        arguments = (
            f"--publish={published(registry)}:{configuration.LISTEN}",
            *NO_TRACES,
            *(f"--env={name}={value}" for name, value in needs.environment),
            f"--entrypoint={entry}",
            *CONFINED,
            *((f"--tmpfs={configuration.STORAGE}",) if registry.shared or registry.s3 else ()),
        )
        run = UnitRun(
            command=tuple(command),
            arguments=arguments,
            mounts=(
                (needs.home, INSIDE, "ro"),
                *_stored(registry),
            ),
            pids=registry.limits.pids,
            memory=registry.limits.memory or "",
        )
        return (files.service(fleet, registry, instance, needs, run, image=for_podman(image)),)


def _stored(registry: Registry) -> tuple[tuple[str, str, str], ...]:
    """The mount of its storage; none where a bucket keeps its images.

    Podman refuses a directory that is not there, as that of a file system that is not mounted.
    """
    if not registry.storage:
        return ()
    if registry.shared:
        return ((files.below(registry.storage), files.below(configuration.STORAGE), ""),)
    return ((registry.storage, configuration.STORAGE, ""),)


def _behind_gateway(
    fleet: str,
    registry: Registry,
    instance: Instance,
    material: RegistryMaterial,
    *,
    image: Image,
    gateway: Image,
) -> tuple[Service, ...]:
    seen = fronted.Seen(registry=INSIDE, gateway=INSIDE, storage=configuration.STORAGE)
    made = fronted.fronted(registry, instance, material, seen)
    confined = ("--network=host", *CONFINED)
    home = (made.needs.home, INSIDE, "ro")
    limits = registry.limits
    entry, *command = files.with_variables(made.needs, "serve", f"{INSIDE}/config.yml")
    own = UnitRun(
        command=tuple(command),
        arguments=(
            *(f"--env={name}={value}" for name, value in made.needs.environment),
            *NO_TRACES,
            f"--entrypoint={entry}",
            *confined,
            *((f"--tmpfs={configuration.STORAGE}",) if registry.shared or registry.s3 else ()),
        ),
        mounts=(home, *_stored(registry)),
        pids=limits.pids,
        memory=limits.memory or "",
    )
    users = UnitRun(
        command=("serve", f"{INSIDE}/{configuration.USERS}"),
        arguments=(*CHECKER, *PROGRAM, *confined),
        mounts=(home,),
        pids=limits.pids,
    )
    front = UnitRun(
        command=("-e", "stderr", "-c", f"{INSIDE}/nginx.conf"),
        arguments=(
            "--entrypoint=nginx",
            *confined,
            *(f"--cap-add={each}" for each in gateway_rights(instance)),
            # The image's own signal has nginx wait for pushes of any length.
            "--stop-signal=TERM",
        ),
        mounts=((made.front.home, INSIDE, "ro"),),
        pids=limits.pids,
        titled=True,
    )
    runs = fronted.Runs(own, users, front, for_podman(image), for_podman(gateway))
    return fronted.services(fleet, registry, instance, made, runs)
