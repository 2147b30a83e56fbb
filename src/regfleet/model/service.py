"""A service: a program that runs permanently on a host, how it is run, and its probe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from regfleet.fleet.engine_rules import default_engine
from regfleet.fleet.values import Json
from regfleet.model.files import Directory, File

ServiceKind = Literal["container", "compose", "unit"]
Manager = Literal["systemd", "openrc", "sysv"]


@dataclass(frozen=True, slots=True)
class Image:
    """An image that must be on the host: pulled or, when `archive` is given, loaded from it.

    Attributes:
        archive_digest: SHA-256 of the archive, hexadecimal; empty without an archive.
        engine: the shell word of the engine that must have the image.
    """

    reference: str
    archive: Path | None = None
    archive_digest: str = ""
    engine: str = field(default_factory=default_engine)


def at(address: str, port: int) -> str:
    """ADDRESS:PORT as in a URL, with brackets for IPv6; `address` has none."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class Probe:
    """The request by which a service's own host checks that the service answers.

    Attributes:
        kind: `http` and `https` request `path` and expect one of the status `codes`, without
            checking certificates; `tcp` expects that the service's address accepts connections.
    """

    kind: Literal["http", "https", "tcp"]
    path: str = "/"
    codes: tuple[int, ...] = (200,)

    @property
    def word(self) -> str:
        """The probe as the shell functions of services read it: `https:200,401:/v2/` or `tcp`."""
        if self.kind == "tcp":
            return "tcp"
        return f"{self.kind}:{','.join(map(str, self.codes))}:{self.path}"

    @property
    def question(self) -> str:
        """The path that is requested, for messages; empty for `tcp`."""
        return "" if self.kind == "tcp" else self.path


def registry_probe(*, tls: bool) -> Probe:
    """The probe of a registry: `/v2/` answers 200, or 401 when the registry has users.

    OCI distribution specification, "Determining Support".
    """
    return Probe("https" if tls else "http", "/v2/", (200, 401))


@dataclass(frozen=True, slots=True)
class ContainerRun:
    """A container that Docker runs and restarts.

    Attributes:
        arguments: `docker run` arguments between the name and the image, without labels.
        command: the arguments after the image.
        log_options: arguments that rotate log files, for engines that write log files.
    """

    kind: ClassVar[ServiceKind] = "container"

    arguments: tuple[str, ...]
    command: tuple[str, ...] = ()
    log_options: tuple[str, ...] = ()

    @property
    def specified(self) -> tuple[Sequence[str], ...]:
        """All settings that need a new container when they change."""
        return (self.arguments, self.command)


@dataclass(frozen=True, slots=True)
class ComposeRun:
    """A container that Docker runs and restarts, made from a compose file.

    Attributes:
        called: the service's name within the compose file.
        path: the path of the compose file on the host, one of the service's files.
        definition: the only service in the compose file, by the Compose specification, without
            labels; `$` is not doubled here.
        log_options: settings that rotate log files, for engines that write log files.
    """

    kind: ClassVar[ServiceKind] = "compose"

    path: str
    definition: Mapping[str, Json]
    log_options: Mapping[str, Json]
    called: str = "registry"

    @property
    def specified(self) -> tuple[Sequence[str], ...]:
        """All settings that need a new container when they change."""
        return ((self.kind, json.dumps(self.definition)),)


@dataclass(frozen=True, slots=True)
class UnitRun:
    """A Podman container, or a program, that the host's service manager runs and restarts.

    Attributes:
        command: the arguments after the image; without an image, the program and its arguments.
        arguments: `podman run` arguments between the name and the image, without mounts.
        mounts: directories of the host, each with its path in the container and its options.
        unit: the distribution's unit that runs the program; empty if regfleet writes the unit.
        packages: the packages with the program, by package manager.
        brought: what else these packages bring that it needs: paths.
        otherwise: what to do where no package is known; empty to take another runtime.
        package_unit: the packages' own unit, where it is not `unit`: it is left as it is.
        privileges: capabilities that it keeps (capabilities(7)), without `CAP_`.
        pids, memory: limits, as the fleet file has them; an empty `memory` is no limit.
        manager: the host's service manager.
        own_group: whether a container has a control group of its own.
        environment: variables of a program without an image; a container has them as arguments.
        variables: path of a file with more of them, which root alone reads; empty for none.
        temporary: a directory in /run for what a program need not keep; empty for none.
        titled: whether it is an nginx, which writes its arguments over its environment
            (os/unix/ngx_setproctitle.c): what it is known by is among them, too.
    """

    kind: ClassVar[ServiceKind] = "unit"

    command: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    mounts: tuple[tuple[str, str, str], ...] = ()
    unit: str = ""
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    brought: tuple[str, ...] = ()
    otherwise: str = ""
    package_unit: str = ""
    privileges: tuple[str, ...] = ()
    pids: int = 0
    memory: str = ""
    manager: Manager = "systemd"
    own_group: bool = True
    environment: tuple[tuple[str, str], ...] = ()
    variables: str = ""
    temporary: str = ""
    titled: bool = False

    @property
    def specified(self) -> tuple[Sequence[object], ...]:
        """All settings that need a restart when they change."""
        limits = (self.pids, self.memory, self.own_group)
        where = (self.manager, self.unit)
        more: tuple[Sequence[object], ...] = (self.environment,) if self.environment else ()
        more += ((self.variables,),) if self.variables else ()
        return (self.arguments, self.command, self.mounts, where, self.privileges, limits, *more)


Run: TypeAlias = ContainerRun | ComposeRun | UnitRun


@dataclass(frozen=True, slots=True)
class Service:
    """A program that runs permanently on a host, such as a registry.

    Attributes:
        name: unique on the host: `regfleet-main`.
        run: how it is run, which gives its kind (see `regfleet.services`).
        files, directories: the files and directories that it needs on the host.
        inputs: digests of the files that it reads only at start: a new digest means a restart.
        address, port: where its own host reaches it; IPv6 without brackets.
        everywhere: whether it listens on all addresses of the host.
        storage: directory on the host that holds its data.
        shared: whether that is on a file system that is mounted on other hosts, too.
        image: the image that it runs, for a container.
        made_from: path of the file among `files` from which its containers are made; the plan
            makes them again when somebody has edited that file. Empty for none.
        depends: names of services that must answer before it is started.
        drains: path of a file: while it says 1, another host is to have the address at which this
            service answers, before what it depends on is away; empty where none could.
        without_ipv6: the same for a host whose kernel has no IPv6; None where it makes no
            difference.
        reloads: paths of those among `files` that it reads again when it is told to.
        registry, fleet: the registry and the fleet that it belongs to.
        adopt: whether it takes over from a registry that regfleet did not make.
        formerly: specifications that earlier versions of regfleet gave to the same declaration,
            with what this version does otherwise, in words.
        inputs_before: the same by `inputs`, of versions that differ in their files alone.
    """

    name: str
    run: Run
    probe: Probe
    port: int
    registry: str
    fleet: str
    reason: str
    address: str = "127.0.0.1"
    everywhere: bool = False
    storage: str = ""
    shared: bool = False
    image: Image | None = None
    inputs: tuple[str, ...] = ()
    made_from: str = ""
    depends: tuple[str, ...] = ()
    reloads: tuple[str, ...] = ()
    drains: str = ""
    without_ipv6: Service | None = None
    files: tuple[File, ...] = ()
    directories: tuple[Directory, ...] = ()
    formerly: Mapping[str, str] = field(default_factory=dict, hash=False)
    inputs_before: Mapping[tuple[str, ...], str] = field(default_factory=dict, hash=False)
    adopt: bool = False

    @property
    def kind(self) -> ServiceKind:
        """The kind of the service."""
        return self.run.kind

    @property
    def where(self) -> str:
        """ADDRESS:PORT as in a URL."""
        return at(self.address, self.port)

    @property
    def specification(self) -> str:
        """A hash over all settings that need a restart when they change, kept with the service.

        For a container it is the same hash as in version 0.1, so that an upgrade restarts nothing.
        """
        reference = self.image.reference if self.image else ""
        parts = [self.name, reference, *self.run.specified, self.inputs]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32] + self.archive_mark

    @property
    def earlier(self) -> dict[str, str]:
        """What earlier versions ran for the same declaration: specifications, and what changed."""
        by_files = {
            replace(self, inputs=inputs).specification: words
            for inputs, words in self.inputs_before.items()
        }
        return {**self.formerly, **by_files}

    @property
    def archive_mark(self) -> str:
        """The end of the specification: it identifies the image's archive."""
        return f".{self.image.archive_digest[:16] if self.image else ''}"
