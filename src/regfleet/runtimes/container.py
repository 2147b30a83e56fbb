"""A registry as a container: configuration in a directory of its own, data in the storage."""

from __future__ import annotations

from dataclasses import dataclass, replace

from regfleet.fleet.model import EngineName, Instance, Registry
from regfleet.materials import RegistryMaterial
from regfleet.model.service import ContainerRun, Image, Service, at
from regfleet.runtimes import configuration, files

INSIDE = "/etc/regfleet"  # where the container sees its configuration
# What every registry does without; see docs/how-it-works.md.
CONFINED = (
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--read-only",
    "--tmpfs=/tmp",
    # Where the daemon has `userns-remap`, root in a container is a user of the host's to whom
    # neither the configuration (0600) nor the storage belongs.
    "--userns=host",
)
CONFINED_NOW = (
    "this version runs it with fewer rights, limits and log rotation; what it serves stays"
)


@dataclass(frozen=True, slots=True)
class Container:
    """The runtime `container`; see `interface.Runtime`."""

    engine: EngineName = "docker"

    def services(
        self,
        fleet: str,
        registry: Registry,
        instance: Instance,
        material: RegistryMaterial,
        image: Image,
    ) -> tuple[Service, ...]:
        """One container of Docker's."""
        return (_service(fleet, registry, instance, material, image),)


def _service(
    fleet: str, registry: Registry, instance: Instance, material: RegistryMaterial, image: Image
) -> Service:
    """The container of one registry, with its directories and files.

    The directory is mounted, not the files: a file that is renamed into place would stay unseen
    behind a file's mount.
    """
    needs = files.needs(registry, material, files.Places(seen_at=INSIDE))
    limits = registry.limits
    mounted = (
        f"--publish={published(registry)}:{configuration.LISTEN}",
        f"--volume={needs.home}:{INSIDE}:ro",
        f"--volume={registry.storage}:/var/lib/registry",
        # v3.0.0 sends traces to localhost unless told otherwise (distribution#4596).
        "--env=OTEL_TRACES_EXPORTER=none",
        *(f"--env={name}={value}" for name, value in needs.environment),
        # Both official images have the program on their PATH; their entrypoints differ.
        "--entrypoint=registry",
    )
    memory = (f"--memory={limits.memory}",) if limits.memory else ()
    run = ContainerRun(
        arguments=(*mounted, *CONFINED, f"--pids-limit={limits.pids}", *memory),
        command=("serve", f"{INSIDE}/config.yml"),
        log_options=(
            f"--log-opt=max-size={limits.log_size}",
            f"--log-opt=max-file={limits.log_files}",
        ),
    )
    made = files.service(fleet, registry, instance, needs, run, image=image)
    before = replace(made, run=replace(run, arguments=mounted), inputs=needs.formerly_read)
    return replace(made, formerly={before.specification: CONFINED_NOW})


def published(registry: Registry) -> str:
    """Where it is published, as `docker run` reads it: all addresses where none is named."""
    if registry.listen is None:
        return str(registry.port)
    return at(*registry.listen)
