"""A registry as the distribution packages it, run by its own service: without any engine."""

from __future__ import annotations

from dataclasses import dataclass

from regfleet.fleet.model import EngineName, Instance, Registry
from regfleet.materials import RegistryMaterial
from regfleet.model.service import Image, Service, UnitRun, at
from regfleet.runtimes import files
from regfleet.services.unit import LEAST_PORT

PROGRAM = "/usr/bin/docker-registry"
UNIT = "docker-registry"
PACKAGES = {"apt-get": ("docker-registry",)}  # Debian and Ubuntu; nobody else has it by that name


@dataclass(frozen=True, slots=True)
class Package:
    """The runtime `package`; see `interface.Runtime`."""

    engine: EngineName | None = None

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
        """One program, with our configuration in the place of its own. The image is not used."""
        del image, gateway
        listen = at(*registry.listen) if registry.listen else f":{instance.port}"
        places = files.Places(seen_at="", storage="", listen=listen)
        needs = files.needs(registry, material, places)
        run = UnitRun(
            command=(PROGRAM, "serve", f"{needs.home}/config.yml"),
            unit=UNIT,
            packages=PACKAGES,
            privileges=("NET_BIND_SERVICE",) if instance.port < LEAST_PORT else (),
            pids=registry.limits.pids,
            memory=registry.limits.memory or "",
            environment=needs.environment,
        )
        return (files.service(fleet, registry, instance, needs, run),)
