"""A run from plan to report: phases and waves, each host once, no wave after a failed one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from regfleet import htpasswd
from regfleet.desired.resolve import clients_of, registries_on, served_on
from regfleet.errors import HostError, InterruptedRunError, RegfleetError
from regfleet.fleet.model import Fleet
from regfleet.jobs.interface import Job
from regfleet.jobs.rollback import Rollback
from regfleet.jobs.running import Ended
from regfleet.model.checks import Check
from regfleet.model.desired import DesiredHost
from regfleet.model.names import counted
from regfleet.model.observed import ObservedData, ObservedHost
from regfleet.model.plan import Change, LogIn, Plan
from regfleet.model.report import HostReport, NotCompared, Report
from regfleet.model.resource import Resource
from regfleet.run import moves, shared
from regfleet.run.back import gone, with_other_roles
from regfleet.run.drift import origin
from regfleet.run.progress import Progress, Stage, State, Verdict, behind, wave_title
from regfleet.run.proof import Proof, to_prove
from regfleet.run.rollout import phases, schedule
from regfleet.run.turns import UNREACHABLE
from regfleet.run.work import Work
from regfleet.smoke.render import subjects
from regfleet.ssh.session import Session
from regfleet.touch.generations import Generations
from regfleet.touch.outcome import Outcome

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class Runner:
    """A run over the chosen hosts of a fleet.

    Attributes:
        progress: follows every stage and each host in it.
        salt: the salt of the logins' digests; None if the hosts' digests have a lost salt.
        proof: records which hosts are not proven; None to record nothing.
        unknown: by host, resources that cannot be compared, because their secrets are unknown.
    """

    fleet: Fleet
    work: Work
    session: Session
    names: Sequence[str]
    report: Report
    progress: Progress
    salt: str | None = None
    proof: Proof | None = None
    unknown: Mapping[str, frozenset[Resource]] = field(default_factory=dict)

    def plan(self, *, clients_first: bool = False) -> None:
        """Look at every host and plan; errors, and what is skipped for them, go into the report.

        Args:
            clients_first: as in `touch`.
        """
        with self.progress.during(_stage("looking at", self.names)) as stage:
            self._each(
                stage,
                self.work.plan,
                self.names,
                state="looking",
                note=self._record_plan,
                verdict=_done_verdict,
            )
        if all(host.ok for host in self.report.hosts.values()):
            return
        wrong = _wrong(clients_first=clients_first)
        for wave in schedule(self.fleet, self.to_do, clients_first=clients_first):
            for name in wave:  # in the order of the touch: who is skipped has others skipped
                self.report.hosts[name].skip = self._why_blocked(name, wrong)

    @property
    def ready(self) -> list[str]:
        """The hosts whose plans are not empty, and which are to be touched."""
        return [name for name in self.to_do if not self.report.hosts[name].skip]

    @property
    def to_do(self) -> list[str]:
        """The hosts whose plans are not empty."""
        return [name for name in self.names if (plan := self._plan(name)) and not plan.empty]

    @property
    def plans(self) -> list[Plan]:
        """The plans that are not empty."""
        return [plan for name in self.to_do if (plan := self._plan(name))]

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
                verdict=_done_verdict,
            )

    def touch(self, *, smoke: bool, clients_first: bool = False) -> None:
        """Carry out the plans in phases and waves; with `smoke`, test each wave before the next.

        Args:
            clients_first: touch registries last, as when they are removed.
        """
        stopped = ""
        before: list[HostReport] = []
        unfit = set() if clients_first else self._not_sharing()
        wrong = _wrong(clients_first=clients_first)
        to_do = [name for name in self.to_do if name not in unfit]
        waves = schedule(self.fleet, to_do, clients_first=clients_first)
        for number, wave in enumerate(waves, 1):
            why = {name: stopped or self._why_blocked(name, wrong) for name in wave}
            ready = [name for name in wave if not why[name]]
            for name in set(wave) - set(ready):
                self._skip(name, why[name])
            if ready:
                bad = sum(not host.ok for host in before)
                title = wave_title(number, len(waves), ready)
                if self.proof:
                    self.proof.begin(ready)
                with self.progress.during(Stage(title, ready, behind(len(before), bad))) as stage:
                    self._touch_wave(stage, ready, smoke=smoke)
            before += [self.report.hosts[name] for name in ready]
            stopped = stopped or self._limit_exceeded()
            if self.session.stopped:
                stopped = "interrupted"
        if smoke and not self.session.stopped:
            self.smoke(self._tested_too_early())

    def _tested_too_early(self) -> list[str]:
        """The hosts that were tested before a further host of their registry was changed."""
        found = [
            name
            for name in self.names
            # A changed one may have no checks: a registry without users has nothing to refuse.
            if (host := self.report.hosts[name]).ok and (host.checks or host.status == "changed")
            if self.proof and name in self.proof.hosts
        ]
        for name in found:
            self.report.hosts[name].checks = ()
        return found

    def _not_sharing(self) -> set[str]:
        """The hosts to be changed that do not share the storage of their registry; they fail."""
        found = self.report.hosts
        planned = [name for name in self.names if found[name].plan and not found[name].skip]
        bad: set[str] = set()
        for registry, hosts in shared.to_prove(self.fleet, planned):
            if not set(hosts).isdisjoint(self.to_do):
                for error in shared.prove(self.work, registry, hosts):
                    self.report.hosts[error.host].fail(error)
                    bad.add(error.host)
        return bad

    def new(self) -> list[str]:
        """The registries that this run created."""
        made = {
            (name, change.resource)
            for name, host in self.report.hosts.items()
            if host.status == "changed" and host.plan
            for change in host.plan.changes
            if change.action == "create"
        }
        return [
            service.registry
            for name in self.names
            for service in self.work.desired[name].services
            # One of its gateway may be new where the registry is not.
            if service.name == f"regfleet-{service.registry}"
            if (name, Resource(service.kind, service.name)) in made
        ]

    def generations(self) -> dict[str, Generations]:
        """The generations that each host keeps, by name; errors go into the report."""
        found: dict[str, Generations] = {}
        with self.progress.during(_stage("looking at", self.names)) as stage:
            self._each(
                stage,
                self.work.generations,
                self.names,
                state="looking",
                note=found.__setitem__,
                verdict=_done_verdict,
            )
        return {name: found[name] for name in self.names if name in found}

    def roll_back(self, ways: Mapping[str, Rollback]) -> None:
        """Roll back hosts, clients before registries.

        Args:
            ways: the rollback job of each host.
        """
        if self.proof:
            self.proof.begin(ways)
        for phase in reversed(phases(self.fleet, list(ways))):
            self.do("going back on", {name: ways[name] for name in phase})

    def do(
        self, doing: str, jobs: Mapping[str, Job[R]], *, changed: bool = False
    ) -> dict[str, R | None]:
        """Run jobs on hosts in parallel; their outcomes go into the report.

        Args:
            doing: the stage's title before the number of hosts: `going back on`.
            jobs: by host.
            changed: whether this run has changed these hosts: who is interrupted before its turn
                stays changed.

        Returns:
            The value of each job that succeeded, by host.
        """
        values: dict[str, R | None] = {}

        def one(name: str) -> Ended[R]:
            return self.work.do(name, jobs[name])

        def note(name: str, ended: Ended[R]) -> None:
            self._record_outcome(name, ended.outcome)
            if ended.outcome.result in ("changed", "unchanged"):
                values[name] = ended.value

        def verdict(name: str, ended: Ended[R]) -> Verdict:
            return _outcome_verdict(name, ended.outcome)

        with self.progress.during(_stage(doing, list(jobs))) as stage:
            self._each(
                stage,
                one,
                list(jobs),
                state="changing",
                note=note,
                verdict=verdict,
                changed=changed,
            )
        return values

    def look_again(self, names: Sequence[str]) -> None:
        """Look at hosts after a rollback: only registries that are set up are smoke-tested."""

        def note(name: str, seen: ObservedHost) -> None:
            del name, seen

        with self.progress.during(_stage("looking at", names)) as stage:
            self._each(
                stage, self.work.look, names, state="looking", note=note, verdict=_done_verdict
            )
        self.work.gone = gone(self.fleet, self.work.seen)
        self.work.other_roles = with_other_roles(self.fleet, self.work.seen)

    def smoke(self, names: Iterable[str]) -> None:
        """Smoke-test the clients among these hosts, then the registries on these hosts."""
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

        giving = [
            name
            for name in clients
            if any(subject.only_pulls for subject in subjects(self.fleet, name))
        ]
        if giving:
            from regfleet.run.registries import Registries  # noqa: PLC0415 - as below

            stage.aside = "giving registries what is to be pulled"
            Registries(self.work).give(giving)
            stage.aside = ""
        self._each(
            stage,
            self.work.smoke,
            clients,
            state="smoke-testing",
            note=note,
            verdict=_checks_verdict,
            changed=True,
        )
        # Imported here: it takes as long as looking at ten hosts.
        from regfleet.run.registries import Registries  # noqa: PLC0415

        side = Registries(self.work)
        running = [
            (name, registry)
            for name in names
            for registry in served_on(self.fleet, name)
            if registry.name not in self.work.gone.get(name, ())
        ]
        stage.aside = "asking the registries to delete what was pushed"
        checks = {name: self.report.hosts[name].checks for name in clients}
        for name, more in side.clean(checks).items():
            self.report.hosts[name].checks = (*self.report.hosts[name].checks, *more)
        for name, registry in () if self.session.stopped else running:
            stage.aside = f"asking the registry {registry.name} what it has to refuse"
            host = self.report.hosts[name]
            host.checks = (*host.checks, *side.refusals(registry, name))
        stage.aside = ""
        if self.proof and not self.session.stopped:
            hosts = {name: self.report.hosts[name] for name in names}
            self.proof.settle({name: host.checks for name, host in hosts.items() if host.went_well})

    def also_to_smoke(self) -> list[str]:
        """Unchanged hosts to smoke-test: unproven ones, and clients of a changed registry."""
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
            and (
                (self.proof and name in self.proof.hosts)
                or any(changed & set(client.registries) for client in clients_of(self.fleet, name))
            )
        ]

    def take_back_moves(self) -> None:
        """Take back what moved registries behind a gateway, where a smoke test of theirs failed."""
        failed = moves.failed(self.fleet, self.report)
        ways: dict[str, Rollback] = {}
        for name in failed:
            try:
                ways[name] = moves.way_back(name, self.work.generations(name), self.work.token)
            except RegfleetError as error:  # noqa: PERF203 - one host's error
                self.report.hosts[name].fail(error)
        if not ways:
            return
        if self.proof:
            self.proof.begin(ways)
        self.do("going back on", ways, changed=True)
        for name in ways:
            host = self.report.hosts[name]
            if host.went_well:
                host.status, host.error = "rolled-back", failed[name].message
                host.hint = "`regfleet doctor FILE` may say why; then run this again"

    def settle(self, *, owed: bool) -> None:
        """Record in the report and the state directory which hosts are not proven.

        Args:
            owed: whether a smoke test was due, so that unproven hosts count as not done.
        """
        if not self.proof:
            return
        hosts = self.report.hosts
        idle = [name for name in self.proof.hosts if not to_prove(self.fleet, name)]
        self.proof.forget(name for name in idle if name in hosts and hosts[name].went_well)
        self.report.unproven = dict(self.proof.hosts)
        self.report.owed = owed
        for name, host in hosts.items():
            host.untested = name in self.proof.hosts and host.went_well and not host.failed_checks

    def _touch_wave(self, stage: Stage, wave: Sequence[str], *, smoke: bool) -> None:
        clients = {name for name in wave if smoke and clients_of(self.fleet, name)}

        def verdict(name: str, result: Outcome) -> Verdict:
            went = _outcome_verdict(name, result)
            return "changed" if went == "done" and name in clients else went

        self._each(
            stage,
            self._touch_one,
            wave,
            state="changing",
            note=self._record_outcome,
            verdict=verdict,
        )
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
        changed: bool = False,
    ) -> None:
        """Do the work for each host and record its result or its error."""
        before = dict(stage.seconds)
        for name, result in self.session.each(stage.watched(work, state, verdict), names):
            host = self.report.hosts[name]
            host.seconds += stage.seconds[name] - before[name]
            interrupted = isinstance(result, InterruptedRunError)
            if interrupted and changed and host.status == "changed":
                host.untested = bool(subjects(self.fleet, name))
            elif isinstance(result, RegfleetError):
                host.fail(result)
            else:
                note(name, result)

    def _record_plan(self, name: str, plan: Plan) -> None:
        host = self.report.hosts[name]
        want, seen = self.work.desired[name], self.work.seen[name]
        unknown: frozenset[Resource] = self.unknown.get(name, frozenset())
        if unknown:
            plan = replace(
                plan,
                changes=tuple(
                    each for each in plan.changes if not _differs_by_stand_in(each, unknown)
                ),
            )
        host.plan = plan
        created = {each.resource for each in plan.changes if each.action == "create"}
        host.unknown = tuple(_not_compared(want, each) for each in sorted(unknown - created))
        host.origins = {change: origin(change, want, seen, self.salt) for change in plan.changes}

    @property
    def data(self) -> tuple[ObservedData, ...]:
        """The image data that is to be deleted, one item for each storage."""
        plans = [plan for name in self.ready if (plan := self._plan(name))]
        return tuple(each for plan in plans for each in plan.data)

    def _record_outcome(self, name: str, outcome: Outcome) -> None:
        host = self.report.hosts[name]
        host.end(outcome.result, outcome.error, outcome.hint)
        host.notes = tuple(dict.fromkeys((*host.notes, *outcome.notes)))
        host.uncertain = host.uncertain or outcome.cut

    def _touch_one(self, name: str) -> Outcome:
        plan = self._plan(name)
        if plan is None:
            raise HostError(name, "there is no plan for it")
        return self.work.touch(name, plan)

    def _plan(self, name: str) -> Plan | None:
        return self.report.hosts[name].plan

    def _why_blocked(self, name: str, wrong: Mapping[str, str]) -> str:
        """Why a host cannot be touched: it logs in to a registry that failed. Empty if it can.

        Args:
            wrong: by status of another machine of its registries, what is said of that.
        """
        for registry, machines in self.fleet.standing_in(name).items():
            for host in machines:
                other = self.report.hosts.get(host.name)
                if host.name != name and other and other.status in wrong:
                    return f"the registry {registry} on {host.name} {wrong[other.status]}"
        plan = self._plan(name)
        for step in plan.steps if plan else ():
            if isinstance(step, LogIn) and step.login.registry:
                for host in self.fleet.registries[step.login.registry].machines:
                    other = self.report.hosts.get(host.name)
                    if host.name != name and other and (other.skip or not other.ok):
                        status = "skipped" if other.skip else other.status
                        return f"the registry {step.login.registry} on {host.name} {status}"
        return ""

    def _skip(self, name: str, why: str) -> None:
        host = self.report.hosts[name]
        host.status, host.error = "skipped", f"not touched: {why}"
        host.hint = "" if self.session.stopped else "fix what failed, then run this again"

    def _limit_exceeded(self) -> str:
        limit = self.fleet.rollout.max_failures
        if limit is None:
            return ""
        bad = [host for host in self.report.hosts.values() if host.plan and not host.ok]
        bad = [host for host in bad if host.status != "skipped"]
        if len(bad) > limit:
            names = ", ".join(host.name for host in bad[:5])
            return f"{names} failed, more than max_failures = {limit}"
        return ""


# What is wrong with a host after which the others of its registry are left as they are.
_FAILED = {"failed": "failed", "rolled-back": "rolled-back"}


def _wrong(*, clients_first: bool) -> Mapping[str, str]:
    """`_FAILED`, and what cannot be reached; but what is removed goes from the hosts left."""
    return _FAILED if clients_first else {**_FAILED, "unreachable": UNREACHABLE}


def _differs_by_stand_in(change: Change, unknown: frozenset[Resource]) -> bool:
    """Whether an update is due only because a stand-in replaces an unknown secret."""
    update = change.action == "update" and not change.parts
    return update and change.resource in unknown


def _not_compared(want: DesiredHost, resource: Resource) -> NotCompared:
    """A resource that is not compared; an htpasswd file with its users."""
    for file in want.files:
        if file.users and resource == Resource("file", file.path):
            users = tuple(htpasswd.marks_of_users(file.content.decode()))
            return NotCompared(resource, users, file.reason)
    return NotCompared(resource)


def _stage(doing: str, names: Sequence[str]) -> Stage:
    return Stage(f"{doing} {counted(len(names))}", names)


def _done_verdict(name: str, result: object) -> Verdict:
    del name, result
    return "done"


def _outcome_verdict(name: str, result: Outcome) -> Verdict:
    del name
    return "done" if result.result in ("changed", "unchanged") else "failed"


def _checks_verdict(name: str, checks: Sequence[Check]) -> Verdict:
    del name
    return "failed" if any(check.verdict == "failed" for check in checks) else "done"
