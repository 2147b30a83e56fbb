"""A registry as a container of Podman's, which the host's service manager runs: no Docker."""

from __future__ import annotations

from dataclasses import dataclass

from regfleet.fleet.model import EngineName, Instance, Registry
from regfleet.materials import RegistryMaterial
from regfleet.model.service import Image, Service, UnitRun
from regfleet.runtimes import configuration, files
from regfleet.runtimes.container import CONFINED, INSIDE, published
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
        """One container, confined as Docker's is."""
        del gateway  # no registry with one is declared so (fleet.check.projects)
        needs = files.needs(registry, material, files.Places(seen_at=INSIDE))
        arguments = (
            f"--publish={published(registry)}:{configuration.LISTEN}",
            # v3.0.0 sends traces to localhost unless told otherwise (distribution#4596).
            "--env=OTEL_TRACES_EXPORTER=none",
            *(f"--env={name}={value}" for name, value in needs.environment),
            "--entrypoint=registry",
            *CONFINED,
            *((f"--tmpfs={configuration.STORAGE}",) if registry.shared or registry.s3 else ()),
        )
        run = UnitRun(
            command=("serve", f"{INSIDE}/config.yml"),
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
