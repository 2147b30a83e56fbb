"""The commands `gc` and `audit`, whose work is done by jobs on the registries' hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TypeVar

from regfleet import image_work
from regfleet.cli.runs import Common, confirm, running
from regfleet.desired.resolve import registries_on
from regfleet.errors import EXIT_FAILED, EXIT_OK
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.jobs.audit import Audit
from regfleet.jobs.collection import Collection, Subject
from regfleet.jobs.interface import Job
from regfleet.model.collections import Collected
from regfleet.model.report import HostReport
from regfleet.report import audit_json, audit_text, collection_json, collection_text
from regfleet.report.lines import show_text
from regfleet.report.summary_text import show_troubles
from regfleet.run import known
from regfleet.run.apply import Runner
from regfleet.run.collection import collector, rounds, subjects, why_left_out
from regfleet.run.wanted import Wanted
from regfleet.state import StateDirectory
from regfleet.terminal import streams
from regfleet.terminal.console import people

T = TypeVar("T")


def gc(*, yes: bool, dry_run: bool, **options: object) -> int:
    """Collect the garbage of registries, after it was shown what that would delete."""
    common = Common.of(options)
    with _registries(common, "" if dry_run else "gc") as (runner, its):
        read = _read_on(runner.fleet, its)
        looks = [
            {name: Collection((one,), foresee=True) for name, one in each.items()}
            for each in one_by_one(read)
        ]
        found = values_in_turn(runner, "looking at registries on", looks)
        to_do = [] if dry_run else _to_do(runner, its, found)
        asking = to_do and not yes
        planned = people(stderr=True) if asking else common.console()
        collection_text.show_found(found, planned, done=False)
        if to_do:
            confirm(yes, collection_text.question(found))
            with image_work.noted(_state(runner.fleet, common), "gc") as note:
                done = values_in_turn(runner, "collecting garbage on", to_do)
                _note(note, runner, done)
            collection_text.show_found(done, common.console(), done=True)
            found = _with(found, done)
        show_notes(runner, common)
        if common.as_json:
            document = collection_json.document(runner.report, found, dry_run=dry_run)
            streams.print_document(document)
        return EXIT_OK if runner.report.ok else EXIT_FAILED


def audit(**options: object) -> int:
    """Read all that registries keep, and say which images cannot be pulled."""
    common = Common.of(options)
    with _registries(common, "") as (runner, its):
        jobs = [
            {name: Audit((one,)) for name, one in each.items()}
            for each in one_by_one(_read_on(runner.fleet, its))
        ]
        found = values_in_turn(runner, "reading the images on", jobs)
        audit_text.show_found(found, common.console())
        show_notes(runner, common)
        if common.as_json:
            streams.print_document(audit_json.document(runner.report, found))
        whole = all(each.ok for several in found.values() for each in several)
        return EXIT_OK if runner.report.ok and whole else EXIT_FAILED


def _read_on(
    fleet: Fleet, its: Mapping[str, tuple[Subject, ...]]
) -> dict[str, tuple[Subject, ...]]:
    """The subjects by the host that reads their images: each storage once."""
    readers = {f"regfleet-{each.name}": collector(each) for each in fleet.declared if each.hosts}
    found = {
        name: tuple(each for each in several if readers[each.service] == name)
        for name, several in its.items()
    }
    return {name: several for name, several in found.items() if several}


def _to_do(
    runner: Runner, its: Mapping[str, tuple[Subject, ...]], found: Mapping[str, Sequence[Collected]]
) -> list[dict[str, Collection]]:
    """The jobs that are done at the same time, by host, for the registries with garbage."""
    dirty = {each.service for several in found.values() for each in several if each.anything}
    left = {
        name: tuple(each for each in several if each.service in dirty)
        for name, several in its.items()
    }
    return [
        {name: Collection((one,)) for name, one in each.items()}
        for several in rounds(runner.fleet, left, runner.work.token)
        for each in one_by_one(several)
    ]


def _with(
    found: Mapping[str, Sequence[Collected]], done: Mapping[str, Sequence[Collected]]
) -> dict[str, tuple[Collected, ...]]:
    """What was found, with what was collected in its place."""
    return {
        name: tuple(
            next((one for one in done.get(name, ()) if one.service == each.service), each)
            for each in several
        )
        for name, several in found.items()
    }


@contextmanager
def _registries(
    common: Common, locked: str
) -> Iterator[tuple[Runner, dict[str, tuple[Subject, ...]]]]:
    """A runner over the hosts of registries, and what a job has to know of each host's.

    Args:
        locked: as for `running`.
    """
    read: list[known.Known] = []

    def desired(fleet: Fleet) -> Wanted:
        state = _state(fleet, common)
        read.append(known.read(fleet, state, datetime.now(timezone.utc)))
        return read[0].wanted()

    with running(common, locked=locked, desired=desired) as (runner, _):
        names = [name for name in runner.names if registries_on(runner.fleet, name)]
        runner.names = names
        runner.report.hosts = {name: HostReport(name) for name in names}
        its = {
            name: subjects(runner.fleet, runner.work.desired[name], read[0].registries)
            for name in names
        }
        here = {each.name: each for name in names for each in registries_on(runner.fleet, name)}
        for each in here.values():
            if each.read_only_of:
                continue
            if why := why_left_out(each) or _why_not_now(each, names, common if locked else None):
                show_text(common.console(), f"{each.name} is left out: {why}")
                service = f"regfleet-{each.name}"
                its = {
                    name: tuple(one for one in several if one.service != service)
                    for name, several in its.items()
                }
        yield runner, {name: each for name, each in its.items() if each}


def _why_not_now(registry: Registry, names: Sequence[str], collecting: Common | None) -> str:
    """Why a registry of several hosts has no part in this run; empty where it has.

    Args:
        collecting: the options of a run that collects; None for one that only reads.
    """
    missing = [host.name for host in registry.hosts if host.name not in names]
    if len(missing) == len(registry.hosts):  # a gateway's host alone
        return f"none of its hosts has a part in this run: it runs on {missing[0]}"
    if collector(registry) in missing:
        return f"its images are read on {collector(registry)}, which has no part in this run"
    if collecting is None:
        return ""
    if missing:
        return f"{missing[0]} runs it, too, and has no part in this run: take in all its hosts"
    if len(registry.hosts) > (collecting.parallel or len(registry.hosts)):
        return f"its {len(registry.hosts)} hosts hold it at the same time: raise --parallel"
    return ""


def _state(fleet: Fleet, common: Common) -> StateDirectory:
    return StateDirectory.beside(fleet.path, fleet.name, common.state_dir)


def _note(note: image_work.Note, runner: Runner, done: Mapping[str, Sequence[Collected]]) -> None:
    for name, several in done.items():
        for each in several:
            note.did(f"{each.service} on {name}: {each.blobs} blobs, {each.size} bytes freed")
    for name, host in runner.report.hosts.items():
        if not host.ok:
            note.failed(f"{name}: {host.error}")


def job_values(runner: Runner, doing: str, jobs: Mapping[str, Job[T]]) -> dict[str, T]:
    """The values of the jobs that succeeded, by host; errors go into the report."""
    ended = runner.do(doing, jobs)
    return {name: value for name, value in ended.items() if value is not None}


def one_by_one(its: Mapping[str, Sequence[T]]) -> Iterator[dict[str, T]]:
    """The first of what each host has, then the second, and so on."""
    for number in range(max(map(len, its.values()), default=0)):
        yield {name: several[number] for name, several in its.items() if number < len(several)}


def values_in_turn(
    runner: Runner, doing: str, rounds_of_jobs: Iterable[Mapping[str, Job[tuple[T, ...]]]]
) -> dict[str, tuple[T, ...]]:
    """As `job_values`, of jobs one after another: one that fails does not stop the others.

    A host that cannot be reached is not asked again.
    """
    found: dict[str, tuple[T, ...]] = {}
    for jobs in rounds_of_jobs:
        hosts = runner.report.hosts
        left = {name: job for name, job in jobs.items() if hosts[name].status != "unreachable"}
        if left:
            for name, values in job_values(runner, doing, left).items():
                found[name] = (*found.get(name, ()), *values)
    return {name: values for name, values in found.items() if values}


def show_notes(runner: Runner, common: Common) -> None:
    """Print what hosts noted, and errors."""
    for name, host in runner.report.hosts.items():
        for note in host.notes:
            show_text(common.console(), f"{name}: {note}")
    show_troubles(runner.report, people(stderr=True), runner.fleet)
