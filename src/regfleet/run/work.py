"""The steps of a run on one host: look, plan, touch, job, smoke test."""

from __future__ import annotations

import getpass
import itertools
import os
import secrets
import shlex
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

from regfleet.engines import ENGINES
from regfleet.errors import HostError
from regfleet.fleet.model import Fleet
from regfleet.jobs import running
from regfleet.jobs.interface import Job
from regfleet.jobs.recovery import Recovery
from regfleet.jobs.render import render as render_job
from regfleet.jobs.running import Ended
from regfleet.look import guesses, ports, request
from regfleet.look.parse import parse
from regfleet.materials import Materials
from regfleet.model.checks import Check
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import InstallEngine, InstallProgram, Plan
from regfleet.model.service import Image, Service
from regfleet.model.status import WrongLogins
from regfleet.plan.diff import diff
from regfleet.registry_api.tunnel import Dial
from regfleet.run.wanted import Wanted
from regfleet.shell.frame import framed, stray
from regfleet.shell.how_far import Ear, HowFar
from regfleet.smoke import outcome as smoke_outcome
from regfleet.smoke import render as smoke_render
from regfleet.ssh.first_looks import FirstLook
from regfleet.ssh.limits import LOOK_SECONDS, SMOKE_SECONDS, TOUCH_SECONDS
from regfleet.touch import archive, generations, packages, render
from regfleet.touch.generations import Generations
from regfleet.touch.outcome import Outcome

R = TypeVar("R")

# Shell to run at each boundary of a touch or job: for fault injection alone (see touch/program).
_HOOK = "REGFLEET_TOUCH_HOOK"


class Connections(running.Connection, Protocol):
    """Connections to hosts, by name: `session.Session`, or pyinfra's own command line."""

    def look(self, name: str, program: str, mark: str) -> ObservedHost:
        """Look at a host, with the mark that frames the program's answer."""

    def send(self, name: str, image: Image, *, load: str, fleet: str = "") -> None:
        """Send an image archive; `load` and `fleet` as in `touch.archive.receive`."""

    def tunnel(self, name: str, port: int, address: str = "127.0.0.1") -> Dial | None:
        """A tunnel to a port at an address of the host; None if the host is this machine."""


class Work:
    """One run's work on hosts.

    Args:
        fleet: the fleet.
        desired: the desired state of each host.
        materials: passwords and salts.
        connections: connections to the hosts.
        looks: looks that were begun already, by host; each is used once.

    Attributes:
        seen: the look at each host; one a run.
        token: this run's id on hosts, and its tag in smoke repositories.
        number: this run's number in the state directory; 0 until it has one.
        gone: by host, registries that are not there or not set up there any more, after a
            rollback: they are not smoke-tested.
        other_roles: registries that have other roles than declared, after a rollback: what depends
            on roles is not smoke-tested.
        tell: told now and then how far the job on a host is; None for nobody.
        given: by host and registry, what `registries.Registries.give` has put there to be pulled.
    """

    def __init__(
        self,
        fleet: Fleet,
        desired: Mapping[str, DesiredHost],
        materials: Materials,
        connections: Connections,
        looks: Mapping[str, FirstLook] | None = None,
    ) -> None:
        self.fleet = fleet
        self.desired = desired
        self.materials = materials
        self.connections = connections
        self.seen: dict[str, ObservedHost] = {}
        self.token = f"run-{secrets.token_hex(6)}"
        self.number = 0
        self.gone: dict[str, frozenset[str]] = {}
        self.other_roles: frozenset[str] = frozenset()
        self.given: dict[tuple[str, str], smoke_render.Given] = {}
        self.tell: Callable[[str, HowFar], None] | None = None
        self._marks = itertools.count(1)
        self._looks = dict(looks or {})
        self._who = f"{_user()}@{socket.gethostname()}: regfleet, fleet {fleet.name}"

    @classmethod
    def of(
        cls,
        wanted: Wanted,
        connections: Connections,
        looks: Mapping[str, FirstLook] | None = None,
    ) -> Work:
        """The work that brings hosts to their desired states."""
        return cls(wanted.fleet, wanted.desired, wanted.materials, connections, looks)

    def plan(self, name: str) -> Plan:
        """Look at a host and plan it.

        Raises:
            HostError: unreachable, or its desired state cannot be reached.
        """
        want = self.desired[name]
        if name not in self.seen:
            self.seen[name] = self._with_holders(name, self._look_at(name))
        plan = diff(want, self.seen[name], self.materials.salt)
        for step in plan.steps:
            if isinstance(step, InstallEngine | InstallProgram):
                plan = packages.with_packages(plan, step, self._foreseen(name, step))
        return plan

    def _foreseen(self, name: str, step: packages.Installing) -> packages.Foreseen:
        mark = self._new_mark()
        lines = self.connections.run(name, packages.render(step, mark), LOOK_SECONDS)
        return packages.parse(lines, mark)

    def look(self, name: str) -> ObservedHost:
        """Look at a host.

        Raises:
            HostError: unreachable, or the look failed.
        """
        self.seen[name] = self._look_at(name)
        return self.seen[name]

    def _new_mark(self) -> str:
        """A word for one program on one host."""
        return f"{self.token}-{next(self._marks)}"

    def _look_at(self, name: str) -> ObservedHost:
        begun = self._looks.pop(name, None)
        if begun and (lines := begun.lines()):
            with suppress(HostError):  # a second look has the connection that it needs, or says why
                return parse(name, lines, begun.mark)
        mark = self._new_mark()
        program = request.render(self.desired[name], self.materials.salt, mark)
        return self.connections.look(name, program, mark)

    def _with_holders(self, name: str, seen: ObservedHost) -> ObservedHost:
        """What was seen, with the registries to be adopted that serve a registry's port.

        Raises:
            HostError: a program listens there that the plan does not stop.
        """
        want = self.desired[name]
        for service in ports.in_question(want, seen):
            mark = self._new_mark()
            lines = self.connections.run(name, ports.render(service.port, mark), LOOK_SECONDS)
            holder = ports.parse(name, lines, mark)
            if not ports.in_the_way(service, holder, want, seen):
                continue
            found = holder.registry
            if not service.adopt or found is None or found.obstacle:
                raise ports.refused(name, service, holder)
            mark = self._new_mark()
            program = ports.render_stores(found, service.storage, mark)
            answer = framed(self.connections.run(name, program, LOOK_SECONDS), mark)
            seen = ports.with_stores(name, seen, service, found, answer)
        return seen

    def touch(self, name: str, plan: Plan) -> Outcome:
        """Carry out a plan that is not empty.

        Where it only installs an engine, the host is looked at again and the rest carried out.
        Where an earlier touch was cut off, that is put back first, and the host looked at again.
        Where this one is cut off, the host is connected to again and asked how it went: it goes
        on without us.

        Raises:
            HostError: nothing was sent, or an archive did not arrive.
        """
        notes: tuple[str, ...] = ()
        if self.seen[name].pending:
            recovered = self.do(name, Recovery()).outcome
            if recovered.result not in ("changed", "unchanged"):
                return recovered
            notes = recovered.notes
            del self.seen[name]
            plan = self.plan(name)
            if plan.empty:
                return Outcome("changed", notes=notes)
        # Another image store may come with a restart: then the archive waits until that is done.
        seen = self.seen[name]
        for image in plan.archives:
            now = seen.state_of(image.engine)[0] == "up" and plan.activation != "restart"
            load = ENGINES[image.engine].load
            load = archive.loading(load, seen.engine) if now else ""
            new = image.reference not in seen.images
            self.connections.send(name, image, load=load, fleet=self.fleet.name if new else "")
        hook = os.environ.get(_HOOK, "")
        ended = self._run(
            name, lambda mark: render.render(plan, mark, self._who, hook, number=self.number)
        )
        if plan.again and ended.result == "changed":
            del self.seen[name]
            rest = self.plan(name)
            if rest.again:
                return replace(ended, result="failed", error="what was installed is not there")
            ended = ended if rest.empty else self.touch(name, rest)
        return replace(ended, notes=(*notes, *ended.notes))

    def generations(self, name: str) -> Generations:
        """The generations that a host keeps.

        Raises:
            HostError: unreachable, or it did not answer.
        """
        mark = self._new_mark()
        lines = self.connections.run(name, render.render_generations(mark), LOOK_SECONDS)
        return generations.parse(name, lines, mark)

    def wrong_logins(self, name: str, gateway: Service) -> WrongLogins | None:
        """What the log of a registry's gateway on a host says of wrong passwords.

        Raises:
            HostError: unreachable, or it did not answer in time.
        """
        mark = self._new_mark()
        program = guesses.render(gateway, mark)
        return guesses.parse(self.connections.run(name, program, LOOK_SECONDS), mark)

    def do(self, name: str, job: Job[R]) -> Ended[R]:
        """Run a job on a host; it first undoes an interrupted change.

        Raises:
            UnreachableError: nothing was sent.
        """
        words = [ENGINES[engine].shell for engine in self.desired[name].engines]
        hook = os.environ.get(_HOOK, "")
        ended = self._run(
            name,
            lambda mark: render_job(job, mark, self._who, words, hook, number=self.number),
            job.seconds or TOUCH_SECONDS,
        )
        return running.read(job, ended)

    def _run(
        self, name: str, rendered: Callable[[str], str], seconds: float = TOUCH_SECONDS
    ) -> Outcome:
        """Run a touch or a job with a unique mark.

        Args:
            rendered: renders the program for a mark.

        Raises:
            UnreachableError: there was no connection, and nothing was sent.
        """
        mark = self._new_mark()
        tell = self.tell
        ear = Ear(mark, lambda said: tell(name, said)) if tell else None
        return running.run(
            self.connections,
            name,
            mark,
            rendered(mark),
            seconds=seconds,
            how_to_look=shlex.join(["regfleet", "plan", self.fleet.path.name, "--limit", name]),
            heard=ear.hear if ear else None,
        )

    def smoke(self, name: str) -> tuple[Check, ...]:
        """The smoke test of one client; no checks if the host is none.

        Raises:
            HostError: the connection broke, or the image did not arrive.
        """
        skipped = tuple(
            Check(f"{registry.name}/push", "skipped", "the fleet file does not let it be pushed to")
            for registry in smoke_render.skipped(self.fleet, name)
        )
        reasons = [
            (test, self._why_not(name, test)) for test in smoke_render.subjects(self.fleet, name)
        ]
        skipped += tuple(
            Check(f"{test.registry.name}/push", "skipped", why) for test, why in reasons if why
        )
        tests = tuple(test for test, why in reasons if not why)
        if not tests:
            return skipped
        engine = ENGINES[self.desired[name].engines[-1]]
        if engine.no_smoke:
            skipped += tuple(
                Check(f"{test.registry.name}/push", "skipped", engine.no_smoke) for test in tests
            )
            tests = ()
        if not tests:
            return skipped
        brought = False
        pushes = any(not test.only_pulls for test in tests)
        for image in self.desired[name].images if pushes else ():
            if name not in self.seen:
                self.look(name)
            if image.reference not in self.seen[name].images:
                account = self.desired[name].account
                load = archive.loading(engine.load, self.seen[name].engine, account)
                self.connections.send(name, image, load=load)
                brought = True
        program = smoke_render.render(
            tests,
            self.fleet.smoke.image,
            self.token,
            engine=engine.shell,
            brought=brought,
            account=self.desired[name].account,
            given={test.registry.name: self._given(name, test) for test in tests},
        )
        lines = self.connections.run(name, program, SMOKE_SECONDS)
        checks = smoke_outcome.parse(lines, self.token, [test.registry.name for test in tests])
        if not checks:
            said = stray(framed(lines, self.token))
            raise HostError(
                name,
                f"the smoke test did not run: {said or 'no output'}",
                "log in by hand and see whether `docker info` works",
            )
        return (*checks, *skipped)

    def _why_not(self, name: str, test: smoke_render.Subject) -> str:
        """Why a registry is not tested from a host; empty where it is."""
        if test.registry.name in self.gone.get(name, frozenset()):
            return "it is not set up there after the rollback"
        if test.registry.name in self.other_roles:
            return smoke_render.OTHER_ROLES
        return test.untestable or self._given(name, test).why

    def _given(self, name: str, test: smoke_render.Subject) -> smoke_render.Given:
        if not test.only_pulls:
            return smoke_render.Given()
        missing = smoke_render.Given(why=f"{test.only_pulls}, and nothing was put there to pull")
        return self.given.get((name, test.registry.name), missing)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.geteuid()}"
