"""Examining a fleet: one command a host, one question a registry, nothing changed anywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Protocol, TypeVar

import gevent.pool

from regfleet.desired.model import DesiredHost
from regfleet.desired.resolve import clients_of, registries_on
from regfleet.doctor import program
from regfleet.doctor.case import Case, HostExam, RegistryExam
from regfleet.doctor.signs import parse as parse_signs
from regfleet.engines import ENGINES
from regfleet.errors import RegfleetError
from regfleet.fleet.model import Fleet, Registry
from regfleet.look import parse as look
from regfleet.plan.diff import diff
from regfleet.registry_api.answers import refusal
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.tunnel import Dial
from regfleet.run import known as known_materials
from regfleet.run.known import Known
from regfleet.run.reach import target_of
from regfleet.run.survey import skew
from regfleet.state import StateDirectory

T = TypeVar("T")

HOST_SECONDS = 300  # each of its commands is given 20 seconds
ELSEWHERE = 8  # external registries asked at the same time
_UNAUTHORIZED = 401  # RFC 9110, 15.5.2


class Examining(Protocol):
    """Ways to hosts, and work on many of them at once: `run.session.Session`."""

    def connect(self, name: str) -> None:
        """Connect, unless that is done."""

    def run(self, name: str, program: str, seconds: int) -> list[str]:
        """Run a program, its output's lines."""

    def tunnel(self, name: str, port: int) -> Dial | None:
        """A way to a port of the host, None where it is this machine."""

    def each(
        self, work: Callable[[str], T], names: Iterable[str]
    ) -> Iterator[tuple[str, T | RegfleetError]]:
        """Do the work for each host; its error is its result."""


def examine(fleet: Fleet, state: StateDirectory, session: Examining, names: Sequence[str]) -> Case:
    """Examine hosts, and the registries that they run or use.

    Registries of ours are asked through their hosts, also where those are not among `names`.

    Args:
        names: the hosts, of the fleet.

    Raises:
        StateError: the state directory cannot be used.
    """
    known = known_materials.read(fleet, state, datetime.now(timezone.utc))
    materials, desired, unknown = known.desired()
    images = _images(fleet, desired, names)

    def one(name: str) -> HostExam:
        return _host(fleet, desired[name], materials.salt, images.get(name, ()), session)

    exams: dict[str, HostExam] = {}
    for name, result in session.each(one, names):
        if isinstance(result, RegfleetError):
            exams[name] = HostExam(name, reached=False, error=result)
        else:
            exams[name] = result
    return Case(
        fleet,
        desired,
        {name: exams[name] for name in names},
        _registries(fleet, known, exams, session),
        unknown,
        tuple(known.errors()),
    )


def _images(
    fleet: Fleet, desired: Mapping[str, DesiredHost], names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The images that are pulled, by host.

    The smoke test's is asked for on one client alone: Docker Hub counts questions of all.
    """
    found = {
        name: tuple(
            each.image.reference for each in desired[name].containers if not each.image.archive
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
        text = program.render(fleet, want, salt, images)
        lines = session.run(want.name, text, HOST_SECONDS)
        after = time.time()
        seen = look.parse(want.name, lines)
    except RegfleetError as error:
        return HostExam(want.name, error=error)
    refused: RegfleetError | None = None
    try:
        diff(want, seen, salt, [ENGINES[engine] for engine in want.engines])
    except RegfleetError as error:
        refused = error
    ahead = skew(seen.clock, before, after)
    return HostExam(want.name, True, seen, parse_signs(lines), ahead, None, refused)


def _registries(
    fleet: Fleet, known: Known, exams: Mapping[str, HostExam], session: Examining
) -> dict[str, RegistryExam]:
    asked = _asked(fleet, exams)
    found: dict[str, RegistryExam] = {}
    by_host: dict[str, list[Registry]] = {}
    for registry in asked:
        if registry.hosts:
            by_host.setdefault(registry.hosts[0].name, []).append(registry)

    def of_host(name: str) -> list[RegistryExam]:
        exam = exams.get(name)
        if exam is not None and not exam.reached:
            return [RegistryExam(each.name, error=exam.error) for each in by_host[name]]
        return [_ask(each, known, session) for each in by_host[name]]

    for name, result in session.each(of_host, list(by_host)):
        if isinstance(result, RegfleetError):
            found.update({each.name: RegistryExam(each.name, "", result) for each in by_host[name]})
        else:
            found.update({each.name: each for each in result})
    pool = gevent.pool.Pool(ELSEWHERE)
    outside = [each for each in asked if not each.hosts]
    answers = pool.map(lambda each: _ask(each, known, session), outside)
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


def _ask(registry: Registry, known: Known, session: Examining) -> RegistryExam:
    """Whether it answers as a registry and lets us in; who is not known to it is not asked as."""
    about = known.registries[registry.name]
    try:
        credentials = about.credentials()
    except RegfleetError:
        credentials = None
    user = credentials.user if credentials else ""
    try:
        # Where the CA is not known, whom to trust is not known: asked without an answer.
        target = target_of(registry, about.trusted(), session)
    except RegfleetError as error:
        return RegistryExam(registry.name, user, error)
    with RegistryClient(target, credentials) as client:
        try:
            answer = client.request("GET", "/v2/")
            challenge = answer.headers.get("www-authenticate", "").lower()
            if answer.status == _UNAUTHORIZED and challenge:
                if user and challenge.startswith("basic"):
                    raise refusal(answer, registry.endpoint, "GET /v2/", user)
            else:
                client.ping()
        except RegfleetError as error:
            return RegistryExam(registry.name, user, error)
    return RegistryExam(registry.name, user)
