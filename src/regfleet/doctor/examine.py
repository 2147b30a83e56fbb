"""Examine a fleet: one command for each host, one request to each registry; changes nothing."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Protocol, TypeVar

from regfleet.desired.resolve import clients_of, registries_on
from regfleet.doctor import program
from regfleet.doctor.case import Case, HostExam, RegistryExam
from regfleet.doctor.signs import parse as parse_signs
from regfleet.errors import RegfleetError
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.look import parse as look
from regfleet.model.desired import DesiredHost
from regfleet.model.plan import Plan
from regfleet.plan.diff import diff
from regfleet.registry_api.tunnel import Dial
from regfleet.run import known as known_materials
from regfleet.run import machines
from regfleet.run.asking import Asking, elsewhere, let_in
from regfleet.run.known import Known
from regfleet.run.survey import skew
from regfleet.shell.frame import framed
from regfleet.state import StateDirectory

T = TypeVar("T")

HOST_SECONDS = 300  # each command of the program has 20 seconds


class Examining(Protocol):
    """Connections to hosts, used in parallel: `ssh.session.Session`."""

    def connect(self, name: str) -> None:
        """Connect, if not connected."""

    def run(self, name: str, program: str, seconds: float) -> list[str]:
        """Run a program; the lines of its output."""

    def tunnel(self, name: str, port: int, address: str = "127.0.0.1") -> Dial | None:
        """A tunnel to a port of the host; None if the host is this machine."""

    def each(
        self, work: Callable[[str], T], names: Iterable[str]
    ) -> Iterator[tuple[str, T | RegfleetError]]:
        """Do the work for each host; an error is that host's result."""


def examine(fleet: Fleet, state: StateDirectory, session: Examining, names: Sequence[str]) -> Case:
    """Examine hosts and the registries that they run or use.

    Own registries are asked through their hosts, even if those are not in `names`.

    Args:
        names: the hosts to examine.

    Raises:
        StateError: the state directory cannot be used.
        UsageError: two names lead to one machine.
    """
    known = known_materials.read(fleet, state, datetime.now(timezone.utc))
    wanted = known.wanted()
    desired, salt = wanted.desired, wanted.materials.salt
    images = _images(fleet, desired, names)

    def one(name: str) -> HostExam:
        return _host(fleet, desired[name], salt, images.get(name, ()), session)

    exams: dict[str, HostExam] = {}
    for name, result in session.each(one, names):
        if isinstance(result, RegfleetError):
            exams[name] = HostExam(name, reached=False, error=result)
        else:
            exams[name] = result
    if one_machine := machines.refused(
        {name: exam.seen for name, exam in exams.items() if exam.seen}
    ):
        raise one_machine
    return Case(
        fleet,
        desired,
        {name: exams[name] for name in names},
        _registries(fleet, known, exams, session),
        wanted.unknown,
        tuple(known.errors()),
    )


def _images(
    fleet: Fleet, desired: Mapping[str, DesiredHost], names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The images that each host would pull.

    Only one client checks the smoke test's image, because Docker Hub limits requests.
    """
    found = {
        name: tuple(
            each.image.reference
            for each in desired[name].services
            if each.image and not each.image.archive
        )
        for name in names
    }
    first = next((name for name in names if clients_of(fleet, name)), None)
    if first is not None and fleet.smoke.image_archive is None:
        found[first] = (*found[first], fleet.smoke.image)
    return found


def _host(
    fleet: Fleet, want: DesiredHost, salt: str, images: Sequence[str], session: Examining
) -> HostExam:
    try:
        session.connect(want.name)
    except RegfleetError as error:
        return HostExam(want.name, reached=False, error=error)
    before = time.time()
    try:
        mark = f"doctor-{secrets.token_hex(6)}"
        text = program.render(fleet, want, salt, mark, images)
        lines = session.run(want.name, text, HOST_SECONDS)
        after = time.time()
        seen = look.parse(want.name, lines, mark)
    except RegfleetError as error:
        return HostExam(want.name, error=error)
    refused: RegfleetError | None = None
    plan: Plan | None = None
    try:
        plan = diff(want, seen, salt)
    except RegfleetError as error:
        refused = error
    signs = parse_signs(framed(lines, mark).lines)
    ahead = skew(seen.clock, before, after)
    return HostExam(want.name, True, seen, signs, ahead, None, refused, plan)


def _registries(
    fleet: Fleet, known: Known, exams: Mapping[str, HostExam], session: Examining
) -> dict[str, RegistryExam]:
    asking = Asking(known.registries, session)
    asked = _asked(fleet, exams)
    found: dict[str, RegistryExam] = {}
    by_host: dict[str, list[Registry]] = {}
    for registry in asked:
        instance = registry.instance()
        if instance:
            by_host.setdefault(instance.host.name, []).append(registry)

    def of_host(name: str) -> list[RegistryExam]:
        exam = exams.get(name)
        if exam is not None and not exam.reached:
            return [RegistryExam(each.name, error=exam.error) for each in by_host[name]]
        return [_ask(each, asking) for each in by_host[name]]

    for name, result in session.each(of_host, list(by_host)):
        if isinstance(result, RegfleetError):
            found.update({each.name: RegistryExam(each.name, "", result) for each in by_host[name]})
        else:
            found.update({each.name: each for each in result})
    outside = [each for each in asked if each.instance() is None]
    answers = elsewhere(lambda each: _ask(each, asking), outside)
    found.update({each.name: each for each in answers})
    return {registry.name: found[registry.name] for registry in asked}


def _asked(fleet: Fleet, names: Iterable[str]) -> list[Registry]:
    """The registries that hosts run or use, in the fleet's order."""
    chosen = {
        registry.name
        for name in names
        for registry in (*registries_on(fleet, name), *program.used(fleet, name))
    }
    return [registry for name, registry in fleet.registries.items() if name in chosen]


def _ask(registry: Registry, asking: Asking) -> RegistryExam:
    """Ask whether a registry answers as one and accepts the user, if one is known."""
    credentials, _ = asking.user(registry)
    user = credentials.user if credentials else ""
    try:
        # Without a known CA this raises: no server can be trusted.
        with asking.client(registry, credentials) as client:
            let_in(client, client.request("GET", "/v2/"), registry, credentials)
    except RegfleetError as error:
        return RegistryExam(registry.name, user, error)
    return RegistryExam(registry.name, user)
