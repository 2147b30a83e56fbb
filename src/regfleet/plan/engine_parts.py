"""Combine the plans of a host's engines into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from regfleet.engines.interface import Engine, EnginePlan
from regfleet.errors import HostError
from regfleet.model.desired import DesiredHost
from regfleet.model.files import Directory, File
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import (
    ActivateDocker,
    ActivateOwn,
    EditFile,
    RemovePath,
    SettleDocker,
    StartEngine,
    Step,
)
from regfleet.record import Owned
from regfleet.runtimes.files import BASE as OF_REGISTRIES


def refuse_other_engine(want: DesiredHost, owned: Owned) -> None:
    """Refuse a host that the fleet set up for an engine which it no longer declares.

    A host on which the fleet owns no engine configuration, such as one that only runs registries,
    is not refused.

    Raises:
        HostError: the host was set up for another engine.
    """
    if owned.engine and owned.engine not in want.engines and _configured(owned):
        raise HostError(
            want.name,
            f"this fleet set the host up for the engine {owned.engine}, but the fleet file now "
            f"declares {want.engines[-1] if want.engines else 'none'}",
            f'declare `engine = "{owned.engine}"` again, `regfleet destroy FILE --limit '
            f"{want.name}`, then declare the new engine and apply",
        )


def _configured(owned: Owned) -> bool:
    """Whether something of an engine's configuration is ours: other files are registries' own."""
    files = any(not path.startswith(f"{OF_REGISTRIES}/") for path in owned.files)
    return bool(any(owned.edits.values()) or owned.logins or files)


def engine_parts(
    want: DesiredHost,
    seen: ObservedHost,
    owned: Owned,
    others: tuple[Owned, ...],
    engines: Sequence[Engine],
) -> EnginePlan:
    """One plan for all engines of the host. At most one of them is Docker."""
    whole = EnginePlan()
    for engine in engines:
        part = engine.plan(want, seen, owned, others)
        whole = replace(
            part,
            changes=(*whole.changes, *part.changes),
            places={**whole.places, **part.places},
            also=(*whole.also, *part.also),
            install=(*whole.install, *part.install),
            configure=(*whole.configure, *part.configure),
            edits={**whole.edits, **part.edits},
            apart=whole.apart or part.apart,
            notes=(*whole.notes, *part.notes),
            expected=(*whole.expected, *part.expected),
            may_restart=whole.may_restart or part.may_restart,
            new_store=whole.new_store or part.new_store,
        )
    return whole


def add_conditional(want: DesiredHost, part: EnginePlan) -> DesiredHost:
    """The desired host, with the conditional files and directories that the look found needed."""
    known = {directory.path for directory in want.directories}
    more = [
        item
        for item in dict.fromkeys(part.also)
        if isinstance(item, Directory) and item.path not in known
    ]
    files = [item for item in part.also if isinstance(item, File)]
    return replace(
        want, directories=(*want.directories, *more), files=(*want.files, *files), conditional=()
    )


def moved(want: DesiredHost, places: Mapping[str, str]) -> DesiredHost:
    """The desired host with its files where this host's engine reads them.

    Args:
        places: as `EnginePlan.places`.
    """
    if not places:
        return want

    def path(declared: str) -> str:
        for place, own in places.items():
            if declared == place or declared.startswith(f"{place}/"):
                return f"{own}{declared.removeprefix(place)}"
        return declared

    return replace(
        want,
        directories=tuple(replace(each, path=path(each.path)) for each in want.directories),
        files=tuple(replace(each, path=path(each.path)) for each in want.files),
    )


def config_writes(part: EnginePlan) -> tuple[Step, ...]:
    """The steps that write or remove engine configuration files, daemon.json among them."""
    return tuple(step for step in part.configure if _is_write(step))


def activation_before_images(part: EnginePlan) -> tuple[Step, ...]:
    """The steps that reload, restart or start Docker; they come before images are loaded."""
    taken_up = [
        replace(step, may_restart=part.may_restart)
        for step in part.configure
        if isinstance(step, ActivateDocker)
    ]
    others = (step for step in part.configure if isinstance(step, (StartEngine, ActivateOwn)))
    return (*taken_up, *others)


def activation_after_images(part: EnginePlan) -> tuple[Step, ...]:
    """The steps that activate other engines' configuration and remove engine directories."""
    dockers = (ActivateDocker, ActivateOwn, StartEngine)
    return tuple(
        step for step in part.configure if not (_is_write(step) or isinstance(step, dockers))
    )


def settle_steps(part: EnginePlan) -> tuple[Step, ...]:
    """The last step of a touch that activates a Docker configuration."""
    return tuple(SettleDocker() for step in part.configure if isinstance(step, ActivateDocker))


def _is_write(step: Step) -> bool:
    file_goes = isinstance(step, RemovePath) and not step.directory
    return file_goes or isinstance(step, EditFile)
