"""Commands that contact hosts: `plan`, `apply`, `smoke`, `destroy`."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path

import click
import gevent
from rich.console import Console

from regfleet.cli.again import again
from regfleet.cli.watch import watching
from regfleet.desired.model import DesiredHost
from regfleet.desired.resolve import emptied, resolve
from regfleet.errors import EXIT_CHANGES, EXIT_FAILED, EXIT_OK, RegfleetError, UsageError
from regfleet.fleet import proven
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.materials import Materials, gather
from regfleet.report import as_json as documents
from regfleet.report import html
from regfleet.report.lines import show_text
from regfleet.report.model import HostReport, Report
from regfleet.report.plan_text import show_plan
from regfleet.report.progress import Progress
from regfleet.report.summary_text import show_summary
from regfleet.run import early
from regfleet.run.apply import Runner
from regfleet.run.selection import select
from regfleet.run.session import Session
from regfleet.run.watched import Watched
from regfleet.run.work import Work
from regfleet.state import StateDirectory


@dataclass(frozen=True, slots=True)
class Common:
    """The options that all of these commands have."""

    file: Path
    limit: tuple[str, ...]
    exclude: tuple[str, ...]
    parallel: int | None
    state_dir: Path | None
    as_json: bool
    verbose: int

    def console(self) -> Console:
        """For people: standard output, or standard error when that belongs to JSON."""
        return Console(stderr=self.as_json, highlight=False)

    def show_plan(self, runner: Runner, *, diff: bool, alone: bool = False) -> None:
        """The plan, for people; where it is not alone, a summary tells what went wrong, too."""
        show_plan(
            runner.report,
            self.console(),
            runner.fleet,
            diff=diff,
            every=bool(self.verbose),
            troubles=alone or bool(runner.to_do),
        )


def plan(*, detailed_exitcode: bool, diff: bool, **options: object) -> int:
    """Look and plan."""
    common = Common(**options)  # type: ignore[arg-type] # click has checked the types
    with _runner(common, save=False) as (runner, _):
        runner.plan()
        common.show_plan(runner, diff=diff, alone=True)
        _warn_of_state_elsewhere(runner, common.file)
        if common.as_json:
            click.echo(documents.plan_document(runner.report))
        if not runner.report.ok:
            return EXIT_FAILED
        return EXIT_CHANGES if detailed_exitcode and runner.to_do else EXIT_OK


def apply(
    *, yes: bool, smoke: bool | None, diff: bool, junit: Path | None, **options: object
) -> int:
    """Plan, ask, touch, smoke, report."""
    common = Common(**options)  # type: ignore[arg-type]
    with _runner(common, save=True, locked="apply") as (runner, state):
        runner.plan()
        common.show_plan(runner, diff=diff)
        _warn_of_state_elsewhere(runner, common.file)
        if runner.to_do:
            _confirm(yes or runner.session.stopped, "Apply this?")
            runner.touch(smoke=smoke is not False)
        if not runner.session.stopped:
            runner.smoke(_still_to_smoke(runner, smoke))
        try:
            return _finish(runner, common, junit)
        finally:
            page = html.write(
                state,
                runner.fleet,
                runner.report,
                runner.work.materials,
                when=datetime.now(timezone.utc),
                command=f"regfleet {shlex.join(sys.argv[1:])}",
            )
            _say(f"report: {page}")


def _still_to_smoke(runner: Runner, smoke: bool | None) -> list[str]:
    """The hosts to smoke-test behind the waves: all others, those of changed registries, none."""
    if smoke is None:
        return runner.also_to_smoke()
    hosts = runner.report.hosts
    return [name for name in runner.names if smoke and hosts[name].ok and not hosts[name].checks]


def smoke(*, junit: Path | None, **options: object) -> int:
    """The smoke test alone."""
    common = Common(**options)  # type: ignore[arg-type]
    with _runner(common, save=False) as (runner, state):
        missing = [
            registry.name
            for registry in runner.fleet.registries.values()
            if not registry.external
            and registry.users
            and state.read(f"registry/{registry.name}.htpasswd") is None
        ]
        if missing:
            raise UsageError(
                f"the registry {missing[0]} has not been applied from here: its users' passwords "
                "are not in the state directory",
                f"run `regfleet apply {common.file}` first, or give --state-dir",
            )
        runner.connect()
        runner.smoke([name for name in runner.names if runner.report.hosts[name].ok])
        if not any(host.checks for host in runner.report.hosts.values()) and runner.report.ok:
            common.console().print("There is nothing to smoke-test: no client has a registry.")
        return _finish(runner, common, junit)


def rollback(*, yes: bool, generation: int | None, **options: object) -> int:
    """Back to an earlier generation, host by host."""
    common = Common(**options)  # type: ignore[arg-type]
    with _runner(common, save=False, locked="rollback", desired=_nothing) as (runner, _):
        what = f"before generation {generation}" if generation else "before the newest generation"
        _confirm(yes, f"Go back to what was there {what}, on {len(runner.names)} hosts?")
        runner.connect()
        runner.roll_back(generation or 0)
        return _finish(runner, common, None)


def _nothing(fleet: Fleet) -> Mapping[str, DesiredHost]:
    return emptied(fleet, delete_data=False)


def destroy(*, yes: bool, delete_data: bool, diff: bool, **options: object) -> int:
    """Take everything of the fleet's out."""
    common = Common(**options)  # type: ignore[arg-type]

    def nothing(fleet: Fleet) -> Mapping[str, DesiredHost]:
        return emptied(fleet, delete_data=delete_data)

    with _runner(common, save=False, locked="destroy", desired=nothing) as (runner, _):
        runner.plan()
        common.show_plan(runner, diff=diff)
        if runner.to_do:
            question = "Take this out, with all images in it?" if delete_data else "Take this out?"
            _confirm(yes or runner.session.stopped, question)
            runner.touch(smoke=False, clients_first=True)
        return _finish(runner, common, None)


@contextmanager
def _runner(
    common: Common,
    *,
    save: bool,
    locked: str = "",
    desired: Callable[[Fleet], Mapping[str, DesiredHost]] | None = None,
) -> Iterator[tuple[Runner, StateDirectory]]:
    """Everything a run needs, and the connections closed behind it."""
    if common.verbose > 1:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        logging.getLogger("paramiko").setLevel(logging.INFO)
    fleet = load(common.file)
    names = select(fleet, common.limit, common.exclude)
    _warn_of_loose_host_keys(fleet, names)
    state = StateDirectory.beside(fleet.path, fleet.name, common.state_dir)
    with _lock(state, locked):
        salt = state.read_text("salt")
        if desired:  # to take things out no password is needed
            materials, wanted = Materials({}, ""), desired(fleet)
        else:
            materials = gather(fleet, state, save=save)
            wanted = resolve(fleet, materials)
        if save:
            proven.keep(fleet.proof, state)
        session = early.session(fleet, common.parallel)
        report = Report(fleet.name, {name: HostReport(name) for name in names})
        watch = watching(quiet=common.as_json, verbose=common.verbose)
        progress = Progress(watch)
        work = Work(fleet, wanted, materials, Watched(session, progress))
        with _interruptible(session, watch.say):
            try:
                yield Runner(fleet, work, session, names, report, progress, salt), state
            finally:
                session.close()


def _warn_of_loose_host_keys(fleet: Fleet, names: Sequence[str]) -> None:
    hosts = fleet.hosts()
    for checking, risk in (
        ("accept-new", "new ones are remembered unseen"),
        ("off", "any is taken"),
    ):
        loose = [
            name
            for name in names
            if hosts[name].ssh.host_key_checking == checking and not hosts[name].is_local
        ]
        if loose:
            show_text(
                Console(stderr=True, highlight=False),
                f'warning: host_key_checking = "{checking}" for {len(loose)} of '
                f"{len(names)} hosts: of their host keys {risk}; somebody in between would see "
                "what is sent",
            )


def _warn_of_state_elsewhere(runner: Runner, file: Path) -> None:
    """Whoever applies from a second machine makes a second CA: that is said, not only shown."""
    fleet = runner.fleet.name
    theirs = [name for name, seen in runner.work.seen.items() if seen.owned.get(fleet)]
    if runner.salt is None and theirs:
        show_text(
            Console(stderr=True, highlight=False),
            f"warning: {len(theirs)} of {len(runner.names)} hosts were set up for the fleet "
            f"{fleet} from elsewhere: its CA and its generated passwords are not here, and an "
            f"apply from here makes new ones. Bring .regfleet/{fleet} from beside the {file.name} "
            "that was applied, or name it by --state-dir",
        )


@contextmanager
def _interruptible(session: Session, say: Callable[[str], None]) -> Iterator[None]:
    """Ctrl-C once: the hosts in flight finish and no other is begun; twice: stop talking."""

    def interrupted(signum: int, frame: object) -> None:
        del signum, frame
        if session.stopped:
            raise KeyboardInterrupt
        session.stop()
        say("interrupted: the hosts at work finish, no other is begun; again to leave them alone")

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except KeyboardInterrupt as error:
        raise RegfleetError(
            "interrupted: hosts at work finish, or put back what they began, by themselves",
            f"`regfleet {shlex.join(sys.argv[1:])}` looks first and does what is left to do",
        ) from error
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _lock(state: StateDirectory, command: str) -> Iterator[None]:
    if not command:
        yield
        return
    with state.lock(command):
        yield


def _say(line: str) -> None:
    click.echo(line, err=True)


def _confirm(yes: bool, question: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("there is nobody to ask: standard input is no terminal", "give --yes")
    # Nothing is at work while it asks: Ctrl-C is a no.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if not click.confirm(question, err=True):
            raise click.Abort
    finally:
        signal.signal(signal.SIGINT, before)
    gevent.sleep(0.01)  # connections that ended while nobody listened are noticed


def _finish(runner: Runner, common: Common, junit: Path | None) -> int:
    report = runner.report
    show_summary(
        report,
        common.console(),
        runner.fleet,
        again=again(sys.argv[1:], report),
        seconds=runner.progress.seconds,
        every=bool(common.verbose),
    )
    if common.as_json:
        click.echo(documents.apply_document(report))
    if junit:
        try:
            junit.write_text(import_module("regfleet.report.junit").render(report), "utf-8")
        except OSError as error:
            raise UsageError(f"{junit} cannot be written: {error.strerror}") from error
    return EXIT_OK if report.ok else EXIT_FAILED
