"""An apply from plan to report: phases and waves, each host once, nothing after a bad wave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from regfleet.desired.resolve import clients_of, registries_on
from regfleet.errors import HostError, InterruptedRunError, RegfleetError
from regfleet.fleet.model import Fleet
from regfleet.plan.model import LogIn, Plan
from regfleet.report.model import HostReport, Report
from regfleet.report.names import counted
from regfleet.report.progress import Progress, Stage, State, Verdict, behind, wave_title
from regfleet.run.drift import origin
from regfleet.run.rollout import phases, schedule
from regfleet.run.session import Session
from regfleet.run.work import Work
from regfleet.smoke.outcome import Check
from regfleet.smoke.render import subjects
from regfleet.touch.outcome import Outcome

T = TypeVar("T")


@dataclass(slots=True)
class Runner:
    """A run over the chosen hosts of a fleet.

    Attributes:
        progress: told of every stage and of each host's way through it.
        salt: the salt by which logins are known; None where what is on the hosts was written
            under another one.
    """

    fleet: Fleet
    work: Work
    session: Session
    names: Sequence[str]
    report: Report
    progress: Progress
    salt: str | None = None

    def plan(self) -> None:
        """Look at every host and plan; errors go into the report."""
        with self.progress.during(_stage("looking at", self.names)) as stage:
            self._each(
                stage,
                self.work.plan,
                self.names,
                state="looking",
                note=self._note_plan,
                verdict=_well,
            )

    @property
    def to_do(self) -> list[str]:
        """The hosts whose plans are not empty."""
        return [name for name in self.names if (plan := self._plan(name)) and not plan.empty]

    def connect(self) -> None:
        """Connect to every host; errors go into the report."""

        def note(name: str, result: None) -> None:
            del name, result

        with self.progress.during(_stage("connecting to", self.names)) as stage:
            self._each(
                stage,
                self.session.connect,
                self.names,
                state="connecting",
                note=note,
                verdict=_well,
            )

    def touch(self, *, smoke: bool, clients_first: bool = False) -> None:
        """Carry out the plans in phases and waves, each smoked before the next when asked.

        Args:
            clients_first: registries last, as when they are taken out.
        """
        stopped = ""
        before: list[HostReport] = []
        waves = schedule(self.fleet, self.to_do, clients_first=clients_first)
        for number, wave in enumerate(waves, 1):
            ready = [name for name in wave if not (stopped or self._blocked(name))]
            for name in set(wave) - set(ready):
                self._skip(name, stopped or self._blocked(name))
            if ready:
                bad = sum(not host.ok for host in before)
                title = wave_title(number, len(waves), ready)
                with self.progress.during(Stage(title, ready, behind(len(before), bad))) as stage:
                    self._touch_wave(stage, ready, smoke=smoke)
            before += [self.report.hosts[name] for name in ready]
            stopped = stopped or self._too_many()
            if self.session.stopped:
                stopped = "interrupted"

    def roll_back(self, generation: int) -> None:
        """Go back on every host that is reachable, clients before registries.

        Args:
            generation: what was there before it comes back; 0 for the newest.
        """
        reachable = [name for name in self.names if self.report.hosts[name].ok]

        def one(name: str) -> Outcome:
            return self.work.roll_back(name, generation)

        for phase in reversed(phases(self.fleet, reachable)):
            with self.progress.during(_stage("going back on", phase)) as stage:
                self._each(stage, one, phase, state="changing", note=self._note, verdict=_outcome)

    def smoke(self, names: Iterable[str]) -> None:
        """The smoke test on clients among these hosts, then on the registries that they host."""
        names = list(names)
        clients = [name for name in names if clients_of(self.fleet, name)]
        if not clients and not any(registries_on(self.fleet, name) for name in names):
            return
        title = f"smoke test on {counted(len(clients))}" if clients else "smoke test of registries"
        with self.progress.during(Stage(title, clients)) as stage:
            self._smoke(stage, names, clients)

    def _smoke(self, stage: Stage, names: Sequence[str], clients: Sequence[str]) -> None:
        def note(name: str, result: tuple[Check, ...]) -> None:
            host = self.report.hosts[name]
            host.checks = (*host.checks, *result)

        self._each(
            stage, self.work.smoke, clients, state="smoke-testing", note=note, verdict=_checked
        )
        # What asks registries takes as long to import as ten hosts to look at.
        from regfleet.run.registries import Registries  # noqa: PLC0415

        side = Registries(self.work)
        registries = {
            registry.name: registry
            for name in names
            for registry in registries_on(self.fleet, name)
        }
        stage.aside = "asking the registries to delete what was pushed"
        checks = {name: self.report.hosts[name].checks for name in clients}
        for name, more in side.clean(checks).items():
            self.report.hosts[name].checks = (*self.report.hosts[name].checks, *more)
        for registry in () if self.session.stopped else registries.values():
            stage.aside = f"asking the registry {registry.name} what it has to refuse"
            host = self.report.hosts[registry.hosts[0].name]
            host.checks = (*host.checks, *side.refusals(registry))
        stage.aside = ""

    def also_to_smoke(self) -> list[str]:
        """Clients that did not change while a registry of theirs did, and were not smoked."""
        changed = {
            registry.name
            for name in self.to_do
            if self.report.hosts[name].status == "changed"
            for registry in registries_on(self.fleet, name)
        }
        return [
            name
            for name in self.names
            if self.report.hosts[name].status == "unchanged"
            and any(changed & set(client.registries) for client in clients_of(self.fleet, name))
        ]

    def _touch_wave(self, stage: Stage, wave: Sequence[str], *, smoke: bool) -> None:
        clients = {name for name in wave if smoke and clients_of(self.fleet, name)}

        def verdict(name: str, result: Outcome) -> Verdict:
            went = _outcome(name, result)
            return "changed" if went == "done" and name in clients else went

        self._each(stage, self._touch_one, wave, state="changing", note=self._note, verdict=verdict)
        well = [name for name in wave if self.report.hosts[name].ok]
        if smoke:
            self._smoke(stage, well, [name for name in well if name in clients])

    def _each(
        self,
        stage: Stage,
        work: Callable[[str], T],
        names: Sequence[str],
        *,
        state: State,
        note: Callable[[str, T], None],
        verdict: Callable[[str, T], Verdict],
    ) -> None:
        """Do the work for each host and note its result, or its error."""
        before = dict(stage.seconds)
        for name, result in self.session.each(stage.watched(work, state, verdict), names):
            host = self.report.hosts[name]
            host.seconds += stage.seconds[name] - before[name]
            if isinstance(result, InterruptedRunError) and host.status == "changed":
                host.untested = bool(subjects(self.fleet, self.work.materials, name))
            elif isinstance(result, RegfleetError):
                host.fail(result)
            else:
                note(name, result)

    def _note_plan(self, name: str, plan: Plan) -> None:
        host = self.report.hosts[name]
        want, seen = self.work.desired[name], self.work.seen[name]
        host.plan = plan
        host.origins = {change: origin(change, want, seen, self.salt) for change in plan.changes}

    def _note(self, name: str, outcome: Outcome) -> None:
        host = self.report.hosts[name]
        host.status, host.error, host.hint = outcome.result, outcome.error, outcome.hint
        host.notes = outcome.notes

    def _touch_one(self, name: str) -> Outcome:
        plan = self._plan(name)
        if plan is None:
            raise HostError(name, "there is no plan for it")
        return self.work.touch(name, plan)

    def _plan(self, name: str) -> Plan | None:
        return self.report.hosts[name].plan

    def _blocked(self, name: str) -> str:
        """Why a host cannot be touched: it is to log in to a registry that failed in this run."""
        plan = self._plan(name)
        for step in plan.steps if plan else ():
            if isinstance(step, LogIn):
                for host in self.fleet.registries[step.login.registry].hosts:
                    other = self.report.hosts.get(host.name)
                    if host.name != name and other and not other.ok:
                        return f"the registry {step.login.registry} on {host.name} {other.status}"
        return ""

    def _skip(self, name: str, why: str) -> None:
        host = self.report.hosts[name]
        host.status, host.error = "skipped", f"not touched: {why}"
        host.hint = "" if self.session.stopped else "mend what failed, then run it again"

    def _too_many(self) -> str:
        limit = self.fleet.rollout.max_failures
        if limit is None:
            return ""
        bad = [host for host in self.report.hosts.values() if host.plan and not host.ok]
        bad = [host for host in bad if host.status != "skipped"]
        if len(bad) > limit:
            names = ", ".join(host.name for host in bad[:5])
            return f"{names} failed, more than max_failures = {limit}"
        return ""


def _stage(doing: str, names: Sequence[str]) -> Stage:
    return Stage(f"{doing} {counted(len(names))}", names)


def _well(name: str, result: object) -> Verdict:
    del name, result
    return "done"


def _outcome(name: str, result: Outcome) -> Verdict:
    del name
    return "done" if result.result in ("changed", "unchanged") else "failed"


def _checked(name: str, checks: Sequence[Check]) -> Verdict:
    del name
    return "failed" if any(check.verdict == "failed" for check in checks) else "done"
