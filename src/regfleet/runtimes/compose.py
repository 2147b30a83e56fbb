"""A registry from a compose file as the registry's own documentation has it.

Distribution, "Deploying a registry server", "Deploy your registry using a Compose file". The keys
are those of the Compose specification that docker-compose 1.29 knows, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from regfleet.fleet.clients import EngineName
from regfleet.fleet.registries import Instance, Registry
from regfleet.fleet.values import Json
from regfleet.materials import RegistryMaterial
from regfleet.model.files import Directory
from regfleet.model.service import ComposeRun, Image, Service, at
from regfleet.runtimes import configuration, files, fronted
from regfleet.runtimes.container import CHECKER_THREADS, GATEWAY_STOPS, gateway_rights
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
        """One container that Compose makes from `compose.yaml` in the registry's directory.

        Three where there is a gateway, each from a file of its own: they come and go one by one.
        """
        if gateway:
            return _behind_gateway(
                fleet, registry, instance, material, image=image, gateway=gateway
            )
        needs = files.needs(registry, material, files.Places(seen_at=INSIDE))
        limits = registry.limits
        path = f"{needs.home}/compose.yaml"
        run = ComposeRun(
            path,
            _definition(registry, needs),
            {"max-size": limits.log_size, "max-file": str(limits.log_files)},
        )
        made = files.service(fleet, registry, instance, needs, run, image=image)
        return (_made(made),)


def _made(service: Service) -> Service:
    """The service with its compose file, and what belongs to that."""
    other = service.without_ipv6 and _made(service.without_ipv6)
    files = (*service.files, compose.environment_file(service))
    path = compose.path_of(service)
    return compose.written(replace(service, made_from=path, files=files, without_ipv6=other))


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
    limits = registry.limits
    log_options = {"max-size": limits.log_size, "max-file": str(limits.log_files)}
    common: dict[str, Json] = {
        "restart": "always",
        "network_mode": "host",
        **CONFINED,
        "pids_limit": limits.pids,
    }
    program: dict[str, Json] = {**common, "entrypoint": ["registry"]}
    environment: dict[str, Json] = {"OTEL_TRACES_EXPORTER": "none"}
    configured = f"{made.needs.home}:{INSIDE}:ro"
    memory: dict[str, Json] = {"mem_limit": limits.memory} if limits.memory else {}
    runs = _command(made.needs)
    own: dict[str, Json] = {
        **common,
        "entrypoint": runs["entrypoint"],
        "volumes": [configured, *_stored(registry)],
        "environment": {**environment, **dict(made.needs.environment)},
        "command": runs["command"],
        **_temporary(registry),
        **memory,
    }
    users: dict[str, Json] = {
        **program,
        "volumes": [configured],
        "environment": {**environment, **dict([CHECKER_THREADS])},
        "command": ["serve", f"{INSIDE}/{configuration.USERS}"],
        "tmpfs": ["/tmp", configuration.STORAGE],  # noqa: S108 - in the container
    }
    front: dict[str, Json] = {
        **common,
        "volumes": [f"{made.front.home}:{INSIDE}:ro"],
        "entrypoint": ["nginx"],
        "command": ["-e", "stderr", "-c", f"{INSIDE}/nginx.conf"],
        "cap_add": list(gateway_rights(instance)),
        "stop_signal": "QUIT",
        "stop_grace_period": f"{GATEWAY_STOPS}s",
    }
    home = made.needs.home
    users_home = f"{home}.{fronted.USERS}"
    every = fronted.Runs(
        users=ComposeRun(f"{users_home}/compose.yaml", users, log_options, fronted.USERS),
        registry=ComposeRun(f"{home}/compose.yaml", own, log_options),
        gateway=ComposeRun(f"{made.front.home}/compose.yaml", front, log_options, fronted.GATEWAY),
        image=image,
        gateway_image=gateway,
    )
    directory = Directory(users_home, 0o700, f"registry.{registry.name}.gateway", own=True)
    return tuple(
        _made(replace(each, directories=(*each.directories, directory)))
        if each.run is every.users
        else _made(each)
        if isinstance(each.run, ComposeRun)
        else each
        for each in fronted.services(fleet, registry, instance, made, every)
    )


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
        **_command(needs),
        **CONFINED,
        **_temporary(registry),
        "pids_limit": limits.pids,
        **memory,
    }


def _command(needs: files.Needs) -> dict[str, Json]:
    """What the container runs."""
    command: list[Json] = list(files.with_variables(needs, "serve", f"{INSIDE}/config.yml"))
    entry = len(command) - 2
    return {"entrypoint": command[:entry], "command": command[entry:]}


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
