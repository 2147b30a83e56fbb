"""Services that Compose makes from a file, and that Docker runs as containers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from shlex import quote
from typing import cast

from regfleet.documents import yaml_block
from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName
from regfleet.fleet.values import Json
from regfleet.model.desired import DesiredHost
from regfleet.model.files import File
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import InstallEngine
from regfleet.model.service import ComposeRun, Service, ServiceKind
from regfleet.services.container import (
    labels,
    listing,
    logs_grow,
    refuse_registry,
    remapped,
    rights,
    with_label,
)
from regfleet.services.interface import Kind

WORD = "compose"  # what the look calls the program
# By package manager; of several the first that the host's sources have: docker.com's, Ubuntu's,
# Debian's.
PACKAGES: Mapping[str, str] = {
    "apt-get": "docker-compose-plugin|docker-compose-v2|docker-compose",
    "apk": "docker-cli-compose",
    "dnf": "docker-compose",
    "pacman": "docker-compose",
    "zypper": "docker-compose",
}
_HEAD = """\
# The {called} {registry} of the fleet {fleet}, written by regfleet: `regfleet apply` puts back what
# is changed here. It is a compose file like any other, and can be used without regfleet, too:
#
#     docker compose -f {path} up -d
#
# or docker-compose; ps, logs, restart and down likewise. The project is called {name}, by the
# file .env beside this one.
"""
_CALLED = {"users": "password check of the registry", "gateway": "gateway of the registry"}
_COMMENTS = {
    "network_mode": "Docker's own bridge: no network of its own has to be made for one container.",
    "volumes": "Its configuration, certificate and users; and its images.",
    "environment": "Registry 3.0.0 sends traces to localhost unless told otherwise.",
    "cap_drop": "What a registry does without.",
    "labels": "By these regfleet knows it.",
}


@dataclass(frozen=True, slots=True)
class Compose(Kind):
    """The kind `compose`; see `interface.Kind`."""

    name: ServiceKind = "compose"
    noun: str = "container"
    engine: EngineName = "docker"
    images: str = "docker"
    shell: tuple[ServiceKind, ...] = ("container", "compose")

    def asked(self, service: Service) -> tuple[str, ...]:
        """As for a container, which it is; Compose labels it (see `look.parse`)."""
        return (listing(service),)

    def looks(self, service: Service) -> tuple[str, ...]:
        """Whether Compose is there; and the container, where the API does not answer."""
        return (f"look_compose {quote(service.name)}",)

    def missing(self, want: DesiredHost, seen: ObservedHost) -> InstallEngine | None:
        """The distribution's Compose, where the host has none."""
        if WORD in seen.others:
            return None
        package = PACKAGES.get(seen.packages)
        if want.install and package:
            return InstallEngine(seen.packages, (package,), WORD)
        raise HostError(
            want.name,
            "there is neither `docker compose` nor `docker-compose`"
            + ("" if package else f", and no package of it is known ({seen.os} {seen.os_version})"),
            'install Docker Compose there, or declare `runtime = "container"`',
        )

    def fitted(self, service: Service, want: DesiredHost, seen: ObservedHost) -> Service:
        """With rights that its storage needs, and log rotation, as for a container."""
        run = _run(service)
        refuse_registry(want, seen)
        definition = dict(run.definition)
        if isinstance(volumes := definition.get("volumes"), list):
            definition["volumes"] = [
                with_label(each, seen) if isinstance(each, str) else each for each in volumes
            ]
        if remapped(want, seen):
            definition["userns_mode"] = "host"
        if needed := rights(service.storage, want, seen):
            definition["cap_add"] = [*cast("list[Json]", definition.get("cap_add", [])), *needed]
        if logs_grow(want, seen):
            definition["logging"] = {"options": dict(run.log_options)}
        return written(replace(service, run=replace(run, definition=definition)))

    def calling(self, service: Service) -> tuple[str, ...]:
        """By Docker, in the container that runs."""
        return ("docker", "exec", service.name, "registry")

    def words(self, service: Service) -> tuple[str, ...]:
        """The compose file, and the image that it names."""
        return (_run(service).path, service.image.reference if service.image else "")


def written(service: Service) -> Service:
    """The service with its compose file among its files, as it is run now."""
    run = _run(service)
    others = tuple(file for file in service.files if file.path != run.path)
    text = render(service).encode()
    return replace(service, files=(*others, File(run.path, text, 0o600, service.reason)))


def render(service: Service) -> str:
    """The compose file.

    It is read by docker-compose 1.29, which knows no `name`, and by Compose 2, which complains of
    a `version`.
    """
    run = _run(service)
    image: dict[str, Json] = {"image": service.image.reference} if service.image else {}
    definition = {**image, "container_name": service.name, **run.definition}
    definition["labels"] = dict(labels(service))
    head = _HEAD.format(
        called=_CALLED.get(run.called, "registry"),
        registry=service.registry,
        fleet=service.fleet,
        path=run.path,
        name=project(service.name),
    )
    document: dict[str, Json] = {"services": {run.called: definition}}
    comments = dict(_COMMENTS)
    if definition.get("network_mode") == "host":
        comments["network_mode"] = "The host's own: what stands behind a gateway is found there."
    if run.called in _CALLED:
        comments["volumes"] = "Its configuration."
    return head + yaml_block.render(cast("dict[str, Json]", _literal(document)), comments)


def project(name: str) -> str:
    """The Compose project of a service: its name, in which Compose takes no dot.

    Of one beside a registry it begins as no registry's does, whatever registries are called.
    """
    own, dot, beside = name.partition(".")
    return f"regfleet_{own.removeprefix('regfleet-')}_{beside}" if dot else name


def path_of(service: Service) -> str:
    """The path of its compose file."""
    return _run(service).path


def environment_file(service: Service) -> File:
    """The file .env beside the compose file, from which every Compose takes the project's name."""
    path = f"{_run(service).path.rpartition('/')[0]}/.env"
    text = f"# Read by Compose with compose.yaml.\nCOMPOSE_PROJECT_NAME={project(service.name)}\n"
    return File(path, text.encode(), 0o600, service.reason)


def _literal(value: Json) -> Json:
    """A value in which Compose finds no variable: `$` begins one, `$$` is a `$`."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [_literal(each) for each in value]
    if isinstance(value, dict):
        return {key: _literal(each) for key, each in value.items()}
    return value


def _run(service: Service) -> ComposeRun:
    if not isinstance(service.run, ComposeRun):
        raise TypeError(f"{service.name} is a {service.kind}")
    return service.run
