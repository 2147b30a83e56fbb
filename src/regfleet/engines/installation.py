"""Installing an engine where it is missing: the same question for each of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regfleet.engines import docker_elsewhere
from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Change, InstallEngine
from regfleet.model.resource import Resource

Packages = Mapping[str, tuple[str, ...]]

# ID of os-release(5) of Red Hat Enterprise Linux and of what is built from its sources; since
# version 8 none of them has a package of Docker or containerd. Docker's own repository for CentOS
# serves them all (docs.docker.com, Install Docker Engine on CentOS; docker/docs#15822 for RHEL 8).
RED_HAT = frozenset({"almalinux", "centos", "circle", "cloudlinux", "ol", "rhel", "rocky"})
VENDOR = "docker-ce"
READ_ONLY = "read-only"  # in the place of a package manager
_REPOSITORY_FILE = "/etc/yum.repos.d/docker-ce.repo"
_REPOSITORY = """\
# Written by regfleet, for install = "docker-ce".
[docker-ce-stable]
name=Docker CE Stable
baseurl=https://download.docker.com/linux/{serves}/$releasever/$basearch/stable
enabled=1
gpgcheck=1
gpgkey=https://download.docker.com/linux/{serves}/gpg
"""


@dataclass(frozen=True, slots=True)
class Program:
    """What an engine is called, and what brings it.

    Attributes:
        word: its shell word.
        title: for people: `Docker`.
        command: what is looked for: `dockerd`.
        packages: by package manager; one with `?` is taken where the suite has it.
        of: by distribution (ID of os-release), where that has others than its package manager
            tells; none where it has none.
        vendor: the packages of Docker's own repository; none where it has none.
    """

    word: str
    title: str
    command: str
    packages: Packages
    of: Packages = field(default_factory=dict)
    vendor: tuple[str, ...] = ()


def install(program: Program, want: DesiredHost, seen: ObservedHost) -> InstallEngine:
    """The step that installs an engine that a host lacks.

    Raises:
        HostError: it may not be installed, or nobody knows how.
    """
    if program.word == "docker" and seen.engine.instead:
        raise docker_elsewhere.refused(want, seen.engine.instead)
    if found := _elsewhere(program, seen):
        raise HostError(
            want.name,
            f"{program.title} is there as {found}, in none of the directories that are searched "
            "for programs",
            "link its programs into /usr/local/bin, then run this again",
        )
    if not want.install:
        raise HostError(
            want.name,
            f"there is no {program.title} engine (no {program.command})",
            "install one, or set `install = true` for this client",
        )
    if seen.packages == READ_ONLY:
        raise HostError(
            want.name,
            f"there is no {program.title} engine, and /usr is read-only there ({seen.os} "
            f"{seen.os_version}): its packages come with an image or a layer of the system",
            f"add {program.title} to that by hand (`rpm-ostree install`, `transactional-update pkg "
            "install`, or the image itself), restart the host, then run this again; for a client "
            'or a registry, Podman is there on most (`engine = "podman"`, `runtime = "podman"`)',
        )
    if want.vendor:
        return _of_vendor(program, want, seen)
    packages = program.packages.get(seen.packages)
    if packages and not (seen.os in RED_HAT and seen.packages == "yum"):  # version 7 has them
        packages = program.of.get(seen.os, packages)
    if packages == ():
        raise HostError(
            want.name,
            f"there is no {program.title} engine, and {seen.os} {seen.os_version} has no package "
            "of it",
            f'declare `engine = "podman"` (for a registry: `runtime = "podman"`), which it has; or '
            f'`install = "{VENDOR}"`, which takes it from Docker\'s own repository; or install it '
            "by hand",
        )
    if packages is None:
        raise HostError(
            want.name,
            f"there is no {program.title} engine, and no package manager that is known to have "
            f"it ({seen.os} {seen.os_version})",
            f"install {program.title} by hand; then run this again",
        )
    return InstallEngine(seen.packages, packages, program.word)


def _of_vendor(program: Program, want: DesiredHost, seen: ObservedHost) -> InstallEngine:
    """The step that installs it from Docker's repository.

    Raises:
        HostError: the repository does not serve the host, or not with this.
    """
    serves = "centos" if seen.os in RED_HAT else "fedora" if seen.os == "fedora" else ""
    if not (serves and program.vendor and seen.packages in ("dnf", "yum")):
        raise HostError(
            want.name,
            f'`install = "{VENDOR}"` is for Docker and containerd on Fedora and Red Hat\'s family, '
            f"not for {program.title} on {seen.os} {seen.os_version}",
            "set `install = true` for the distribution's package, or install it by hand",
        )
    text = _REPOSITORY.format(serves=serves)
    return InstallEngine(seen.packages, program.vendor, program.word, (_REPOSITORY_FILE, text))


def _elsewhere(program: Program, seen: ObservedHost) -> str:
    other = seen.others.get(program.word)
    return other.facts.get("elsewhere", "") if other else ""


def change(step: InstallEngine) -> Change:
    """That step as a line of the plan."""
    return Change(Resource("package", step.packages[0]), "create", "the engine is missing")


def too_old(
    program: Program, want: DesiredHost, found: str, version: tuple[int, ...], oldest: str
) -> None:
    """Refuse an engine of before `oldest`; one that does not say its version is let through.

    Raises:
        HostError: it is too old.
    """
    least = tuple(int(part) for part in oldest.split("."))
    if version and version < least:
        raise HostError(
            want.name,
            f"{program.title} {found} is too old: {oldest} or later is needed",
            "upgrade it (the distribution's next release has a newer one), or leave the host out",
        )
