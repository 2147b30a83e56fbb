"""Whether dockerd can be started, and starts with its machine. Pure.

systemctl(1), `mask` and `is-enabled`; rc-update(8) of OpenRC; update-rc.d(8).
"""

from __future__ import annotations

from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import DOCKER_PLACE, ObservedHost
from regfleet.model.plan import ActivateDocker, StartEngine, Step

_ENABLE = {
    "systemd": "systemctl enable docker.service",
    "openrc": "rc-update add docker default",
    "scripts": "update-rc.d docker enable",
}
_OF_DOCKER = frozenset({"container", "compose"})
_SNAPS = "snap.docker.dockerd.service"  # snapd names the units of a snap's services so


def starts(step: Step) -> bool:
    """Whether a step starts dockerd, or may."""
    if isinstance(step, ActivateDocker):
        return step.how == "restart"
    return isinstance(step, StartEngine)


def _unit(seen: ObservedHost) -> str:
    return "docker.service" if seen.engine.place == DOCKER_PLACE else _SNAPS


def refuse(want: DesiredHost, seen: ObservedHost, *, starts: bool) -> None:
    """Refuse a plan that starts a masked dockerd.

    Raises:
        HostError: systemd would not start it.
    """
    if starts and seen.engine.boot == "masked":
        unit = _unit(seen)
        raise HostError(
            want.name,
            f"{unit} is masked: systemd will not start dockerd, which this plan needs",
            f"run `systemctl unmask {unit}` there, then run this again; or leave the host out of "
            "the fleet file",
        )


def notes(want: DesiredHost, seen: ObservedHost) -> tuple[str, ...]:
    """What an operator should know of the host's next boot, with the command that mends it."""
    trouble = not_at_boot(want, seen)
    return (f"{trouble[0]}; to change that, run there: {trouble[1]}",) if trouble else ()


def not_at_boot(want: DesiredHost, seen: ObservedHost) -> tuple[str, str] | None:
    """Why dockerd does not run after the next boot, and the command for it; None where it does.

    One that its socket starts is enough for a client: the first `docker` command starts it. A
    registry's container waits for such a command.
    """
    if want.engine is None or seen.engine.state == "missing":
        return None
    unit = _unit(seen)
    enable = "snap start --enable docker" if unit == _SNAPS else _ENABLE[seen.init]
    if seen.engine.boot == "masked":
        mend = f"systemctl unmask {unit} && {enable}"
        return f"{unit} is masked: dockerd does not start again", mend
    if seen.engine.boot == "disabled":
        return "dockerd is disabled: it does not start when the machine boots", enable
    if seen.engine.boot == "socket" and any(each.kind in _OF_DOCKER for each in want.services):
        found = "docker.service is disabled and waits for its socket: the registry does not start"
        return f"{found} when the machine boots", enable
    return None
