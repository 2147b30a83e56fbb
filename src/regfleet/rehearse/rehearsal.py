"""A rehearsal from the first plan to the last trace, on the hosts of a twin that are up."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from regfleet.engines import ENGINES
from regfleet.fleet.model import Fleet
from regfleet.model.names import counted
from regfleet.model.report import Report
from regfleet.rehearse import hosts
from regfleet.rehearse.differences import Difference
from regfleet.rehearse.likeness import Part
from regfleet.rehearse.twin import Twin
from regfleet.report.plan_text import impact
from regfleet.run import build
from regfleet.run import progress as run_progress
from regfleet.run.apply import Runner
from regfleet.run.wanted import Wanted, declared, nothing
from regfleet.ssh.session import Session
from regfleet.state import StateDirectory


@dataclass(slots=True)
class Stage:
    """One stage of a rehearsal.

    Attributes:
        said: what came of it, in a few words.
        seconds: how long it took.
    """

    name: str
    said: str = ""
    seconds: float = 0.0
    ok: bool = True


@dataclass(slots=True)
class Result:
    """What a rehearsal has shown.

    Attributes:
        stages: those that were begun, in their order.
        suites: of each host.
        engines: what each host ran, as its engine says; empty where it could not be asked.
        applied, again, destroyed: None for what was not come to.
        left: by host what was otherwise at the end than at the beginning.
        differences: what it does not show.
    """

    fleet: str
    stages: list[Stage] = field(default_factory=list)
    suites: Mapping[str, str] = field(default_factory=dict)
    engines: dict[str, str] = field(default_factory=dict)
    applied: Report | None = None
    again: Report | None = None
    destroyed: Report | None = None
    left: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return all(stage.ok for stage in self.stages)


class Progress:
    """Told how far it is; this one does nothing with it."""

    def begin(self, stage: Stage) -> None:
        """A stage begins."""

    def line(self, text: str) -> None:
        """Something that takes time, or what a host came to."""

    def end(self, stage: Stage) -> None:
        """It has ended."""


@contextmanager
def staged(result: Result, progress: Progress, name: str) -> Iterator[Stage]:
    """A stage: timed, told of, and in the result; not well when left by an error."""
    stage = Stage(name)
    result.stages.append(stage)
    progress.begin(stage)
    begun = time.monotonic()
    try:
        yield stage
    except BaseException as error:
        stage.ok = False
        stage.said = "interrupted" if isinstance(error, KeyboardInterrupt) else "see below"
        raise
    finally:
        stage.seconds = time.monotonic() - begun
        progress.end(stage)


@dataclass(frozen=True, slots=True)
class _Watch:
    """Tells of a run's stages, and of each host's end, line by line."""

    progress: Progress

    @contextmanager
    def during(self, stage: run_progress.Stage) -> Iterator[None]:
        self.progress.line(stage.opening)
        stage.ended = lambda name, verdict: self.progress.line(f"{name}: {verdict}")
        yield


@dataclass(slots=True)
class Rehearsal:
    """Applies a fleet to its twin, applies it again, and takes it out.

    Attributes:
        fleet: settled (see `likeness`).
        parts: of the hosts.
        state: the twin's own.
        parallel: hosts at the same time; None for the usual number.
    """

    fleet: Fleet
    twin: Twin
    parts: tuple[Part, ...]
    state: StateDirectory
    result: Result
    progress: Progress
    parallel: int | None = None

    def run(self) -> None:
        """All of it, up to the first stage that is not well.

        Raises:
            RegfleetError: something else than a host failed.
        """
        before = hosts.traces(self.twin, self.parts)
        _ = self.apply("apply") and self.again() and self.destroy(before)

    def apply(self, name: str) -> bool:
        """Plan, touch and smoke every host; the result's first report is of the first time.

        Returns:
            Whether all is well.
        """
        with self._runner() as runner:
            with staged(self.result, self.progress, "plan") as stage:
                runner.plan()
                plans = [host.plan for host in runner.report.hosts.values() if host.plan]
                count = sum(len(plan.changes) for plan in plans)
                stage.ok = runner.report.ok
                stage.said = f"{counted(count, 'change')}; {'; '.join(impact(plans))}"
                if not stage.ok:
                    stage.said = _came_to(runner.report)
                self._note_engines(runner)
            if stage.ok:
                with staged(self.result, self.progress, name) as stage:
                    runner.touch(smoke=True)
                    runner.smoke(runner.also_to_smoke())
                    stage.said = _came_to(runner.report)
                    stage.ok = runner.report.ok
            self.result.applied = self.result.applied or runner.report
        return stage.ok

    def again(self) -> bool:
        """Plan once more: there must be nothing to do.

        Returns:
            Whether there is nothing.
        """
        with staged(self.result, self.progress, "again") as stage, self._runner() as runner:
            runner.plan()
            plans = [host.plan for host in runner.report.hosts.values() if host.plan]
            count = sum(len(plan.changes) for plan in plans)
            stage.said = f"{counted(count, 'change')} to do" if count else "nothing to do"
            stage.ok = runner.report.ok and not count
            self._note_engines(runner)  # those that were installed are there now
            self.result.again = runner.report
        return stage.ok

    def destroy(self, before: Mapping[str, str]) -> bool:
        """Take everything out, image data included, and compare.

        Args:
            before: each host's traces before anything was done.

        Returns:
            Whether all is as it was.
        """
        with staged(self.result, self.progress, "destroy") as stage:
            with self._runner(nothing(self.fleet, delete_data=True)) as runner:
                runner.plan()
                if runner.report.ok:
                    runner.touch(smoke=False, clients_first=True)
                self.result.destroyed = runner.report
            after = hosts.traces(self.twin, self.parts)
            installed = self._installed()
            found = {
                name: hosts.compare(before[name], after[name], installed=name in installed)
                for name in before
            }
            self.result.left = {name: left for name, left in found.items() if left}
            stage.ok = runner.report.ok and not self.result.left
            stage.said = "every host is as it was"
            if self.result.left:
                stage.said = f"{counted(len(self.result.left))} not as before"
            elif not runner.report.ok:
                stage.said = _came_to(runner.report)
        return stage.ok

    def _installed(self) -> set[str]:
        """The hosts whose engine came in this rehearsal, and stays."""
        applied = self.result.applied
        return {
            host.name
            for host in (applied.hosts.values() if applied else ())
            if host.plan and any(each.resource.kind == "package" for each in host.plan.changes)
        }

    def _note_engines(self, runner: Runner) -> None:
        for part in self.parts:
            seen = runner.work.seen.get(part.name)
            _, version = seen.state_of(ENGINES[part.engine].shell) if seen else ("", "")
            if version:
                self.result.engines[part.name] = version

    def _runner(self, wanted: Wanted | None = None) -> AbstractContextManager[Runner]:
        """What a run of the command line has: its own materials and connections, as users' runs."""
        wanted = wanted or declared(self.fleet, self.state)
        names = list(self.fleet.hosts())
        session = Session(self.fleet, names, self.parallel)
        return build.runner(wanted, names, session, _Watch(self.progress))


def _came_to(report: Report) -> str:
    counts: dict[str, int] = {}
    for host in report.hosts.values():
        counts[host.status] = counts.get(host.status, 0) + 1
    words = [f"{count} {status}" for status, count in counts.items()]
    checks = [check.verdict for host in report.hosts.values() for check in host.checks]
    words += [
        f"{counted(checks.count(verdict), 'smoke check')} {verdict}"
        for verdict in ("passed", "failed")
        if verdict in checks
    ]
    return ", ".join(words)
