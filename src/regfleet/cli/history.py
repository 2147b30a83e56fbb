"""The commands `history`, which lists earlier runs, and `rollback`, which takes them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from regfleet import image_work, journal, state_paths
from regfleet.cli.inspect import reading
from regfleet.cli.promote import show_history
from regfleet.cli.runs import Common, confirm, finish, running
from regfleet.errors import EXIT_OK, HostError, RegfleetError, UsageError
from regfleet.fleet.findings import did_you_mean
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.jobs.rollback import Rollback
from regfleet.journal import HostRun, Run
from regfleet.model.names import counted
from regfleet.model.report import HostReport
from regfleet.model.resource import Resource
from regfleet.report import history_json, history_text
from regfleet.report.lines import show_text
from regfleet.run import back
from regfleet.run.apply import Runner
from regfleet.run.back import Way
from regfleet.run.proof import affected
from regfleet.run.recording import Recording
from regfleet.run.wanted import Wanted, declared, nothing
from regfleet.run.work import Work
from regfleet.state import StateDirectory
from regfleet.terminal import streams
from regfleet.terminal.console import beside_document
from regfleet.touch.generations import Generations, comes_back

_ACTIONS = {"+": "create", "-": "delete", "~": "update"}
_WELL = ("changed", "unchanged")


def history(
    *,
    file: Path,
    host: str | None,
    promotions: bool,
    state_dir: Path | None,
    as_json: bool,
    verbose: int,
) -> int:
    """List the runs of a fleet, and with `host` the generations that this host keeps."""
    fleet = load(file)
    if host and host not in fleet.hosts():
        raise UsageError(
            f"there is no host {host} in {fleet.path.name}", did_you_mean(host, fleet.hosts(), "")
        )
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    if promotions:
        return show_history(fleet, state, as_json=as_json)
    runs = [run for run in journal.read(state) if not host or host in run.hosts]
    images = [] if host else image_work.read(state)
    kept = Generations()
    if host:
        with reading(fleet, None, verbose, as_json=as_json) as session:
            kept = Work.of(nothing(fleet), session).generations(host)
    console = beside_document(as_json=as_json)
    if not runs and not images:
        show_text(console, f"no run is recorded in {state.path / state_paths.RUNS}")
    history_text.show_runs(runs, console, images, every=bool(verbose))
    if host:
        history_text.show_generations(host, kept.kept, fleet.name, console, every=bool(verbose))
    if as_json:
        streams.print_document(
            history_json.document(fleet.name, runs, host or "", kept.kept, images)
        )
    return EXIT_OK


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a rollback takes back.

    Attributes:
        names: the hosts.
        runs: the runs to take back, the newest first; none if `generation` is given.
        generation: a host's own number; 0 if `runs` are given.
        alone: whether only these runs may be taken back.
    """

    names: Sequence[str]
    runs: Sequence[Run] = ()
    generation: int = 0
    alone: bool = True


def rollback(*, yes: bool, to: int | None, generation: int | None, **options: object) -> int:
    """Take back the last run, or run `to` and all later ones, on the hosts they changed."""
    common = Common.of(options)
    if to and generation:
        raise UsageError("--to and --generation exclude each other", "give one of them")
    with running(common, locked="rollback", desired=nothing) as (runner, staged):
        state = StateDirectory(staged.path)
        aim = _scope(runner, state, to or 0, generation or 0, str(common.file))
        everyone = list(runner.names)
        found = runner.generations()
        unrecorded = _unrecorded(runner, state, aim, found)
        if aim.names:
            _restrict_to(runner, [name for name in everyone if name in {*aim.names, *unrecorded}])
        for name, error in unrecorded.items():
            runner.report.hosts[name].fail(error)
        ways = _ways(runner, aim, {name: each for name, each in found.items() if name in aim.names})
        history_text.show_ways(ways, common.console(), every=bool(common.verbose))
        there = {name: way for name, way in ways.items() if way.generations}
        recording = Recording(state, runner.work, runner.proof, "rollback")
        if there:
            confirm(yes, f"Go back on {counted(len(there))}?")
            recording.begin({name: _planned_changes(way) for name, way in there.items()})
            runner.roll_back(
                {name: Rollback(way.target, way.newest) for name, way in there.items()}
            )
            owed = _smoke_restored(runner, state, everyone, list(there))
            runner.settle(owed=owed)
        elif not aim.names and runner.report.ok:
            show_text(common.console(), "There is nothing to take back.")
        _record_results(state, aim, runner, ways, recording)
        return finish(runner, common, None)


def _scope(runner: Runner, state: StateDirectory, to: int, generation: int, file: str) -> _Scope:
    if generation:
        return _Scope(runner.names, generation=generation)
    runs = journal.read(state)
    if not runs:
        raise UsageError(
            f"no run of the fleet {runner.fleet.name} is recorded in "
            f"{state.path / state_paths.RUNS}: what the last run changed is unknown here",
            "copy the state directory from the machine that applied, or name it by --state-dir; or "
            f"go back host by host: `regfleet history {file} --host HOST` lists a host's "
            f"generations, `regfleet rollback {file} --limit HOST --generation N` undoes them from "
            "the newest down to N",
        )
    if not to:
        last = back.last_run(runs, runner.names)
        return _Scope(back.hosts_of([last], runner.names), [last]) if last else _Scope(())
    if to not in {run.number for run in runs}:
        raise UsageError(
            f"there is no run {to} in {state.path / state_paths.RUNS}",
            f"`regfleet history {file}` lists the runs",
        )
    later = back.runs_from(runs, to)
    return _Scope(back.hosts_of(later, runner.names), later, alone=False)


def _restrict_to(runner: Runner, names: Sequence[str]) -> None:
    runner.names = list(names)
    runner.report.hosts = {name: runner.report.hosts[name] for name in names}


def _unrecorded(
    runner: Runner, state: StateDirectory, aim: _Scope, found: Mapping[str, Generations]
) -> dict[str, HostError]:
    """By host, errors for what other versions or other controllers changed last."""
    if aim.generation or not aim.alone:
        return {}
    runs, last = journal.read(state), next(iter(aim.runs), None)
    errors = {
        name: back.unrecorded(name, found[name], runner.fleet.name, runs, last=last)
        for name in found
        if name not in aim.names
    }
    return {name: error for name, error in errors.items() if error}


def _ways(runner: Runner, aim: _Scope, found: Mapping[str, Generations]) -> dict[str, Way]:
    """Each host's way back; hosts without one get an error in the report."""
    ways: dict[str, Way] = {}
    for name, kept in found.items():
        way = _way(runner.fleet.name, aim, name, kept)
        if isinstance(way, Way):
            ways[name] = way
        else:
            runner.report.hosts[name].fail(way)
    return ways


def _way(fleet: str, aim: _Scope, name: str, found: Generations) -> Way | RegfleetError:
    try:
        if aim.generation:
            return back.before_generation(name, found, fleet, aim.generation)
        runs = [run for run in aim.runs if name in run.hosts and run.hosts[name].stands]
        return back.before_runs(name, found, fleet, runs, alone=aim.alone)
    except RegfleetError as error:
        return error


def _planned_changes(way: Way) -> list[tuple[str, Resource]]:
    found = comes_back(way.generations)
    return [(_ACTIONS[sign], resource) for sign, resource in found if sign in _ACTIONS]


def _smoke_restored(
    runner: Runner, state: StateDirectory, everyone: Sequence[str], names: Sequence[str]
) -> bool:
    """Smoke-test the hosts that went back; whether a test was possible."""
    hosts = runner.report.hosts
    changed = [name for name in names if hosts[name].status in ("changed", "rolled-back")]
    if runner.session.stopped or not changed:
        return False
    known = _smoke_needs(runner.fleet, state, everyone)
    if not isinstance(known, Wanted):
        for name in changed:
            hosts[name].notes = (*hosts[name].notes, f"the smoke test was left out: {known}")
        return False
    runner.work.materials, runner.work.desired = known.materials, known.desired
    clients = [name for name in affected(runner.fleet, changed) if name in everyone]
    more = {name: HostReport(name) for name in clients if name not in hosts}
    runner.report.hosts = {**hosts, **more}
    runner.names = list(runner.report.hosts)
    runner.look_again([*changed, *more])
    runner.smoke([name for name in {*changed, *clients} if runner.report.hosts[name].ok])
    return True


def _smoke_needs(fleet: Fleet, state: StateDirectory, names: Sequence[str]) -> Wanted | str:
    """What the smoke test needs; or the reason why it is unknown here."""
    if not state.path.exists():
        return f"the state directory {state.path}, with the passwords, does not exist"
    try:
        return declared(fleet, state, names, save=False)
    except RegfleetError as error:
        return error.message


def _record_results(
    state: StateDirectory,
    aim: _Scope,
    runner: Runner,
    ways: Mapping[str, Way],
    recording: Recording,
) -> None:
    """Record the result, and in earlier runs which hosts' changes were taken back."""
    recording.finish(runner.report)
    number = recording.run.number if recording.run else 0
    hosts = runner.report.hosts
    for run in journal.read(state):
        entries: dict[str, HostRun] = {}
        for name, way in ways.items():
            before = run.hosts.get(name)
            if before is None or not before.stands or hosts[name].status not in _WELL:
                continue
            if run.id in {each.id for each in way.generations}:
                entries[name] = replace(before, undone=number)
            elif run in aim.runs and not way.generations:  # its result was unknown: no change
                entries[name] = replace(before, status="unchanged")
        if entries:
            journal.write(state, replace(run, hosts={**run.hosts, **entries}))
