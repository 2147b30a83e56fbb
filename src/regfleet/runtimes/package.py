"""A registry as the distribution packages it, run by its own service: without any engine."""

from __future__ import annotations

from dataclasses import dataclass

from regfleet.fleet.clients import EngineName
from regfleet.fleet.registries import Instance, Registry
from regfleet.gateway import nginx
from regfleet.materials import RegistryMaterial
from regfleet.model.service import Image, Service, UnitRun, at
from regfleet.runtimes import configuration, files, fronted
from regfleet.runtimes.container import CHECKER_THREADS, gateway_rights
from regfleet.services.unit import LEAST_PORT

PROGRAM = "/usr/bin/docker-registry"
UNIT = "docker-registry"
PACKAGES = {"apt-get": ("docker-registry",)}  # Debian and Ubuntu; nobody else has it by that name
NGINX = "/usr/sbin/nginx"
NGINX_UNIT = "nginx"
NGINX_PACKAGES = {"apt-get": ("nginx", "libnginx-mod-http-js")}
STREAM_PACKAGES = {"apt-get": (*NGINX_PACKAGES["apt-get"], "libnginx-mod-stream")}
NGINX_USER = "www-data"  # Debian, base-passwd: there on every system


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
        """One program, with our configuration in the place of its own. No image is used.

        Behind a gateway the same program runs a second time, to check passwords, and nginx.
        """
        del image
        if gateway:
            return _behind_gateway(fleet, registry, instance, material)
        listen = at(*registry.listen) if registry.listen else f":{instance.port}"
        places = files.Places(seen_at="", storage="", listen=listen)
        needs = files.needs(registry, material, places)
        # The distribution's unit runs one process: a second one has a unit of ours.
        second = bool(registry.read_only_of)
        run = UnitRun(
            command=(PROGRAM, "serve", f"{needs.home}/config.yml"),
            unit="" if second else UNIT,
            packages={} if second else PACKAGES,  # the registry's own service brings it
            package_unit=UNIT if second else "",
            privileges=("NET_BIND_SERVICE",) if instance.port < LEAST_PORT else (),
            pids=registry.limits.pids,
            memory=registry.limits.memory or "",
            environment=needs.environment,
            variables=needs.variables,
        )
        return (files.service(fleet, registry, instance, needs, run),)


def _behind_gateway(
    fleet: str, registry: Registry, instance: Instance, material: RegistryMaterial
) -> tuple[Service, ...]:
    """Units of our own for nginx and the password check: a host may have an nginx for its sites."""
    temporary = f"/run/regfleet-{registry.name}.{fronted.GATEWAY}"
    seen = fronted.Seen(temporary=temporary, user=NGINX_USER)
    made = fronted.fronted(registry, instance, material, seen)
    limits = registry.limits
    own = UnitRun(
        command=(PROGRAM, "serve", f"{made.needs.home}/config.yml"),
        unit=UNIT,
        packages=PACKAGES,
        pids=limits.pids,
        memory=limits.memory or "",
        environment=made.needs.environment,
        variables=made.needs.variables,
    )
    users = UnitRun(
        command=(PROGRAM, "serve", f"{made.needs.home}/{configuration.USERS}"),
        packages={} if made.runs else PACKAGES,  # the registry's own service brings it
        package_unit=UNIT,
        pids=limits.pids,
        environment=(CHECKER_THREADS,),
    )
    front = UnitRun(
        command=(NGINX, "-e", "stderr", "-c", f"{made.front.home}/nginx.conf"),
        packages=STREAM_PACKAGES if made.passes_on else NGINX_PACKAGES,
        brought=(nginx.MODULE, *((nginx.STREAM_FILE,) if made.passes_on else ())),
        package_unit=NGINX_UNIT,
        privileges=gateway_rights(instance),
        pids=limits.pids,
        temporary=temporary,
        titled=True,
    )
    return fronted.services(fleet, registry, instance, made, fronted.Runs(own, users, front))
