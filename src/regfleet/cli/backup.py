"""The commands `backup` and `restore`, whose work is done by jobs on the registries' hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console

from regfleet import image_work
from regfleet.cli.collection import job_values, one_by_one, show_notes, values_in_turn
from regfleet.cli.options import file_and_name
from regfleet.cli.runs import Common, confirm, running
from regfleet.errors import EXIT_FAILED, EXIT_OK, HostError, UsageError
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.jobs.backup import BackupJob, BackupSubject
from regfleet.jobs.restore import RestoreJob
from regfleet.jobs.verification import Verification
from regfleet.model.backups import KeptBackups, Restored
from regfleet.model.report import HostReport
from regfleet.report import backup_json, backup_text
from regfleet.report.lines import show_text
from regfleet.run import backup as backups
from regfleet.run import known
from regfleet.run.apply import Runner
from regfleet.run.collection import service_of, subject
from regfleet.run.wanted import Wanted
from regfleet.secret import Secret
from regfleet.state import StateDirectory
from regfleet.terminal import streams
from regfleet.terminal.console import people


def backup(
    *, file: Path, name: str, dry_run: bool, listed: bool, verify: bool, **options: object
) -> int:
    """Copy what registries keep to the places of their backups; or tell of what is there."""
    options_of = {"--list": listed, "--verify": verify, "--dry-run": dry_run}
    given = [each for each, on in options_of.items() if on]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} do not go together", "give one of them")
    file, name = file_and_name(file, name)
    common = Common.of({**options, "file": file})
    fleet = load(file)
    chosen = backups.chosen(fleet, name)
    if listed:
        return _list(common, chosen)
    if verify:
        return _verify(common, chosen)
    keys: dict[str, Secret] = {}
    if not dry_run:
        found = {each.name: backups.passphrase(each) for each in chosen}
        keys = {each: key for each, key in found.items() if key is not None}
    with _hosts(common, chosen, "" if dry_run else "backup") as (runner, state, _):
        subjects = {
            host: backups.with_states(its, state, keys)
            for host, its in _subjects(runner, chosen).items()
        }
        jobs = [
            {host: BackupJob((one,), foresee=dry_run) for host, one in each.items()}
            for each in one_by_one(subjects)
        ]
        if dry_run:
            made = values_in_turn(runner, "looking at registries on", jobs)
        else:
            with image_work.noted(state, "backup") as note:
                made = values_in_turn(runner, "backing up on", jobs)
                _note(note, runner, backup_text.made(made))
        backup_text.show_made(made, common.console(), dry=dry_run)
        _show_what_is_missing(common, chosen)
        show_notes(runner, common)
        if common.as_json:
            streams.print_document(backup_json.made(runner.report, made, dry_run=dry_run))
        whole = not any(each.left_out_count for its in made.values() for each in its)
        return EXIT_OK if runner.report.ok and whole else EXIT_FAILED


def _note(note: image_work.Note, runner: Runner, did: Iterable[str]) -> None:
    for line in did:
        note.did(line)
    for name, host in runner.report.hosts.items():
        if host.error:
            note.failed(f"{name}: {host.error}")


def _subjects(runner: Runner, chosen: list[Registry]) -> dict[str, tuple[BackupSubject, ...]]:
    found = {
        host: backups.subjects(runner.fleet, runner.work.desired[host], chosen)
        for host in runner.names
    }
    return {host: its for host, its in found.items() if its}


def _show_what_is_missing(common: Common, chosen: list[Registry]) -> None:
    without = [each.name for each in chosen if each.backup and each.backup.key is None]
    if len(without) == len(chosen):
        text = (
            "the state directory (CA, passwords, records) is not in these backups: declare "
            f"registry.{without[0]}.backup.key, or keep it elsewhere"
        )
        show_text(common.console(), text)


def _verify(common: Common, chosen: list[Registry]) -> int:
    """Read all that the backups keep."""
    with _hosts(common, chosen, "") as (runner, _, _):
        jobs = {
            host: Verification(
                tuple(
                    backups.place(runner.fleet, each)
                    for each in chosen
                    if backups.host_of(each) == host
                )
            )
            for host in runner.names
        }
        found = job_values(runner, "reading backups on", jobs)
        for host, its in found.items():
            for each in its:
                backup_text.show_verified(host, each, common.console())
        show_notes(runner, common)
        if common.as_json:
            streams.print_document(backup_json.verified(runner.report, found))
        whole = all(each.ok for its in found.values() for each in its)
        return EXIT_OK if runner.report.ok and whole else EXIT_FAILED


def _list(common: Common, chosen: list[Registry]) -> int:
    with _hosts(common, chosen, "") as (runner, _, _):
        found: list[tuple[str, KeptBackups]] = []
        for host in runner.names:
            its = [each for each in chosen if backups.host_of(each) == host]
            places = [backups.place(runner.fleet, each) for each in its]
            try:
                told = backups.kept(runner.work.connections, host, places)
                found += [(host, told.get(each.name, KeptBackups(each.name))) for each in its]
            except HostError as error:
                failed = (
                    KeptBackups(each.name, "", (), (), error.message, error.hint) for each in its
                )
                found += [(host, each) for each in failed]
        backup_text.show_kept(found, common.console())
        if common.as_json:
            streams.print_document(backup_json.kept(runner.fleet.name, found))
        return EXIT_FAILED if any(each.error for _, each in found) else EXIT_OK


def restore(
    *,
    file: Path,
    name: str,
    to: str,
    at: int | None,
    overwrite: bool,
    state_alone: bool,
    yes: bool,
    dry_run: bool,
    **options: object,
) -> int:
    """Bring a backup's images into a registry, or the kept state directory to this machine."""
    file, name = file_and_name(file, name)
    common = Common.of({**options, "file": file})
    fleet = load(file)
    chosen = backups.chosen(fleet, name)
    if (at or to) and len(chosen) > 1:
        names = ", ".join(each.name for each in chosen)
        raise UsageError("of several registries, name the one to restore", f"they are: {names}")
    if state_alone:
        return _restore_state(common, chosen, to)
    targets = [(each, *backups.target(fleet, each, to)) for each in chosen]
    hosts = list(dict.fromkeys(host for _, host, _ in targets))
    with _hosts(common, chosen, "" if dry_run else "restore", hosts) as (runner, state, about):
        jobs = [
            (host, replace(job, number=at or 0, overwrite=overwrite))
            for of, host, into in targets
            if host in runner.names
            for job in [_restoring(runner, about, of, host, into)]
        ]
        planned = common.console() if yes or dry_run else people(stderr=True)
        looks = [(host, replace(job, foresee=True)) for host, job in jobs]
        found = _restored(runner, "looking at backups on", looks, planned)
        for name in dict.fromkeys(into.name for _, host, into in targets if host in found):
            backup_text.show_copies(fleet, name, planned)
        if found and not dry_run:
            confirm(yes, "Restore that?")
            numbers = {each.service: each.number for its in found.values() for each in its}
            jobs = [
                (host, replace(job, number=numbers[job.subject.service]))
                for host, job in jobs
                if job.subject.service in numbers
            ]
            with image_work.noted(state, "restore") as note:
                found = _restored(runner, "restoring on", jobs, common.console())
                _note(note, runner, backup_text.restored(found))
        show_notes(runner, common)
        if common.as_json:
            streams.print_document(backup_json.restored(runner.report, found, dry_run=dry_run))
        whole = all(each.ok for its in found.values() for each in its)
        return EXIT_OK if runner.report.ok and whole else EXIT_FAILED


def _restored(
    runner: Runner, doing: str, jobs: list[tuple[str, RestoreJob]], console: Console
) -> dict[str, list[Restored]]:
    """What each restore that succeeded brought, by host; one after another."""
    found: dict[str, list[Restored]] = {}
    for host, job in jobs:
        for each in job_values(runner, doing, {host: job}).values():
            backup_text.show_restored(host, each, console, dry=job.foresee)
            found.setdefault(host, []).append(each)
    return found


def _restoring(
    runner: Runner, about: known.Known, of: Registry, host: str, into: Registry
) -> RestoreJob:
    service = service_of(into, runner.work.desired[host])
    if service is None:
        raise UsageError(f"the registry {into.name} does not run on {host}")
    its = subject(into, service, about.registries[into.name])
    return RestoreJob(its, backups.place(runner.fleet, of))


def _restore_state(common: Common, chosen: list[Registry], to: str) -> int:
    """Bring the kept state directory back where this machine's was lost."""
    keyed = [each for each in chosen if each.backup and each.backup.key]
    if not keyed:
        raise UsageError(
            f"no state directory is kept with the backups of {', '.join(e.name for e in chosen)}",
            "declare the key that it was encrypted with: registry.NAME.backup.key",
        )
    of = keyed[0]
    key = backups.passphrase(of)
    host = to or backups.host_of(of)
    with _hosts(common, [of], "", [host]) as (runner, state, _):
        if key is None or host not in runner.names:
            raise UsageError(f"{host} is not among the chosen hosts", "leave out --limit")
        where = backups.place(runner.fleet, of)
        files, time = backups.restore_state(runner.work.connections, host, where, key, state)
        text = (
            f"{files} files of the state directory of {backup_text.when(time)} are in {state.path}"
        )
        show_text(common.console(), text if files else f"nothing is missing in {state.path}")
        show_text(common.console(), "`regfleet plan` compares it with the hosts")
        if common.as_json:
            document = backup_json.state(runner.fleet.name, str(state.path), files, time)
            streams.print_document(document)
    return EXIT_OK


@contextmanager
def _hosts(
    common: Common, chosen: list[Registry], locked: str, hosts: list[str] | None = None
) -> Iterator[tuple[Runner, StateDirectory, known.Known]]:
    """A runner over the hosts of backups, the state directory, and what is known of the fleet.

    Args:
        locked: as for `running`.
        hosts: by default those that make the backups.
    """
    read: list[tuple[StateDirectory, known.Known]] = []

    def desired(fleet: Fleet) -> Wanted:
        state = StateDirectory.beside(fleet.path, fleet.name, common.state_dir)
        read.append((state, known.read(fleet, state, datetime.now(timezone.utc))))
        return read[0][1].wanted()

    with running(common, locked=locked, desired=desired) as (runner, _):
        wanted = hosts or [backups.host_of(each) for each in chosen]
        runner.names = [name for name in runner.names if name in wanted]
        if not runner.names:
            named = ", ".join(dict.fromkeys(wanted))
            raise UsageError("none of the chosen hosts has a part in this", f"it is for {named}")
        runner.report.hosts = {name: HostReport(name) for name in runner.names}
        yield runner, *read[0]
