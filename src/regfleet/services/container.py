"""Services that Docker runs as containers and restarts. Pure."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from shlex import quote

from regfleet.documents import json_document
from regfleet.documents.interface import NotReadableError, parts
from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import DOCKER_PLACE, ObservedHost
from regfleet.model.service import ContainerRun, Service, ServiceKind
from regfleet.record import DAEMON_JSON
from regfleet.services.interface import Kind
from regfleet.services.stores import others_files

# The path of Docker's API that lists containers (moby, api/swagger.yaml, ContainerList).
API_CONTAINERS = "/containers/json"
# What comes before and after an image's name in the path that tells of it (the same, ImageInspect).
API_IMAGES, API_IMAGE = "/images/", "/json"
_IN_FILES = frozenset({"json-file", "local"})  # logging drivers that know max-size and max-file
_DEFAULT_DRIVER = "json-file"


@dataclass(frozen=True, slots=True)
class Containers(Kind):
    """The kind `container`; see `interface.Kind`."""

    name: ServiceKind = "container"
    noun: str = "container"
    engine: EngineName = "docker"
    images: str = "docker"
    shell: tuple[ServiceKind, ...] = ("container",)

    def asked(self, service: Service) -> tuple[str, ...]:
        """Docker's list of containers that have this in their names."""
        return (listing(service),)

    def looks(self, service: Service) -> tuple[str, ...]:
        """For where the API does not answer: Docker's client is asked."""
        return (f"look_container {quote(service.name)}",)

    def fitted(self, service: Service, want: DesiredHost, seen: ObservedHost) -> Service:
        """A container as this host has to run it: with rights that are needed, and log rotation."""
        run = _run(service)
        refuse_registry(want, seen)
        more = tuple(f"--cap-add={each}" for each in rights(service.storage, want, seen))
        if remapped(want, seen):
            more = (*more, "--userns=host")
        if logs_grow(want, seen):
            more = (*more, *run.log_options)
        arguments = tuple(with_label(each, seen, "--volume=") for each in run.arguments)
        return replace(service, run=replace(run, arguments=(*arguments, *more)))

    def calling(self, service: Service) -> tuple[str, ...]:
        """By Docker, in the container that runs."""
        return ("docker", "exec", service.name, "registry")

    def words(self, service: Service) -> tuple[str, ...]:
        """What `docker run` gets behind the name."""
        run = _run(service)
        return (
            "--restart=always",
            *(f"--label={key}={value}" for key, value in labels(service).items()),
            *run.arguments,
            *((service.image.reference,) if service.image else ()),
            *run.command,
        )


def listing(service: Service) -> str:
    """A path of Docker's API: its containers that have the service in their names."""
    filters = json.dumps({"name": [service.name]}, separators=(",", ":"))
    return f"{API_CONTAINERS}?all=1&filters={urllib.parse.quote(filters, safe='')}"


def labels(service: Service) -> dict[str, str]:
    """What is kept with a container, to know it by."""
    return {
        "regfleet.fleet": service.fleet,
        "regfleet.registry": service.registry,
        "regfleet.specification": service.specification,
    }


def rights(storage: str, want: DesiredHost, seen: ObservedHost) -> tuple[str, ...]:
    """Capabilities that a container needs for its storage.

    Root without capabilities writes only where root may by its permissions: a store of another
    user's files needs the right to override them.
    """
    return ("DAC_OVERRIDE",) if others_files(storage, want, seen) else ()


def refuse_registry(want: DesiredHost, seen: ObservedHost) -> None:
    """Refuse a registry in a container of an engine that cannot see its storage.

    Raises:
        HostError: Docker is a snap, which has a file system of its own beside /home.
    """
    if seen.engine.place != DOCKER_PLACE:
        raise HostError(
            want.name,
            "Docker is a snap there: its containers cannot use the registry's storage",
            "declare a `runtime` without containers of Docker's for this registry, or use the "
            "distribution's Docker",
        )


def remapped(want: DesiredHost, seen: ObservedHost) -> bool:
    """Whether containers get a user namespace, whose root may not write to the host's storage.

    dockerd(8), `--userns-remap`; docker-run(1), `--userns=host` turns it off for one container.
    """
    given = any(flag.startswith("--userns-remap=") for flag in seen.engine.flags)
    written = any(source.get("userns-remap") for source in (_wanted(want), _written(seen)))
    return seen.engine.remapped or given or written


def with_label(volume: str, seen: ObservedHost, prefix: str = "") -> str:
    """A volume's argument as SELinux needs it: `z` has Docker label what it mounts.

    docker-run(1), `--volume`: `z` is for several containers, so that one of before, which a
    rollback brings back, may read it, too. Others arguments stay as they are.
    """
    if not seen.engine.labelled or not volume.startswith(prefix):
        return volume
    return f"{volume},z" if volume.endswith(":ro") else f"{volume}:z"


def logs_grow(want: DesiredHost, seen: ObservedHost) -> bool:
    """Whether the engine writes log files, and daemon.json does not say how they are rotated."""
    return not _says_size(want, seen) and _driver(want, seen) in _IN_FILES


def _run(service: Service) -> ContainerRun:
    if not isinstance(service.run, ContainerRun):
        raise TypeError(f"{service.name} is a {service.kind}")
    return service.run


def _driver(want: DesiredHost, seen: ObservedHost) -> str:
    """The logging driver that containers get: the one declared, the live one, the one written."""
    for source in (_wanted(want), seen.engine.values, _written(seen)):
        if "log-driver" in source:
            return str(source["log-driver"])
    return _DEFAULT_DRIVER


def _says_size(want: DesiredHost, seen: ObservedHost) -> bool:
    for source in (_wanted(want), _written(seen)):
        options = source.get("log-opts")
        if isinstance(options, dict) and "max-size" in options:
            return True
    return any("max-size=" in flag for flag in seen.engine.flags)


def _wanted(want: DesiredHost) -> dict[str, Json]:
    settings = want.edits.get(DAEMON_JSON)
    return {parts(key)[0]: value for key, value in settings.values.items()} if settings else {}


def _written(seen: ObservedHost) -> Mapping[str, Json]:
    try:
        return json_document.parse(seen.daemon_json).tree()
    except NotReadableError:  # said by whoever plans daemon.json
        return {}
