"""A registry from a compose file as the registry's own documentation has it.

Distribution, "Deploying a registry server", "Deploy your registry using a Compose file". The keys
are those of the Compose specification that docker-compose 1.29 knows, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from regfleet.fleet.model import EngineName, Instance, Json, Registry
from regfleet.materials import RegistryMaterial
from regfleet.model.service import ComposeRun, Image, Service, at
from regfleet.runtimes import configuration, files
from regfleet.services import compose

INSIDE = "/etc/regfleet"  # where the container sees its configuration
# What every registry does without; see docs/how-it-works.md.
CONFINED: dict[str, Json] = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "read_only": True,
    "tmpfs": ["/tmp"],  # noqa: S108 - in the container
    "userns_mode": "host",
}


@dataclass(frozen=True, slots=True)
class Compose:
    """The runtime `compose`; see `interface.Runtime`."""

    engine: EngineName = "docker"

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
        """One container that Compose makes from `compose.yaml` in the registry's directory."""
        del gateway  # no registry with one is declared so (fleet.check.projects)
        needs = files.needs(registry, material, files.Places(seen_at=INSIDE))
        limits = registry.limits
        path = f"{needs.home}/compose.yaml"
        run = ComposeRun(
            path,
            _definition(registry, needs),
            {"max-size": limits.log_size, "max-file": str(limits.log_files)},
        )
        made = files.service(fleet, registry, instance, needs, run, image=image)
        made = replace(made, made_from=path)
        own = (*needs.files, compose.environment_file(made))
        return (compose.written(replace(made, files=own)),)


def _definition(registry: Registry, needs: files.Needs) -> dict[str, Json]:
    """The registry as a service of Compose's; image, name and labels come with the file."""
    limits = registry.limits
    published = str(registry.port) if registry.listen is None else at(*registry.listen)
    memory: dict[str, Json] = {"mem_limit": limits.memory} if limits.memory else {}
    return {
        "restart": "always",
        "network_mode": "bridge",
        "ports": [f"{published}:{configuration.LISTEN}"],
        # The directory, not the files: one that is renamed into place would stay unseen.
        "volumes": [
            f"{needs.home}:{INSIDE}:ro",
            *_stored(registry),
        ],
        "environment": {"OTEL_TRACES_EXPORTER": "none", **dict(needs.environment)},
        "entrypoint": ["registry"],
        "command": ["serve", f"{INSIDE}/config.yml"],
        **CONFINED,
        **_temporary(registry),
        "pids_limit": limits.pids,
        **memory,
    }


def _stored(registry: Registry) -> list[Json]:
    """The mount of its storage; none where a bucket keeps its images."""
    if not registry.storage:
        return []
    if registry.shared:
        # This form makes no directory: while its file system is not mounted, this is not there.
        source, target = files.below(registry.storage), files.below(configuration.STORAGE)
        return [{"type": "bind", "source": source, "target": target}]
    return [f"{registry.storage}:{configuration.STORAGE}"]


def _temporary(registry: Registry) -> dict[str, Json]:
    """Where nothing is mounted at the storage itself: the image declares a volume there."""
    if not (registry.shared or registry.s3):
        return {}
    return {"tmpfs": ["/tmp", configuration.STORAGE]}  # noqa: S108 - in the container
