"""How a fleet is: each host looked at once, each registry asked, nothing changed anywhere.

Nothing is written to the state directory either, and a password or certificate that is not known
makes what needs it unknown, not the survey fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol, TypeVar

import gevent.pool

from regfleet.desired.model import DesiredHost
from regfleet.desired.resolve import clients_of, registries_on
from regfleet.engines import ENGINES
from regfleet.errors import CertificateError, RegfleetError
from regfleet.fleet.model import Fleet, Registry
from regfleet.pki import pem
from regfleet.plan.model import Plan
from regfleet.registry_api import contents
from regfleet.registry_api.answers import refusal
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import Kind, RegistryError
from regfleet.registry_api.target import Credentials
from regfleet.report.status_model import (
    Certificate,
    Drift,
    FleetStatus,
    HostStatus,
    RegistryStatus,
)
from regfleet.run import known as known_materials
from regfleet.run.drift import origin
from regfleet.run.known import Known
from regfleet.run.reach import target_of
from regfleet.run.work import Connections, Work
from regfleet.state import StateDirectory

T = TypeVar("T")

REPORT = "report.html"  # every apply leaves one: its time is that of the last apply
ELSEWHERE = 8  # external registries asked at the same time
_NO_WAY: tuple[Kind, ...] = ("refused", "timeout", "unreachable")
_UNAUTHORIZED = 401  # RFC 9110, 15.5.2


class Surveying(Connections, Protocol):
    """Ways to hosts, and work on many of them at once: `session.Session`."""

    def connect(self, name: str) -> None:
        """Connect, unless that is done."""

    def each(
        self, work: Callable[[str], T], names: Iterable[str]
    ) -> Iterator[tuple[str, T | RegfleetError]]:
        """Do the work for each host; its error is its result."""


@dataclass(frozen=True, slots=True)
class _Surveyor:
    """One survey's tools."""

    fleet: Fleet
    known: Known
    work: Work
    session: Surveying
    desired: Mapping[str, DesiredHost]
    unknown: Mapping[str, frozenset[str]]


def survey(
    fleet: Fleet,
    state: StateDirectory,
    session: Surveying,
    names: Sequence[str],
    *,
    now: datetime | None = None,
) -> FleetStatus:
    """Look at hosts and ask the registries that they run, and external ones that they use.

    Args:
        names: the hosts, of the fleet.
        now: the moment by which certificates are judged, with a time zone; the present by
            default.

    Raises:
        StateError: the state directory cannot be used.
    """
    when = now or datetime.now(timezone.utc)
    known = known_materials.read(fleet, state, when)
    materials, desired, unknown = known.desired()
    work = Work(fleet, desired, materials, session)
    tools = _Surveyor(fleet, known, work, session, desired, unknown)
    status = FleetStatus(
        fleet.name,
        when,
        {name: HostStatus(name, engine=desired[name].engine or "") for name in names},
        {each.name: _declared(each, state, when) for each in _asked(fleet, names)},
        left_out=len(fleet.hosts()) - len(names),
        authority=_authority(fleet, state, when),
        last_apply=last_apply(state),
        unknown=tuple((error.message, error.hint) for error in known.errors()),
    )
    _hosts(tools, status)
    _elsewhere(tools, status)
    return status


def last_apply(state: StateDirectory) -> datetime | None:
    """When the fleet was last applied from here, None where that is not known."""
    try:
        seconds = state.path_of(REPORT).stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc)


def _asked(fleet: Fleet, names: Sequence[str]) -> list[Registry]:
    """The registries that these hosts run, and the external ones that they use."""
    run = {registry.name for name in names for registry in registries_on(fleet, name)}
    groups = [client for name in names for client in clients_of(fleet, name)]
    used = {registry for client in groups for registry in client.registries}
    used |= {login.registry for client in groups for login in client.logins}
    everything = len(names) == len(fleet.hosts())
    return [
        registry
        for registry in fleet.registries.values()
        if registry.name in run or (registry.external and (everything or registry.name in used))
    ]


def _hosts(tools: _Surveyor, status: FleetStatus) -> None:
    def one(name: str) -> None:
        host = status.hosts[name]
        _look(tools, host)
        for registry in registries_on(tools.fleet, name):
            if host.reachable:
                _ask(tools, registry, status.registries[registry.name])
            else:
                status.registries[registry.name].error = f"its host {name} cannot be reached"

    for name, result in tools.session.each(one, list(status.hosts)):
        if isinstance(result, RegfleetError):  # the run was interrupted before its turn
            status.hosts[name].error, status.hosts[name].hint = result.message, result.hint


def _elsewhere(tools: _Surveyor, status: FleetStatus) -> None:
    pool = gevent.pool.Pool(ELSEWHERE)
    for name, registry in status.registries.items():
        if registry.external:
            pool.spawn(_ask, tools, tools.fleet.registries[name], registry)
    pool.join(raise_error=True)


def _look(tools: _Surveyor, host: HostStatus) -> None:
    """One look at a host, compared with what is wanted of it and known."""
    plan: Plan | None = None
    before = time.time()
    try:
        tools.session.connect(host.name)
        host.reachable, before = True, time.time()
        plan = tools.work.plan(host.name)
    except RegfleetError as error:
        host.error, host.hint = error.message, error.hint
    after = time.time()
    seen = tools.work.seen.get(host.name)
    if seen is None:
        return
    host.os = f"{seen.os} {seen.os_version}".strip()
    host.engine_state, host.version = seen.state_of(
        ENGINES[tools.desired[host.name].engines[-1]].shell
    )
    host.skew = skew(seen.clock, before, after)
    unknown, want = tools.unknown[host.name], tools.desired[host.name]
    changes = plan.changes if plan else ()
    blurred = [each for each in changes if each.action == "update" and each.resource in unknown]
    host.drift = tuple(
        Drift(change, origin(change, want, seen, tools.known.salt))
        for change in changes
        if change not in blurred
    )
    host.unknown = tuple(sorted(unknown))


def skew(clock: int, before: float, after: float) -> int:
    """Whole seconds that a clock is ahead, at least; negative behind. Pure.

    Args:
        clock: what it showed, in whole seconds, at some moment between the two others.
        before, after: by our clock.
    """
    if clock > after:
        return int(clock - after)
    if clock + 1 < before:
        return -int(before - clock - 1)
    return 0


def _declared(registry: Registry, state: StateDirectory, now: datetime) -> RegistryStatus:
    status = RegistryStatus(
        registry.name, registry.endpoint, registry.external, registry.proxy or ""
    )
    if registry.external or registry.tls.source == "none":
        return status
    try:
        if registry.tls.certificate:
            content: bytes | None = pem.read(registry.tls.certificate)
            status.certificate = _certificate(content, registry.tls.certificate, now, renewed=False)
        else:
            name = f"registry/{registry.name}.crt"
            status.certificate = _certificate(
                state.read(name), state.path_of(name), now, renewed=True
            )
    except CertificateError as error:
        status.certificate_error = error.message
    return status


def _authority(fleet: Fleet, state: StateDirectory, now: datetime) -> Certificate | None:
    if not any(registry.tls.source == "fleet-ca" for registry in fleet.registries.values()):
        return None
    with suppress(CertificateError):  # `known.errors` says so
        return _certificate(state.read("ca.crt"), state.path_of("ca.crt"), now, renewed=True)
    return None


def _certificate(
    content: bytes | None, where: Path, now: datetime, *, renewed: bool
) -> Certificate | None:
    if content is None:
        return None
    leaf = pem.certificates(content, where)[0]
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return Certificate.lasting(start, end, now, renewed=renewed)


def _ask(tools: _Surveyor, registry: Registry, status: RegistryStatus) -> None:
    """Whether a registry is well, and how much it holds."""
    known = tools.known.registries[registry.name]
    try:
        credentials, why = known.credentials(), ""
    except RegfleetError as error:
        credentials, why = None, f"not counted: {error.message}"
    try:
        target = target_of(registry, known.trusted(), tools.session)
    except RegfleetError as error:
        status.error, status.hint = error.message, error.hint
        return
    with RegistryClient(target, credentials) as client:
        try:
            status.note = _ping(client, registry, credentials, status)
        except RegfleetError as error:
            # An external one may be reachable for its clients all the same.
            away = registry.external and isinstance(error, RegistryError) and error.kind in _NO_WAY
            status.health = "unknown" if away else "unhealthy"
            status.error, status.hint = error.message, error.hint
            return
        status.health = "healthy"
        if status.note:
            status.note = why or status.note
        elif registry.proxy:  # asked for tags it asks its upstream, for manifests it fetches them
            status.note = "not counted: it holds what was pulled through it"
        else:
            _count(client, status)


def _ping(
    client: RegistryClient,
    registry: Registry,
    credentials: Credentials | None,
    status: RegistryStatus,
) -> str:
    """Ask whether it answers as a registry; to refuse nobody in particular is a sign of health.

    Returns:
        Why it does not let us in, empty where it does.

    Raises:
        RegistryError: it cannot be reached, is no registry, or refuses a user of its own.
    """
    answer = client.request("GET", "/v2/")
    status.api_version = answer.headers.get("docker-distribution-api-version", "")
    challenge = answer.headers.get("www-authenticate", "")
    if answer.status == _UNAUTHORIZED and challenge:
        if not challenge.lower().startswith("basic"):
            return "not counted: it wants a token from another service"
        if credentials is None:
            return "not counted: it wants a login, and none is declared"
        raise refusal(answer, registry.endpoint, "GET /v2/", credentials.user)
    client.ping()
    return ""


def _count(client: RegistryClient, status: RegistryStatus) -> None:
    try:
        status.contents = contents.count(client)
    except RegfleetError as error:
        status.note = f"not counted: {error.message}"
