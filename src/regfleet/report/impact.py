"""The impact of one change, in words; and its diff without passwords. Pure."""

from __future__ import annotations

import re
from typing import get_args

from regfleet.model.names import counted
from regfleet.model.plan import Change, Drain, Plan, ReloadService, RunService
from regfleet.model.resource import Resource
from regfleet.model.service import Service, ServiceKind

SERVICES = frozenset(get_args(ServiceKind))  # kinds of resources
# Seconds that a registry is away while its runtime changes, rounded up: tests/fleet/test_compose.py
# and test_runtimes.py measure it on hosts.
AWAY = 3
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*(?=@)")  # RFC 3986, 3.2.1: userinfo


def disturbed(plan: Plan, change: Change) -> str | None:
    """The impact of a change on its host; None if nothing stops or is removed.

    The engine is reloaded or restarted once for all changes that need it.
    """
    kind = change.resource.kind
    if change.activation == "restart":
        stopping = plan.containers_affected
        verb = "stops" if stopping == 1 else "stop"
        words = f"{counted(stopping, 'container')} {verb}" if stopping else "no container stops"
        return f"restart, {words}"
    if change.activation == "reload":
        return "reload, or a restart" if plan.may_restart else "reload, no container stops"
    if kind in SERVICES and change.resource in reloaded(plan):
        return "reload, no request is lost"
    if kind in SERVICES and change.action == "update":
        return replaced(plan, change)
    if kind in SERVICES and change.action == "delete":
        stays = change.resource.name.partition(".")[0] in {each.name for each in _run(plan)}
        return f"its registry is away for about {AWAY} s" if stays else "its registry is gone"
    return "its images are deleted" if kind == "data" else None


def replaced(plan: Plan, change: Change) -> str:
    """What clients see of a service that is replaced."""
    for step in plan.steps:
        if isinstance(step, Drain) and change.resource.name in step.service.depends:
            return f"{step.service.address} goes to another host first"
    return f"its registry is away {away(plan, change)}"


def away(plan: Plan, change: Change) -> str:
    """How long the registry of a service that is replaced answers nobody."""
    waited_for = {name for service in _run(plan) for name in service.depends}
    slow = {
        Resource(step.service.kind, step.service.name)
        for step in plan.steps
        if isinstance(step, RunService)
        # A unit is stopped before its successor starts, whether Podman or a package runs either.
        and (
            step.replaces != step.service.kind
            or step.service.kind == "unit"
            or step.service.name in waited_for
        )
    }
    return f"for about {AWAY} s" if change.resource in slow else "for a moment"


def _run(plan: Plan) -> list[Service]:
    return [step.service for step in plan.steps if isinstance(step, RunService)]


def reloaded(plan: Plan) -> set[Resource]:
    """The services that read their files again, and go on with what they are at."""
    reloads = (step.service for step in plan.steps if isinstance(step, ReloadService))
    return {Resource(service.kind, service.name) for service in reloads}


def inside(change: Change) -> str:
    """A change's diff without passwords in URLs; secret files have none."""
    return _PASSWORD.sub(r"\1:***", change.diff)
