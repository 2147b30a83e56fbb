"""What a host does by itself at times: the files that start it, and its timers. Pure."""

from __future__ import annotations

from dataclasses import replace

from regfleet import timers
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Change, PutFile, RemovePath, SettleTimers
from regfleet.model.resource import Resource
from regfleet.plan.part import PlanPart


def with_timers(want: DesiredHost, seen: ObservedHost) -> DesiredHost:
    """The desired host with the files that start what it does by itself.

    Raises:
        HostError: the host has no Python, or nothing that starts programs at a time.
    """
    files = (file for each in want.timers for file in timers.fitted(each, want.name, seen))
    return replace(want, files=(*want.files, *files))


def timers_to_settle(
    want: DesiredHost, seen: ObservedHost, files: PlanPart, removed: PlanPart
) -> PlanPart:
    """Timers to start, start anew, or stop.

    Args:
        files, removed: the files that are written and removed.
    """
    part = PlanPart()
    written = [step.file.path for step in files.steps if isinstance(step, PutFile)]
    written += [step.path for step in removed.steps if isinstance(step, RemovePath)]
    names = [name for path in written if (name := timers.name_of(path))]
    for each in want.timers:
        if not each.schedule.every or seen.init != "systemd" or each.name in names:
            continue
        found = seen.timers.get(each.name)
        if timers.service_path(each) in written:
            names.append(each.name)
        elif found is None or found.state != "active":
            part.changes.append(Change(Resource("timer", each.name), "run", "it does not run"))
            names.append(each.name)
    if names:
        part.steps.append(SettleTimers(tuple(dict.fromkeys(names))))
    return part
