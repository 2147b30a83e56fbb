"""A registry as a container: configuration in a directory of its own, data in the storage."""

from __future__ import annotations

from dataclasses import dataclass, replace

from regfleet.fleet.clients import EngineName
from regfleet.fleet.registries import Instance, Registry
from regfleet.materials import RegistryMaterial
from regfleet.model.service import ContainerRun, Image, Service, at
from regfleet.runtimes import configuration, files, fronted
from regfleet.services.unit import LEAST_PORT

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

# v3.0.0 sends traces to localhost unless told otherwise (distribution#4596).
NO_TRACES = ("--env=OTEL_TRACES_EXPORTER=none",)
PROGRAM = (*NO_TRACES, "--entrypoint=registry")
# The process that checks passwords, for a gateway: bcrypt for whoever guesses passwords is not to
# take more than one processor.
CHECKER_THREADS = ("GOMAXPROCS", "1")
CHECKER = (
    # Or the engine makes a volume of what the image declares as one, for nothing.
    f"--tmpfs={configuration.STORAGE}",
    f"--env={'='.join(CHECKER_THREADS)}",
)
GATEWAY_STOPS = 3  # seconds


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
        *,
        gateway: Image | None = None,
    ) -> tuple[Service, ...]:
        """One container of Docker's; three in the host's network where there is a gateway."""
        if gateway:
            return _behind_gateway(
                fleet, registry, instance, material, image=image, gateway=gateway
            )
        return (_service(fleet, registry, instance, material, image),)


def _service(
    fleet: str, registry: Registry, instance: Instance, material: RegistryMaterial, image: Image
) -> Service:
    """The container of one registry, with its directories and files.

    The directory is mounted, not the files: a file that is renamed into place would stay unseen
    behind a file's mount.
    """
    needs = files.needs(registry, material, files.Places(seen_at=INSIDE))
    entry, *command = files.with_variables(needs, "serve", f"{INSIDE}/config.yml")
    limits = registry.limits
    mounted = (
        f"--publish={published(registry)}:{configuration.LISTEN}",
        f"--volume={needs.home}:{INSIDE}:ro",
        *_stored(registry),
        *NO_TRACES,
        *(f"--env={name}={value}" for name, value in needs.environment),
        # Both official images have the program on their PATH; their entrypoints differ.
        f"--entrypoint={entry}",
    )
    memory = (f"--memory={limits.memory}",) if limits.memory else ()
    run = ContainerRun(
        arguments=(*mounted, *CONFINED, f"--pids-limit={limits.pids}", *memory),
        command=tuple(command),
        log_options=(
            f"--log-opt=max-size={limits.log_size}",
            f"--log-opt=max-file={limits.log_files}",
        ),
    )
    made = files.service(fleet, registry, instance, needs, run, image=image)
    before = replace(made, run=replace(run, arguments=mounted), inputs=needs.formerly_read)
    return replace(made, formerly={before.specification: CONFINED_NOW})


def _behind_gateway(
    fleet: str,
    registry: Registry,
    instance: Instance,
    material: RegistryMaterial,
    *,
    image: Image,
    gateway: Image,
) -> tuple[Service, ...]:
    made = fronted.fronted(
        registry,
        instance,
        material,
        fronted.Seen(registry=INSIDE, gateway=INSIDE, storage=configuration.STORAGE),
    )
    limits = registry.limits
    memory = (f"--memory={limits.memory}",) if limits.memory else ()
    log_options = (
        f"--log-opt=max-size={limits.log_size}",
        f"--log-opt=max-file={limits.log_files}",
    )
    confined = ("--network=host", *CONFINED, f"--pids-limit={limits.pids}")
    configured = f"--volume={made.needs.home}:{INSIDE}:ro"
    entry, *command = files.with_variables(made.needs, "serve", f"{INSIDE}/config.yml")
    own = ContainerRun(
        arguments=(
            configured,
            *_stored(registry),
            *(f"--env={name}={value}" for name, value in made.needs.environment),
            *NO_TRACES,
            f"--entrypoint={entry}",
            *confined,
            *memory,
        ),
        command=tuple(command),
        log_options=log_options,
    )
    users = ContainerRun(
        arguments=(
            configured,
            *CHECKER,
            *PROGRAM,
            *confined,
        ),
        command=("serve", f"{INSIDE}/{configuration.USERS}"),
        log_options=log_options,
    )
    front = ContainerRun(
        arguments=(
            f"--volume={made.front.home}:{INSIDE}:ro",
            "--entrypoint=nginx",
            *confined,
            *(f"--cap-add={each}" for each in gateway_rights(instance)),
            # It ends what it is at, for so long.
            "--stop-signal=QUIT",
            f"--stop-timeout={GATEWAY_STOPS}",
        ),
        command=("-e", "stderr", "-c", f"{INSIDE}/nginx.conf"),
        log_options=log_options,
    )
    runs = fronted.Runs(own, users, front, image, gateway)
    return fronted.services(fleet, registry, instance, made, runs)


def _stored(registry: Registry) -> tuple[str, ...]:
    """The mount of its storage.

    Where a bucket keeps its images nothing is written there; but the official image declares a
    volume, which Docker would make.
    """
    if not registry.storage:
        return (f"--tmpfs={configuration.STORAGE}",)
    if registry.shared:
        # `--mount` makes no directory: while its file system is not mounted, this one is not there.
        inside, outside = files.below(configuration.STORAGE), files.below(registry.storage)
        return (
            f"--tmpfs={configuration.STORAGE}",
            f"--mount=type=bind,source={outside},target={inside}",
        )
    return (f"--volume={registry.storage}:{configuration.STORAGE}",)


def gateway_rights(instance: Instance) -> tuple[str, ...]:
    """Capabilities that nginx keeps: it gives its workers another user, and them directories."""
    system = instance.port < LEAST_PORT
    return ("CHOWN", "SETGID", "SETUID", *(("NET_BIND_SERVICE",) if system else ()))


def published(registry: Registry) -> str:
    """Where it is published, as `docker run` reads it: all addresses where none is named."""
    if registry.listen is None:
        return str(registry.port)
    return at(*registry.listen)
