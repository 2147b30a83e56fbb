"""Installing an engine where it is missing: the same question for each of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regfleet.desired.model import DesiredHost
from regfleet.errors import HostError
from regfleet.look.observed import ObservedHost
from regfleet.plan.model import Change, InstallEngine

Packages = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Program:
    """What an engine is called, and what brings it.

    Attributes:
        word: its shell word.
        title: for people: `Docker`.
        command: what is looked for: `dockerd`.
        packages: by package manager; one with `?` is taken where the suite has it.
    """

    word: str
    title: str
    command: str
    packages: Packages


def install(program: Program, want: DesiredHost, seen: ObservedHost) -> InstallEngine:
    """The step that installs an engine that a host lacks.

    Raises:
        HostError: it may not be installed, or nobody knows how.
    """
    if not want.install:
        raise HostError(
            want.name,
            f"there is no {program.title} engine (no {program.command})",
            "install one, or set `install = true` for this client",
        )
    packages = program.packages.get(seen.packages)
    if packages is None:
        raise HostError(
            want.name,
            f"there is no {program.title} engine, and no package manager that is known to have "
            f"it ({seen.os} {seen.os_version})",
            f"install {program.title} by hand; then run this again",
        )
    return InstallEngine(seen.packages, packages, program.word)


def change(step: InstallEngine) -> Change:
    """That step as a line of the plan."""
    return Change(f"package {step.packages[0]}", "create", "the engine is missing")


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
