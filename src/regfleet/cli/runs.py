"""The commands `plan`, `apply`, `smoke` and `destroy`."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from importlib import import_module
from pathlib import Path

import gevent
from rich.console import Console

from regfleet import state_paths
from regfleet.cli.again import again
from regfleet.cli.watch import watching
from regfleet.errors import (
    EXIT_CHANGES,
    EXIT_FAILED,
    EXIT_OK,
    DeclinedError,
    InterruptedCommandError,
    UsageError,
)
from regfleet.fleet.model import Fleet
from regfleet.model.names import counted, listed
from regfleet.model.status import Care
from regfleet.plan.storages import amount
from regfleet.report import approved as approved_plan
from regfleet.report import as_json as documents
from regfleet.report import html
from regfleet.report.access_text import show_access
from regfleet.report.lines import show_text
from regfleet.report.plan_text import show_plan
from regfleet.report.summary_text import show_summary, show_troubles
from regfleet.report.warnings_text import show_warnings
from regfleet.run import build, gone, identity, machines, samples
from regfleet.run.apply import Runner
from regfleet.run.care import care
from regfleet.run.opening import Opening, open_run, take
from regfleet.run.recording import Recording
from regfleet.run.wanted import Wanted, nothing
from regfleet.ssh import early, ways
from regfleet.ssh.session import Session
from regfleet.state import StagedState, StateDirectory
from regfleet.terminal import interrupts, streams
from regfleet.terminal.console import beside_document, people


@dataclass(frozen=True, slots=True)
class Common:
    """The options that all these commands share."""

    file: Path
    limit: tuple[str, ...]
    exclude: tuple[str, ...]
    parallel: int | None
    state_dir: Path | None
    as_json: bool
    verbose: int

    @classmethod
    def of(cls, options: Mapping[str, object]) -> Common:
        """The shared options of a command, which click gives as words of the names above."""
        return cls(**options)  # type: ignore[arg-type] # click has checked the types

    def console(self) -> Console:
        """The console for people: standard output; standard error with `--json`."""
        return beside_document(as_json=self.as_json)

    def tells_people(self) -> bool:
        """Whether more than errors is printed for people."""
        return streams.people_are_shown(as_json=self.as_json)

    def show_warnings(self, fleet: Fleet) -> None:
        """Print the fleet file's warnings."""
        if self.tells_people():
            show_warnings(fleet)

    def show_errors(self, runner: Runner) -> None:
        """Print errors if nothing else is printed beside a document."""
        if not self.tells_people():
            show_troubles(runner.report, people(stderr=True), runner.fleet)

    def show_plan(
        self,
        runner: Runner,
        *,
        diff: bool,
        alone: bool = False,
        asking: bool = False,
        destroyed: bool = False,
    ) -> None:
        """Print the plan.

        Args:
            alone: whether no summary follows, so that the plan has to show the errors.
            asking: whether the user is asked to confirm it, so that it is always printed.
            destroyed: whether everything is removed, registries last.
        """
        show_plan(
            runner.report,
            people(stderr=True) if asking and self.as_json else self.console(),
            runner.fleet,
            diff=diff,
            every=bool(self.verbose),
            troubles=alone or bool(runner.to_do),
            destroyed=destroyed,
        )


def plan(
    *,
    detailed_exitcode: bool,
    diff: bool,
    no_secrets: bool = False,
    prune: bool = False,
    **options: object,
) -> int:
    """Look at hosts and print the plan."""
    common = Common.of(options)
    with running(common, secrets=not no_secrets, prune=prune) as (runner, state):
        runner.plan()
        _tell_machines(common, runner, state)
        _tell_notes(common, runner)
        if runner.proof:
            runner.report.unproven = dict(runner.proof.hosts)
        common.show_plan(runner, diff=diff, alone=True)
        common.show_errors(runner)
        common.show_warnings(runner.fleet)
        if not no_secrets and common.tells_people() and (error := _new_identity(runner, state)):
            show_text(people(stderr=True), f"warning: {error}")
        if common.as_json:
            streams.print_document(documents.plan_document(runner.report, diff=diff))
        if not runner.report.ok:
            return EXIT_FAILED
        return EXIT_CHANGES if detailed_exitcode and runner.to_do else EXIT_OK


def apply(
    *,
    yes: bool,
    smoke: bool | None,
    diff: bool,
    junit: Path | None,
    how_to_log_in: bool = False,
    new_identity: bool = False,
    prune: bool = False,
    forget: Sequence[str] = (),
    approved: Path | None = None,
    **options: object,
) -> int:
    """Plan, ask, touch, smoke, report.

    Args:
        approved: a file with a plan; nothing else is changed than it has, and nobody is asked.
        how_to_log_in: print how to log in even if no registry is new.
    """
    common = Common.of(options)
    allowed = approved_plan.read(approved) if approved else None
    with running(common, locked="apply", prune=prune, forget=forget) as (runner, state):
        runner.plan()
        _tell_machines(common, runner, state)
        _tell_notes(common, runner)
        if not new_identity and (error := _new_identity(runner, state)):
            raise error
        if allowed:
            now = json.loads(documents.plan_document(runner.report, diff=True))
            if refused := approved_plan.refused(allowed, now):
                raise refused
        agreed = yes or allowed is not None
        common.show_plan(runner, diff=diff, asking=bool(runner.ready) and not agreed)
        common.show_warnings(runner.fleet)
        recording = Recording(state, runner.work, runner.proof, "apply")
        confirm(agreed or runner.session.stopped or not runner.ready, "Apply this?")
        if runner.ready or runner.report.ok:  # otherwise no host uses the new passwords and CA
            gone.note(runner.fleet, state, gone.planned(runner.report), runner.work.desired)
            state.keep()
        if runner.ready:
            recording.begin_plans(runner.plans)
        if runner.to_do:
            runner.touch(smoke=smoke is not False)
        if not runner.session.stopped:
            runner.smoke(_smoke_after_waves(runner, smoke))
        if not runner.session.stopped:
            runner.take_back_moves()
        runner.settle(owed=smoke is not False)
        gone.pruned(StateDirectory(state.path), runner.report)
        samples.keep(state, runner.fleet, runner.work.seen)
        well = [name for name, host in runner.report.hosts.items() if host.went_well]
        machines.keep(StateDirectory(state.path), runner.fleet, runner.work.seen, well)
        try:
            return finish(runner, common, junit, diff=diff)
        finally:
            recording.finish(runner.report)
            page = html.write(
                StateDirectory(state.path),
                runner.fleet,
                runner.report,
                runner.work.materials,
                when=datetime.now(timezone.utc),
                command=f"regfleet {shlex.join(sys.argv[1:])}",
                also=recording.run.page if recording.run else "",
                care=_care(runner, state),
            )
            streams.say_beside(f"report: {page}", as_json=common.as_json)
            if runner.report.ok:
                registries = list(runner.fleet.registries) if how_to_log_in else runner.new()
                show_access(runner.fleet, registries, state, common.console())


def _care(runner: Runner, state: StagedState) -> Care:
    kept, work = StateDirectory(state.path), runner.work
    return care(runner.fleet, work.desired, work.seen, kept, samples.read(kept))


def _smoke_after_waves(runner: Runner, smoke: bool | None) -> list[str]:
    """The hosts to smoke-test after the waves: by `smoke`, all others, the affected, or none."""
    if smoke is None:
        return runner.also_to_smoke()
    hosts = runner.report.hosts
    return [name for name in runner.names if smoke and hosts[name].ok and not hosts[name].checks]


def smoke(*, junit: Path | None, **options: object) -> int:
    """Run the smoke test only."""
    common = Common.of(options)
    with running(common) as (runner, state):
        new = state.new()
        missing = [
            registry.name
            for registry in runner.fleet.registries.values()
            if not registry.external
            and (registry.users or registry.tls.source == "fleet-ca")
            and new & {state_paths.htpasswd(registry.name), state_paths.CA_KEY}
        ]
        if missing:
            raise UsageError(
                f"the registry {missing[0]} has not been applied from here: its users' passwords "
                f"or its CA are not in the state directory {state.path}",
                f"run `regfleet apply {common.file}` first, or give --state-dir",
            )
        runner.connect()
        runner.smoke([name for name in runner.names if runner.report.hosts[name].ok])
        runner.settle(owed=True)
        if not any(host.checks for host in runner.report.hosts.values()) and runner.report.ok:
            show_text(common.console(), "There is nothing to smoke-test: no client has a registry.")
        return finish(runner, common, junit)


def destroy(*, yes: bool, delete_data: bool, diff: bool, **options: object) -> int:
    """Remove everything that the fleet owns."""
    common = Common.of(options)

    taken_out = partial(nothing, delete_data=delete_data)
    with running(common, locked="destroy", desired=taken_out) as (runner, state):
        runner.plan(clients_first=True)
        _tell_machines(common, runner, state)
        asking = bool(runner.ready) and not yes
        common.show_plan(runner, diff=diff, asking=asking, destroyed=True)
        recording = Recording(state, runner.work, runner.proof, "destroy")
        if runner.ready:
            data = f", with {amount(runner.data)}" if runner.data else ""
            question = f"Take this out{data}?"
            confirm(yes or runner.session.stopped, question)
            recording.begin_plans(runner.plans)
        if runner.to_do:
            runner.touch(smoke=False, clients_first=True)
        gone.pruned(StateDirectory(state.path), runner.report, everything=True)
        if runner.proof:
            hosts = runner.report.hosts.values()
            runner.proof.forget(host.name for host in hosts if host.went_well)
        runner.settle(owed=False)
        recording.finish(runner.report)
        return finish(runner, common, None, diff=diff)


@contextmanager
def running(
    common: Common,
    *,
    locked: str = "",
    secrets: bool = True,
    desired: Callable[[Fleet], Wanted] | None = None,
    prune: bool = False,
    forget: Sequence[str] = (),
) -> Iterator[tuple[Runner, StagedState]]:
    """The runner of a run, and its staged state; connections are closed afterwards.

    Args:
        locked, secrets, prune, forget: as in `Opening`.
        desired: gives the hosts' desired state instead of the fleet file.
    """
    if common.verbose > 1:
        streams.log()
    opening = Opening(
        common.file,
        common.limit,
        common.exclude,
        common.state_dir,
        locked,
        prune,
        tuple(forget),
        secrets,
    )
    begun = None if desired else take(opening)
    opened = begun or open_run(opening, desired=desired)
    fleet, left = opened.fleet, opened.left
    with closing(opened):
        if common.tells_people():
            _warn_of_loose_host_keys(fleet, opened.names)
        session = early.session(fleet, common.parallel)
        watch = watching(quiet=common.as_json, verbose=common.verbose)
        run = build.runner(
            opened.wanted.also(gone.wanted(fleet, left)),
            opened.names,
            session,
            watch,
            opened.state if secrets else None,
            alone=bool(locked),
            gone={name: member.groups for name, member in left.items()},
            looks=opened.looks,
        )
        with _interruptible(session, watch.say), run as runner:
            yield runner, opened.staged


def _warn_of_loose_host_keys(fleet: Fleet, names: Sequence[str]) -> None:
    hosts = fleet.hosts()
    found = ways.checking([hosts[name] for name in names])
    for checking, risk in (
        ("accept-new", "new ones are remembered unseen"),
        ("off", "any is accepted"),
    ):
        loose = [name for name in names if found.get(name) == checking]
        if loose:
            show_text(
                people(stderr=True),
                f'warning: host_key_checking = "{checking}" for {len(loose)} of '
                f"{counted(len(names))}: of their host keys {risk}; somebody in between would see "
                "what is sent",
            )


def _tell_notes(common: Common, runner: Runner) -> None:
    """Tell what the plans note, each note once with its hosts."""
    hosts: dict[str, list[str]] = {}
    for name, host in runner.report.hosts.items():
        for note in host.plan.notes if host.plan else ():
            hosts.setdefault(note, []).append(name)
    if common.tells_people():
        for note, names in hosts.items():
            show_text(people(stderr=True), f"{listed(names, 60)}: {note}")


def _tell_machines(common: Common, runner: Runner, state: StagedState) -> None:
    """Refuse two names of one machine; tell which hosts are another machine than before.

    Raises:
        UsageError: two names lead to one machine.
        StateError: the state directory cannot be used.
    """
    looks, kept = runner.work.seen, StateDirectory(state.path)
    seen = {name: looks[name] for name in runner.names if name in looks}
    if error := machines.refused(seen, machines.of_others(kept, runner.fleet)):
        raise error
    again = machines.reinstalled(runner.fleet.name, seen, machines.read(kept))
    for name, words in again.items():
        runner.report.hosts[name].reinstalled = words
        if common.tells_people():
            show_text(people(stderr=True), f"{name}: {words}; it is set up like a new host")
    if common.verbose and common.tells_people():
        for names in machines.clones(seen):
            text = f"{listed(names, 60)} have one machine id, and are different machines"
            show_text(people(stderr=True), f"{text}: clones of one image")


def _new_identity(runner: Runner, state: StagedState) -> UsageError | None:
    """The error if the fleet would get a CA or passwords other than those on its hosts."""
    work = runner.work
    known = identity.Identity.of(runner.fleet, work.materials, state)
    return identity.refused(known, work.desired, work.seen, runner.names)


@contextmanager
def _interruptible(session: Session, say: Callable[[str], None]) -> Iterator[None]:
    """Ctrl-C once: hosts at work finish, no other is begun; twice: leave them alone."""

    def interrupted(signum: int, frame: object) -> None:
        del signum, frame
        if interrupts.ended():
            return
        if session.stopped:
            raise KeyboardInterrupt
        session.stop()
        say("interrupted: the hosts at work finish, no other is begun; again to leave them alone")

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except KeyboardInterrupt as error:
        interrupts.end()
        raise InterruptedCommandError(
            "interrupted: hosts at work finish, or put back what they began, by themselves",
            f"`regfleet {shlex.join(sys.argv[1:])}` completes the run",
        ) from error
    finally:
        signal.signal(signal.SIGINT, before)


def confirm(yes: bool, question: str) -> None:
    """Ask for confirmation.

    Args:
        yes: whether there is nothing to ask, as `--yes` was given.

    Raises:
        DeclinedError: the answer is no.
        UsageError: standard input is not a terminal.
    """
    if yes:
        return
    if not streams.answers_can_be_had():
        raise UsageError("there is nobody to ask: standard input is no terminal", "give --yes")
    # No host is at work meanwhile: Ctrl-C means no.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        agreed = streams.ask(question)
    finally:
        signal.signal(signal.SIGINT, before)
    if not agreed:
        raise DeclinedError
    gevent.sleep(0.01)  # lets gevent notice connections that ended meanwhile


def _smoke_command(common: Common) -> str:
    """The command that smoke-tests the fleet."""
    state = ("--state-dir", str(common.state_dir)) if common.state_dir else ()
    return shlex.join(["regfleet", "smoke", str(common.file), *state])


def finish(runner: Runner, common: Common, junit: Path | None, *, diff: bool = False) -> int:
    """Print the result of a run; returns the exit code. From here on Ctrl-C does nothing."""
    interrupts.end()
    report = runner.report
    show_summary(
        report,
        common.console(),
        runner.fleet,
        again=again(sys.argv[1:], report),
        prove=_smoke_command(common),
        seconds=runner.progress.seconds,
        every=bool(common.verbose),
    )
    common.show_errors(runner)
    if common.as_json:
        streams.print_document(documents.apply_document(report, diff=diff))
    if junit:
        try:
            junit.write_text(import_module("regfleet.report.junit").render(report), "utf-8")
        except OSError as error:
            raise UsageError(f"{junit} cannot be written: {error.strerror}") from error
    return EXIT_OK if report.ok else EXIT_FAILED
