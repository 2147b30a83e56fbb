"""What installing packages would do on a host, by its package manager's own dry run. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from regfleet import shell
from regfleet.errors import HostError
from regfleet.model.plan import Change, InstallEngine, InstallProgram, Part, Plan
from regfleet.model.resource import Resource
from regfleet.shell import frame
from regfleet.touch.protocol import call

Installing: TypeAlias = InstallEngine | InstallProgram

_MOST = 500  # packages, and characters of a name and a version


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a dry run tells; nothing where the manager cannot tell without fetching its lists.

    Attributes:
        comes: `NAME VERSION` or `NAME` of what would be installed or upgraded.
        goes: names of what would be removed.
    """

    comes: tuple[str, ...] = ()
    goes: tuple[str, ...] = ()


def render(step: Installing, mark: str) -> str:
    """The program that asks for it; `mark` frames its answer."""
    functions = shell.program("regfleet.touch", "program/2-packages.sh")
    asked = call("say_packages", step.manager, *step.packages)
    return f"{functions}\n{frame.around(mark, f'{asked} </dev/null')}"


def parse(lines: Iterable[str], mark: str) -> Foreseen:
    """The answer; nothing if it did not come to its end."""
    answer = frame.framed(lines, mark)
    if not answer.ended:
        return Foreseen()
    comes = [line.removeprefix("@install ") for line in answer.lines if line.startswith("@install")]
    goes = [line.removeprefix("@remove ") for line in answer.lines if line.startswith("@remove ")]
    return Foreseen(*(tuple(each[:_MOST] for each in some[:_MOST]) for some in (comes, goes)))


def with_packages(plan: Plan, step: Installing, found: Foreseen) -> Plan:
    """The plan, with all packages that come with a step's.

    Raises:
        HostError: a package would be removed for them.
    """
    if found.goes:
        raise HostError(
            plan.host,
            f"installing {named(step)} would remove {', '.join(found.goes)}, and nothing is "
            "removed for what is installed",
            "remove that by hand if it may go, or set `install = false` and install the engine "
            "by hand; then run this again",
        )
    if not found.comes:
        return plan
    ours = Resource("package", named(step))
    parts = tuple(Part(Resource("package", each), "create") for each in found.comes)
    return replace(
        plan,
        changes=tuple(
            replace(each, parts=parts) if _is_of(each, ours) else each for each in plan.changes
        ),
    )


def named(step: Installing) -> str:
    """The package by which a plan calls a step: of several, the distribution's."""
    return step.packages[0].rpartition("|")[2]


def _is_of(change: Change, resource: Resource) -> bool:
    return change.resource == resource and change.action == "create"
