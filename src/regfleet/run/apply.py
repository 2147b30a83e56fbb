"""An apply from plan to report: phases and waves, each host once, nothing after a bad wave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from regfleet.desired.resolve import clients_of, registries_on
from regfleet.errors import HostError, RegfleetError
from regfleet.fleet.model import Fleet
from regfleet.plan.model import LogIn, Plan
from regfleet.report.model import HostReport, Report
from regfleet.run.registries import Registries
from regfleet.run.rollout import phases, waves
from regfleet.run.session import Session
from regfleet.run.work import Work
from regfleet.touch.outcome import Outcome

Say = Callable[[str], None]


@dataclass(slots=True)
class Runner:
    """A run over the chosen hosts of a fleet.

    Attributes:
        say: takes one line of progress at a time.
    """

    fleet: Fleet
    work: Work
    session: Session
    names: Sequence[str]
    report: Report
    say: Say

    def plan(self) -> None:
        """Look at every host and plan; errors go into the report."""
        self.say(f"looking at {_count(self.names)}")
        begun = time.monotonic()
        for name, result in self.session.each(self.work.plan, self.names):
            host = self.report.hosts[name]
            host.seconds = time.monotonic() - begun
            if isinstance(result, RegfleetError):
                host.fail(result)
                self.say(f"{name}: {host.status}: {result.message}")
            else:
                host.plan = result

    @property
    def to_do(self) -> list[str]:
        """The hosts whose plans are not empty."""
        return [name for name in self.names if (plan := self._plan(name)) and not plan.empty]

    def connect(self) -> None:
        """Connect to every host; errors go into the report."""
        self.say(f"connecting to {_count(self.names)}")
        for name, result in self.session.each(self.session.connect, self.names):
            if isinstance(result, RegfleetError):
                self.report.hosts[name].fail(result)
                self.say(f"{name}: {self.report.hosts[name].status}: {result.message}")

    def touch(self, *, smoke: bool, clients_first: bool = False) -> None:
        """Carry out the plans in phases and waves, each smoked before the next when asked.

        Args:
            clients_first: registries last, as when they are taken out.
        """
        stopped = ""
        order = phases(self.fleet, self.to_do)
        for phase in reversed(order) if clients_first else order:
            for wave in waves(phase, self.fleet.rollout):
                ready = [name for name in wave if not (stopped or self._blocked(name))]
                for name in set(wave) - set(ready):
                    self._skip(name, stopped or self._blocked(name))
                if ready:
                    self._touch_wave(ready)
                    if smoke and not self.session.stopped:
                        self.smoke([name for name in ready if self.report.hosts[name].ok])
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
            for name, result in self.session.each(one, phase):
                self._note(name, result)

    def smoke(self, names: Iterable[str]) -> None:
        """The smoke test on clients among these hosts, then on the registries that they host."""
        names = list(names)
        clients = [name for name in names if clients_of(self.fleet, name)]
        registries = {
            registry.name: registry
            for name in names
            for registry in registries_on(self.fleet, name)
        }
        if clients:
            self.say(f"smoke test on {_count(clients)}")
        for name, result in self.session.each(self.work.smoke, clients):
            host = self.report.hosts[name]
            if isinstance(result, RegfleetError):
                host.fail(result)
            else:
                host.checks = (*host.checks, *result)
            self._say_host(host, "smoke test")
        side = Registries(self.work)
        checks = {name: self.report.hosts[name].checks for name in clients}
        for name, more in side.clean(checks).items():
            self.report.hosts[name].checks = (*self.report.hosts[name].checks, *more)
        for registry in registries.values():
            host = self.report.hosts[registry.hosts[0].name]
            host.checks = (*host.checks, *side.refusals(registry))

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

    def _touch_wave(self, wave: Sequence[str]) -> None:
        self.say(f"changing {_count(wave)}: {', '.join(wave[:8])}{' ...' if wave[8:] else ''}")
        begun = time.monotonic()
        for name, result in self.session.each(self._touch_one, wave):
            self.report.hosts[name].seconds += time.monotonic() - begun
            self._note(name, result)

    def _note(self, name: str, result: Outcome | RegfleetError) -> None:
        host = self.report.hosts[name]
        if isinstance(result, RegfleetError):
            host.fail(result)
        else:
            host.status, host.error, host.hint = result.result, result.error, result.hint
            host.notes = result.notes
        self._say_host(host, "")

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
        host.hint = "mend what failed, then run apply again"

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

    def _say_host(self, host: HostReport, what: str) -> None:
        verdict: str = host.status
        if what and host.ok:
            ran = any(check.verdict != "skipped" for check in host.checks)
            verdict = f"{what} {'passed' if ran else 'skipped'}"
        elif what:
            verdict = f"{what} failed"
        self.say(f"{host.name}: {verdict}")
        for note in host.notes:
            self.say(f"{host.name}: {note}")


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} host{'' if len(names) == 1 else 's'}"
