"""Whether an engine that systemd runs can be started, and starts with its machine. Pure.

systemctl(1), `mask` and `is-enabled`. Docker is in `docker_boot`: distributions start it in more
ways. Podman has no service: regfleet asks the program itself, and not podman.socket.
"""

from __future__ import annotations

from dataclasses import replace

from regfleet.engines.interface import EnginePlan
from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import OtherEngine
from regfleet.model.plan import ActivateUnit


def checked(
    plan: EnginePlan, want: DesiredHost, found: OtherEngine | None, unit: str
) -> EnginePlan:
    """An engine's plan, with a note where its service does not start with the machine.

    Args:
        found: the engine, of which the look says in the fact `boot` how it starts.
        unit: its service, without `.service`.

    Raises:
        HostError: the plan starts a service that is masked.
    """
    how = found.facts.get("boot", "") if found else ""
    if how == "masked":
        _refuse(plan, want, unit)
        trouble = f"{unit}.service is masked: it does not start again"
        mend = f"systemctl unmask {unit} && systemctl enable {unit}"
    elif how == "disabled":
        trouble = f"{unit}.service is disabled: it does not start when the machine boots"
        mend = f"systemctl enable {unit}"
    else:
        return plan
    return replace(plan, notes=(*plan.notes, f"{trouble}; to change that, run there: {mend}"))


def _refuse(plan: EnginePlan, want: DesiredHost, unit: str) -> None:
    for step in plan.configure:
        if isinstance(step, ActivateUnit) and step.unit == unit and step.how != "reload":
            raise HostError(
                want.name,
                f"{unit}.service is masked: systemd will not start it, which this plan needs",
                f"run `systemctl unmask {unit}` there, then run this again; or leave the host "
                "out of the fleet file",
            )
