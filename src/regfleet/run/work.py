"""The steps of a run on one host each: look and plan, touch, smoke; what they share is here."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from regfleet.desired.model import DesiredHost, Image
from regfleet.engines import ENGINES
from regfleet.errors import HostError
from regfleet.fleet.model import Fleet
from regfleet.look import request
from regfleet.look.observed import ObservedHost
from regfleet.materials import Materials
from regfleet.plan.diff import diff
from regfleet.plan.model import Plan
from regfleet.registry_api.tunnel import Dial
from regfleet.run.limits import SMOKE_SECONDS, TOUCH_SECONDS
from regfleet.smoke import outcome as smoke_outcome
from regfleet.smoke import render as smoke_render
from regfleet.smoke.outcome import Check
from regfleet.touch import outcome, render

# Shell to run at each boundary of a touch: for fault injection alone (see touch/program).
HOOK = os.environ.get("REGFLEET_TOUCH_HOOK", "")


class Connections(Protocol):
    """Ways to hosts, by name: `session.Session`, or pyinfra's own command line."""

    def look(self, name: str, program: str) -> ObservedHost:
        """One look."""

    def run(self, name: str, program: str, seconds: int) -> list[str]:
        """Run a program, its output's lines."""

    def ask_again(self, name: str, program: str) -> list[str]:
        """Connect anew to a host whose connection broke, and run a program there."""

    def send(self, name: str, image: Image, *, load: str) -> None:
        """Send an image archive; `load` as in `touch.archive.receive`."""

    def tunnel(self, name: str, port: int) -> Dial | None:
        """A way to a port of the host, None where it is this machine."""


class Work:
    """One run's work on hosts.

    Args:
        fleet: the fleet.
        desired: what each host should have.
        materials: passwords and salts.
        connections: the way to the hosts.

    Attributes:
        seen: what the look found, by host: looked at once a run.
        token: this run's tag in smoke repositories.
    """

    def __init__(
        self,
        fleet: Fleet,
        desired: Mapping[str, DesiredHost],
        materials: Materials,
        connections: Connections,
    ) -> None:
        self.fleet = fleet
        self.desired = desired
        self.materials = materials
        self.connections = connections
        self.seen: dict[str, ObservedHost] = {}
        self.token = f"run-{secrets.token_hex(6)}"
        self._who = f"{_user()}@{socket.gethostname()}: regfleet, fleet {fleet.name}"

    def plan(self, name: str) -> Plan:
        """Look at a host and say what is to be done there.

        Raises:
            HostError: unreachable, or it cannot be brought to what is wanted.
        """
        want = self.desired[name]
        if name not in self.seen:
            program = request.render(want, self.materials.salt)
            self.seen[name] = self.connections.look(name, program)
        engines = [ENGINES[engine] for engine in want.engines]
        return diff(want, self.seen[name], self.materials.salt, engines)

    def touch(self, name: str, plan: Plan) -> outcome.Outcome:
        """Carry out a plan that is not empty.

        Where it only installs an engine, the host is looked at again and the rest carried out.
        Where an earlier touch was cut off, that is put back first, and the host looked at again.
        Where this one is cut off, the host is connected to again and asked how it went: it goes
        on without us.

        Raises:
            HostError: the connection broke and stays broken, or an archive did not arrive.
        """
        notes: tuple[str, ...] = ()
        if self.seen[name].pending:
            program = render.render_recovery(self.token, self._who, self._words(name), HOOK)
            recovered = self._run(name, program)
            if recovered.result not in ("changed", "unchanged"):
                return recovered
            notes = recovered.notes
            del self.seen[name]
            plan = self.plan(name)
            if plan.empty:
                return outcome.Outcome("changed", notes=notes)
        # Another image store may come with a restart: then the archive waits until that is done.
        now = self.seen[name].engine.state == "up" and plan.activation != "restart"
        for image in plan.archives:
            self.connections.send(name, image, load=ENGINES["docker"].load if now else "")
        ended = self._run(name, render.render(plan, self.token, self._who, HOOK))
        if plan.again and ended.result == "changed":
            del self.seen[name]
            rest = self.plan(name)
            if rest.again:
                return replace(ended, result="failed", error="what was installed is not there")
            ended = ended if rest.empty else self.touch(name, rest)
        return replace(ended, notes=(*notes, *ended.notes))

    def _words(self, name: str) -> list[str]:
        return [ENGINES[engine].shell for engine in self.desired[name].engines]

    def roll_back(self, name: str, generation: int) -> outcome.Outcome:
        """Go back to what was there before a generation, 0 for the newest.

        Raises:
            HostError: the connection broke and stays broken.
        """
        program = render.render_rollback(generation, self.token, self._who, self._words(name))
        return self._run(name, program)

    def _run(self, name: str, program: str) -> outcome.Outcome:
        try:
            ended = outcome.parse(self.connections.run(name, program, TOUCH_SECONDS))
        except HostError:
            ended = None
        if ended and not ended.cut:
            return ended
        lines = self.connections.ask_again(name, render.render_question(self.token))
        told = outcome.parse(lines)
        note = "the connection broke while the host worked; it was asked again how it went"
        return replace(told, notes=(*told.notes, note))

    def smoke(self, name: str) -> tuple[Check, ...]:
        """The smoke test of one client; no checks where it is none.

        Raises:
            HostError: the connection broke, or the image did not arrive.
        """
        skipped = tuple(
            Check(f"{registry.name}/push", "skipped", "the fleet file does not let it be pushed to")
            for registry in smoke_render.skipped(self.fleet, name)
        )
        tests = smoke_render.subjects(self.fleet, self.materials, name)
        engine = ENGINES[self.desired[name].engines[-1]]
        if engine.no_smoke:
            skipped += tuple(
                Check(f"{test.registry.name}/push", "skipped", engine.no_smoke) for test in tests
            )
            tests = ()
        if not tests:
            return skipped
        brought = False
        for image in self.desired[name].images:
            if name not in self.seen:
                self.plan(name)
            if image.reference not in self.seen[name].images:
                self.connections.send(name, image, load=engine.load)
                brought = True
        program = smoke_render.render(
            tests, self.fleet.smoke.image, self.token, engine=engine.shell, brought=brought
        )
        lines = self.connections.run(name, program, SMOKE_SECONDS)
        checks = smoke_outcome.parse(lines)
        if not checks:
            said = "; ".join(line for line in lines if not line.startswith("@"))[-300:]
            raise HostError(
                name,
                f"the smoke test did not run: {said or 'no output'}",
                "log in by hand and see whether `docker info` works",
            )
        return (*checks, *skipped)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.geteuid()}"
