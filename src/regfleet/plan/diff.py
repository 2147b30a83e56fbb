"""`(DesiredHost, ObservedHost) -> Plan`. Pure: equal arguments give equal plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from regfleet import record
from regfleet.engines import ENGINES, REGISTRY_ENGINE
from regfleet.engines.interface import Engine
from regfleet.errors import HostError
from regfleet.model.desired import NOT_DECLARED, DesiredHost
from regfleet.model.observed import IPV6, ObservedHost
from regfleet.model.plan import Change, InstallEngine, LoadImage, Plan
from regfleet.model.resource import INTERRUPTED, Resource
from regfleet.plan import storages
from regfleet.plan.adoption import adopted_after, adopted_to_return
from regfleet.plan.directories import directories_to_make, directories_to_remove
from regfleet.plan.engine_parts import (
    activation_after_images,
    activation_before_images,
    add_conditional,
    config_writes,
    engine_parts,
    moved,
    refuse_other_engine,
    settle_steps,
)
from regfleet.plan.files import files_to_remove, files_to_write
from regfleet.plan.logins import logins_to_change
from regfleet.plan.ownership import claims, digest_of, expected_digests, owned_after
from regfleet.plan.part import Shared
from regfleet.plan.services import (
    engines_of,
    kinds,
    programs_to_install,
    services_to_remove,
    services_to_run,
    unused_images,
)
from regfleet.plan.timers import timers_to_settle, with_timers
from regfleet.record import Owned
from regfleet.services import KINDS


def diff(
    want: DesiredHost,
    seen: ObservedHost,
    salt: str,
    engines: Sequence[Engine] | None = None,
) -> Plan:
    """The plan that brings a host from its observed state to its desired state.

    Args:
        want: the desired state; an empty one removes everything that the fleet owns on the host.
        seen: what one look observed.
        salt: the salt that the look used for the digests of logins.
        engines: the host's engines, the client's last; default: those of `want.engines`.

    Raises:
        HostError: the desired state cannot be reached; the host has not been touched.
    """
    if engines is None:
        engines = [ENGINES[name] for name in want.engines]
    if seen.uid != 0:
        raise HostError(
            want.name,
            f"commands on the host run as user id {seen.uid}, not as root",
            "set `sudo = true` under [ssh], or log in as root",
        )
    if seen.busy:  # the look may show a half-finished change
        raise HostError(
            want.name, f"another regfleet run is at work here: {seen.busy}", "wait for it to end"
        )
    owned = seen.owned.get(want.fleet, Owned())
    others = {fleet: theirs for fleet, theirs in seen.owned.items() if fleet != want.fleet}
    shared = Shared.of(others.values())
    refuse_other_engine(want, owned)
    part = engine_parts(want, seen, owned, tuple(others.values()), engines)
    want = moved(add_conditional(want, part), part.places)
    if part.new_store:
        seen = replace(seen, images={}, services={})
    want = with_timers(_fitted(want, seen), seen)
    storages.refuse_overlaps(want, seen)
    directories, files = directories_to_make(want, seen), files_to_write(want, seen, owned, shared)
    programs = programs_to_install(want, seen)
    services, archives = services_to_run(want, seen, owned)
    # Where there is none, there are no logins either.
    last = engines[-1] if engines else ENGINES[REGISTRY_ENGINE]
    logins = logins_to_change(want, seen, owned, shared, salt, engine=last)
    removed_files = files_to_remove(want, owned, shared)
    settled = timers_to_settle(want, seen, files, removed_files)
    removed_services = services_to_remove(want, seen, owned)
    returned = adopted_to_return(want, owned)
    unused = unused_images(want, seen, owned)
    leftover = directories_to_remove(want, seen, owned, shared)
    parts = (
        programs,
        directories,
        files,
        services,
        logins,
        removed_files,
        settled,
        removed_services,
        returned,
        leftover,
    )
    changes = (
        *_recovery_change(seen),
        *(_with_reason(change, want) for change in part.changes),
        *(change for each in parts for change in each.changes),
    )
    steps = (*files.steps, *logins.steps)
    aside = adopted_after(want, seen, owned)
    mine = owned_after(want, seen, owned, shared, part, steps=steps, salt=salt, adopted=aside)
    if not changes and claims(mine) != claims(owned):
        changes = (Change(Resource("file", record.PATH), "update", "ownership record changed"),)
    if not changes:  # images that a touch brought before it failed or was killed
        changes = tuple(
            Change(Resource("image", each.reference), "delete", want.why_gone) for each in unused
        )
    if not changes:
        return Plan(
            want.name,
            running=seen.engine.running,
            live_restore=seen.engine.live_restore,
            notes=part.notes,
        )
    text = record.render({**others, want.fleet: mine}) if mine or any(others.values()) else ""
    plan = Plan(
        host=want.name,
        changes=changes,
        steps=(
            *part.install,
            *programs.steps,
            *directories.steps,
            *files.steps,
            *removed_files.steps,
            *config_writes(part),
            # The steps below need the files in place.
            *activation_before_images(part),
            *map(LoadImage, archives),
            *activation_after_images(part),
            # Removals first: a new service may need the port of a removed one.
            *removed_services.steps,
            *returned.steps,
            *services.steps,
            *settled.steps,
            *unused,
            *logins.steps,
            *leftover.steps,
            *settle_steps(part),
        ),
        record=text,
        expected=expected_digests(seen, part, (*files.steps, *part.configure)),
        running=seen.engine.running,
        live_restore=seen.engine.live_restore,
        may_restart=part.may_restart,
        engines=tuple(
            dict.fromkeys(
                (
                    *(engine.shell for engine in engines),
                    *engines_of((*services.steps, *unused), archives),
                )
            )
        ),
        services=kinds(want, owned),
        notes=part.notes,
        reserved=storages.reserved_storages(want, seen, services.steps),
    )
    return _install_only(plan, seen) if part.apart else plan


def _fitted(want: DesiredHost, seen: ObservedHost) -> DesiredHost:
    """The desired host with its services, and their files, as fitted to this host."""
    possible = (each if IPV6 in seen.paths else each.without_ipv6 or each for each in want.services)
    services = tuple(KINDS[each.kind].fitted(each, want, seen) for each in possible)
    files = {file.path: file for each in services for file in each.files}
    return replace(
        want, services=services, files=tuple(files.get(file.path, file) for file in want.files)
    )


def _with_reason(change: Change, want: DesiredHost) -> Change:
    """The change; if it removes undeclared engine configuration, with the host's reason for it."""
    return replace(change, reason=want.why_gone) if change.reason == NOT_DECLARED else change


def _install_only(plan: Plan, seen: ObservedHost) -> Plan:
    """The plan with its install steps only; the rest is planned once the packages are there."""
    return replace(
        plan,
        steps=tuple(step for step in plan.steps if isinstance(step, InstallEngine)),
        record=seen.record or "",
        expected=((record.PATH, digest_of(seen.record)),),
        again=True,
    )


def _recovery_change(seen: ObservedHost) -> tuple[Change, ...]:
    if not seen.pending:
        return ()
    reason = "an earlier change was interrupted; the state before it is restored first"
    return (Change(INTERRUPTED, "run", reason),)
