"""The command `gc`."""

from __future__ import annotations

from datetime import datetime, timezone

from regfleet.cli.runs import Common, confirm, running
from regfleet.desired.resolve import registries_on
from regfleet.errors import EXIT_FAILED, EXIT_OK
from regfleet.fleet.model import Fleet
from regfleet.jobs.collection import Collection
from regfleet.model.report import HostReport
from regfleet.report import collection_json, collection_text
from regfleet.report.lines import show_text
from regfleet.report.summary_text import show_troubles
from regfleet.run import known
from regfleet.run.collection import subjects
from regfleet.run.wanted import Wanted
from regfleet.state import StateDirectory
from regfleet.terminal import streams
from regfleet.terminal.console import people


def gc(*, yes: bool, dry_run: bool, **options: object) -> int:
    """Collect the garbage of registries, after it was shown what that would delete."""
    common = Common.of(options)
    read: list[known.Known] = []

    def desired(fleet: Fleet) -> Wanted:
        state = StateDirectory.beside(fleet.path, fleet.name, common.state_dir)
        read.append(known.read(fleet, state, datetime.now(timezone.utc)))
        return read[0].wanted()

    with running(common, locked="" if dry_run else "gc", desired=desired) as (runner, _):
        names = [name for name in runner.names if registries_on(runner.fleet, name)]
        runner.names = names
        runner.report.hosts = {name: HostReport(name) for name in names}
        its = {
            name: subjects(runner.fleet, runner.work.desired[name], read[0].registries)
            for name in names
        }
        looks = {name: Collection(each, foresee=True) for name, each in its.items() if each}
        found = {
            name: each
            for name, each in runner.do("looking at registries on", looks).items()
            if each is not None
        }
        asks = not dry_run and any(each.anything for several in found.values() for each in several)
        collection_text.show_found(
            found, people(stderr=True) if asks and not yes else common.console(), done=False
        )
        if asks:
            confirm(yes, collection_text.question(found))
            jobs = {
                name: Collection(its[name])
                for name, each in found.items()
                if any(one.anything for one in each)
            }
            done = runner.do("collecting garbage on", jobs)
            found |= {name: each for name, each in done.items() if each is not None}
            for name in jobs.keys() - done.keys():
                del found[name]
            collected = {name: found[name] for name in jobs if name in done}
            collection_text.show_found(collected, common.console(), done=True)
        for name, host in runner.report.hosts.items():
            for note in host.notes:
                show_text(common.console(), f"{name}: {note}")
        show_troubles(runner.report, people(stderr=True), runner.fleet)
        if common.as_json:
            streams.print_document(collection_json.document(runner.report, found, dry_run=dry_run))
        return EXIT_OK if runner.report.ok else EXIT_FAILED
