"""How far each host goes back: from the recorded runs and the hosts' generations. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from regfleet import record, roles
from regfleet.desired.resolve import clients_of
from regfleet.errors import HostError
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.journal import Run
from regfleet.model.observed import ObservedHost
from regfleet.record import Owned
from regfleet.runtimes import files
from regfleet.touch.generations import Generation, Generations

_NOT_UNDONE = ("rollback",)  # a rollback saves no generation, so it cannot be taken back


@dataclass(frozen=True, slots=True)
class Way:
    """The way back on one host.

    Attributes:
        generations: the generations to undo, the newest first; empty for none.
        newest: the number of the newest generation on the host.
    """

    generations: tuple[Generation, ...] = ()
    newest: int = 0

    @property
    def target(self) -> int:
        """The oldest generation to undo."""
        return self.generations[-1].number


def last_run(runs: Sequence[Run], names: Collection[str]) -> Run | None:
    """The newest run that may have changed some of these hosts and was not taken back."""
    return next(
        (run for run in runs if run.command not in _NOT_UNDONE and hosts_of([run], names)),
        None,
    )


def runs_from(runs: Sequence[Run], number: int) -> list[Run]:
    """A run and all later ones, the newest first."""
    return [run for run in runs if run.number >= number and run.command not in _NOT_UNDONE]


def hosts_of(runs: Sequence[Run], names: Collection[str]) -> list[str]:
    """Those of the named hosts that the runs may have changed and that were not taken back."""
    changed = {name for run in runs for name, host in run.hosts.items() if host.stands}
    return [name for name in names if name in changed]


def unrecorded(
    host: str, found: Generations, fleet: str, runs: Sequence[Run], *, last: Run | None
) -> HostError | None:
    """The error for a host whose newest change no recorded run made; None if there is no such.

    A version before there were records made it, or a run with another state directory.

    Args:
        runs: all that are recorded.
        last: the run to take back: only a change after its beginning counts, by the host's clock.
            None if there is none.
    """
    newest = next(iter(found.kept), None)
    if newest is None or newest.fleet != fleet or newest.id in {run.id for run in runs}:
        return None
    if last and newest.when <= last.began:
        return None
    return HostError(
        host,
        f"its newest change (generation {newest.number}, at {newest.when or 'some time'}) was made "
        "by a run that is not recorded here, so it was not taken back",
        f"`regfleet rollback FILE --limit {host} --generation {newest.number}` takes it back",
    )


def before_runs(
    host: str, found: Generations, fleet: str, runs: Sequence[Run], *, alone: bool
) -> Way:
    """The way back to the state before the oldest of some runs.

    Args:
        runs: the runs to take back; the host's generations have their ids.
        alone: whether only these runs may be taken back.

    Raises:
        HostError: the host keeps no generation of a run that changed it, or a change of another
            fleet or of another run came in between.
    """
    ids = {run.id for run in runs}
    mine = [each.number for each in found.kept if each.id in ids]
    if not mine:
        sure = [run for run in runs if host in run.hosts and run.hosts[host].status == "changed"]
        if not sure:
            return Way(newest=_newest(found))
        numbers = ", ".join(str(run.number) for run in sure)
        raise HostError(
            host,
            f"it keeps nothing of run {numbers}, so that cannot be taken back (a destroy takes "
            "generations with it, and ten are kept)",
            "declare what it should be and apply; `regfleet history FILE --host "
            f"{host}` lists what it keeps",
        )
    way = before_generation(host, found, fleet, min(mine))
    others = [each for each in way.generations if each.id not in ids]
    if others and alone:
        last = others[0]
        what = f"run {last.run} of {last.who}" if last.run else "a run that is not noted here"
        raise HostError(
            host,
            f"generation {last.number} came later: {what}, at {last.when or 'some time'}",
            f"`--to {min(run.number for run in runs)}` takes that back, too",
        )
    return way


def before_generation(host: str, found: Generations, fleet: str, number: int) -> Way:
    """The way back to the state before a generation of a host.

    Raises:
        HostError: there is no such generation, or another fleet's change is in between.
    """
    if number not in {each.number for each in found.kept}:
        kept = " ".join(str(each.number) for each in reversed(found.kept)) or "none"
        raise HostError(host, f"there is no generation {number} here", f"kept are: {kept}")
    way = tuple(each for each in found.kept if each.number >= number)
    for each in way:
        if each.fleet != fleet:
            raise HostError(
                host,
                f"generation {each.number} is of the fleet {each.fleet}",
                "go back with its fleet file first, or change what is declared and apply",
            )
    return Way(way, _newest(found))


def _newest(found: Generations) -> int:
    return max((each.number for each in found.kept), default=0)


def gone(fleet: Fleet, seen: Mapping[str, ObservedHost]) -> dict[str, frozenset[str]]:
    """By host, the registries that it no longer runs, trusts or logs in to.

    Args:
        seen: the looks at hosts after a rollback; only these are judged.
    """
    owned = {name: each.owned.get(fleet.name, Owned()) for name, each in seen.items()}
    away = {
        registry.name
        for registry in fleet.registries.values()
        if any(
            host.name in owned and registry.name not in _registries(owned[host.name])
            for host in registry.machines
        )
    }
    found: dict[str, frozenset[str]] = {}
    for name, each in owned.items():
        text = record.render({fleet.name: each})
        kept = {(login.account, login.endpoint) for login in each.logins}
        unknown = {
            registry.name
            for client in clients_of(fleet, name)
            for registry in map(fleet.registries.__getitem__, client.registries)
            if registry.tls.source != "public" and registry.endpoint not in text
        } | {
            login.registry
            for client in clients_of(fleet, name)
            for login in client.logins
            if (login.accounts[0], fleet.registries[login.registry].endpoint) not in kept
        }
        found[name] = frozenset(away | unknown)
    return found


def with_other_roles(fleet: Fleet, seen: Mapping[str, ObservedHost]) -> frozenset[str]:
    """The registries whose hosts have other roles than the fleet file declares.

    Args:
        seen: as for `gone`.
    """
    return frozenset(
        registry.name
        for registry in fleet.registries.values()
        for host in registry.fronts
        if host.name in seen and _has_other_roles(fleet, registry, seen[host.name])
    )


def _has_other_roles(fleet: Fleet, registry: Registry, seen: ObservedHost) -> bool:
    path = files.roles_path(registry.name)
    if not registry.projects:
        return path in seen.owned.get(fleet.name, Owned()).files
    return seen.roles.get(path) != roles.parse(roles.record(registry))


def _registries(owned: Owned) -> set[str]:
    return {service.registry for service in owned.services}
