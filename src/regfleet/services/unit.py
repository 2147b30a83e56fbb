"""Services that the service manager runs: Podman's containers, packaged programs. Pure."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from shlex import quote

from regfleet.errors import HostError
from regfleet.fleet.clients import EngineName
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Change, InstallProgram, Step
from regfleet.model.resource import Resource
from regfleet.model.service import Image, Manager, Service, ServiceKind, UnitRun
from regfleet.services import unit_text
from regfleet.services.interface import Kind
from regfleet.services.stores import others_files

_MANAGERS: dict[str, Manager] = {"systemd": "systemd", "openrc": "openrc", "scripts": "sysv"}
_OTHERWISE = 'give it another runtime, such as "container" or "podman"'
LEAST_PORT = 1024  # below it a program needs the right to listen (capabilities(7))


@dataclass(frozen=True, slots=True)
class Units(Kind):
    """The kind `unit`; see `interface.Kind`."""

    name: ServiceKind = "unit"
    noun: str = "service"
    engine: EngineName | None = None  # its images are Podman's, where it has any
    images: str = "podman"
    shell: tuple[ServiceKind, ...] = ("unit",)

    def asked(self, service: Service) -> tuple[str, ...]:
        """Nothing: Docker does not know of it."""
        del service
        return ()

    def looks(self, service: Service) -> tuple[str, ...]:
        """One call, which asks the service manager only where a file of ours is."""
        return (f"look_unit {quote(service.name)}",)

    def paths(self, service: Service) -> tuple[str, ...]:
        """Its file, by every service manager, and the program."""
        run = _run(service)
        managers: tuple[Manager, ...] = ("systemd", "sysv")  # OpenRC's scripts lie where sysv's do
        files = (unit_text.path(service.name, run.unit, manager) for manager in managers)
        return (*files, *(_brought(run) if run.packages else ()))

    def fitted(self, service: Service, want: DesiredHost, seen: ObservedHost) -> Service:
        """For the host's service manager, its SELinux, and the control groups that it has."""
        run = _run(service)
        privileges = run.privileges
        if others_files(service.storage, want, seen):
            privileges = (*privileges, "DAC_OVERRIDE")
        podman = seen.others.get("podman")
        facts = podman.facts if podman else {}
        mounts = run.mounts
        if facts.get("selinux") == "enforcing":  # podman-run(1), --volume: a private label
            mounts = tuple((source, to, _joined(how, "Z")) for source, to, how in mounts)
        made = replace(
            run,
            manager=_MANAGERS[seen.init],
            privileges=privileges,
            mounts=mounts,
            own_group=facts.get("cgroups") != "disabled",
        )
        return replace(service, run=made)

    def altered(self, service: Service, seen: ObservedHost) -> str:
        """Whether the file that it is run from is not the one that we wrote."""
        run = _run(service)
        found = seen.paths.get(unit_text.path(service.name, run.unit, run.manager))
        text = unit_text.render(service, run).encode()
        if found and found.digest == hashlib.sha256(text).hexdigest():
            return ""
        return f"{unit_text.path(service.name, run.unit, run.manager)} was edited by hand"

    def needs(
        self, service: Service, want: DesiredHost, seen: ObservedHost
    ) -> tuple[Change, Step] | None:
        """The package of a program that is not there."""
        run = _run(service)
        lacking = [each for each in _brought(run) if each not in seen.paths]
        if not run.packages or not lacking:
            return None
        packages = run.packages.get(seen.packages)
        if packages is None:
            raise HostError(
                want.name,
                f"no package of {seen.os} {seen.os_version} is known to have {lacking[0]}",
                f"for {service.reason}: {run.otherwise or _OTHERWISE}; or install it by hand, "
                "then run this again",
            )
        change = Change(Resource("package", packages[0]), "create", f"{service.reason}.runtime")
        beside = bool(run.package_unit)
        return change, InstallProgram(
            seen.packages, packages, run.package_unit or run.unit, beside=beside
        )

    def calling(self, service: Service) -> tuple[str, ...]:
        """By Podman, in the container that runs, or the program itself."""
        if service.image:
            return ("podman", "--remote=false", "exec", service.name, "registry")
        return _run(service).command[:1]

    def words(self, service: Service) -> tuple[str, ...]:
        """Service manager, unit, file and what is in it, in base64."""
        run = _run(service)
        text = base64.b64encode(unit_text.render(service, run).encode()).decode()
        path = unit_text.path(service.name, run.unit, run.manager)
        return (run.manager, run.unit or service.name, path, text)


def for_podman(image: Image) -> Image:
    """The image, for Podman to have it."""
    return replace(image, engine="podman")


def _brought(run: UnitRun) -> tuple[str, ...]:
    """What its packages bring: the program, and what that loads."""
    return (*run.command[:1], *run.brought)


def _joined(options: str, more: str) -> str:
    return ",".join(filter(None, (options, more)))


def _run(service: Service) -> UnitRun:
    if not isinstance(service.run, UnitRun):
        raise TypeError(f"{service.name} is run as a {service.kind}")
    return service.run
