"""Survey a fleet: look at each host once, ask each registry, change nothing.

It writes nothing to the state directory either. An unknown password or certificate makes the
resources that need it unknown; the survey does not fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol, TypeVar

from regfleet import state_paths, unproven
from regfleet.desired.resolve import clients_of, registries_on
from regfleet.engines import ENGINES
from regfleet.errors import CertificateError, RegfleetError
from regfleet.fleet.copies import copies
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.look import guesses
from regfleet.model.plan import Plan
from regfleet.model.status import (
    Certificate,
    Drift,
    FleetStatus,
    HostStatus,
    RegistryStatus,
    Room,
    WrongLogins,
)
from regfleet.pki import pem
from regfleet.registry_api import contents
from regfleet.registry_api.client import RegistryClient
from regfleet.registry_api.errors import Kind, RegistryError, only_registry_errors
from regfleet.registry_api.target import Credentials
from regfleet.run import known as known_materials
from regfleet.run import machines, samples
from regfleet.run.asking import Asking, elsewhere, let_in
from regfleet.run.care import copy_status, look_after
from regfleet.run.drift import origin
from regfleet.run.known import Known
from regfleet.run.samples import Sample, growth, sample
from regfleet.run.wanted import Wanted
from regfleet.run.work import Connections, Work
from regfleet.state import StateDirectory

T = TypeVar("T")

_NO_CONNECTION: tuple[Kind, ...] = ("refused", "timeout", "unreachable")
_NOT_ALLOWED: tuple[Kind, ...] = ("unauthorized", "forbidden", "not-found", "unsupported")


class Surveying(Connections, Protocol):
    """Connections to hosts, used in parallel: `session.Session`."""

    def connect(self, name: str) -> None:
        """Connect, if not connected."""

    def each(
        self, work: Callable[[str], T], names: Iterable[str]
    ) -> Iterator[tuple[str, T | RegfleetError]]:
        """Do the work for each host; an error is that host's result."""


@dataclass(frozen=True, slots=True)
class _Surveyor:
    """The tools of one survey."""

    fleet: Fleet
    known: Known
    work: Work
    session: Surveying
    asking: Asking
    wanted: Wanted
    samples: Mapping[str, Sequence[Sample]]


def survey(
    fleet: Fleet,
    state: StateDirectory,
    session: Surveying,
    names: Sequence[str],
    *,
    now: datetime | None = None,
) -> FleetStatus:
    """Look at hosts, and ask the registries that they run and the external ones that they use.

    Args:
        names: the hosts to look at.
        now: the moment by which certificates are judged, with a time zone; the present by
            default.

    Raises:
        StateError: the state directory cannot be used.
    """
    when = now or datetime.now(timezone.utc)
    known = known_materials.read(fleet, state, when)
    wanted = known.wanted()
    work = Work.of(wanted, session)
    asking = Asking(known.registries, session)
    tools = _Surveyor(fleet, known, work, session, asking, wanted, samples.read(state))
    status = FleetStatus(
        fleet.name,
        when,
        {name: HostStatus(name, engine=wanted.desired[name].engine or "") for name in names},
        {each.name: _declared(each, state, when) for each in _asked(fleet, names)},
        left_out=len(fleet.hosts()) - len(names),
        authority=_authority(fleet, state, when),
        last_apply=last_apply(state),
        unknown=tuple(
            (each.message, each.hint) for each in known.errors(_chosen_registries(fleet, names))
        ),
        unproven={name: each for name, each in unproven.read(state).items() if name in names},
    )
    _survey_hosts(tools, status)
    _survey_machines(tools, state, status)
    _survey_external(tools, status)
    status.copies = {
        each.name: copy_status(each, tools.work.seen, state)
        for each in copies(fleet)
        if each.host is None or each.host.name in status.hosts
    }
    return status


def last_apply(state: StateDirectory) -> datetime | None:
    """When the fleet was last applied from here, by the report's time; None if unknown."""
    try:
        seconds = state.path_of(state_paths.REPORT).stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc)


def _chosen_registries(fleet: Fleet, names: Sequence[str]) -> set[str]:
    """The registries that these hosts run or use; all if no host is left out."""
    if len(names) == len(fleet.hosts()):
        return set(fleet.registries)
    return _run_by(fleet, names) | _used_by(fleet, names)


def _run_by(fleet: Fleet, names: Sequence[str]) -> set[str]:
    return {registry.name for name in names for registry in registries_on(fleet, name)}


def _used_by(fleet: Fleet, names: Sequence[str]) -> set[str]:
    groups = [client for name in names for client in clients_of(fleet, name)]
    return {registry for client in groups for registry in client.uses}


def _asked(fleet: Fleet, names: Sequence[str]) -> list[Registry]:
    """The registries that these hosts run, and the external ones that they use."""
    run, used = _run_by(fleet, names), _used_by(fleet, names)
    everything = len(names) == len(fleet.hosts())
    return [
        registry
        for registry in fleet.registries.values()
        if registry.name in run or (registry.external and (everything or registry.name in used))
    ]


def _survey_hosts(tools: _Surveyor, status: FleetStatus) -> None:
    wrong: dict[tuple[str, str], WrongLogins | None] = {}

    def one(name: str) -> None:
        host = status.hosts[name]
        _survey_host(tools, host)
        for registry in registries_on(tools.fleet, name):
            if host.reachable:
                if any(each.name == name for each in registry.hosts):
                    _record_room(tools, registry, name, status.registries[registry.name])
                    if seen := tools.work.seen.get(name):
                        want = tools.wanted.desired[name]
                        look_after(status.registries[registry.name], tools.fleet, want, seen)
                if registry.instance((name,)):
                    _ask(tools, registry, status.registries[registry.name])
                    if registry.gateway:
                        found = _wrong_logins(tools, registry, name)
                        wrong[registry.name, name] = found
            else:
                status.registries[registry.name].error = f"its host {name} cannot be reached"

    for name, result in tools.session.each(one, list(status.hosts)):
        if isinstance(result, RegfleetError):  # the run was interrupted before its turn
            status.hosts[name].error, status.hosts[name].hint = result.message, result.hint
    _sum_up(wrong, status)


def _sum_up(wrong: Mapping[tuple[str, str], WrongLogins | None], status: FleetStatus) -> None:
    """Record the wrong logins of each registry, given by registry and gateway's host."""
    for name in {registry for registry, _ in wrong}:
        its = (each for (registry, _), each in wrong.items() if registry == name)
        status.registries[name].wrong_logins = WrongLogins.of_all(its)


def _survey_machines(tools: _Surveyor, state: StateDirectory, status: FleetStatus) -> None:
    """Record which hosts are one machine, and which are another one than before."""
    for name, why in machines.twins(tools.work.seen).items():
        status.hosts[name].error = why
        status.hosts[name].hint = "give it one name in the fleet file"
    known = machines.read(state)
    for name, words in machines.reinstalled(tools.fleet.name, tools.work.seen, known).items():
        status.hosts[name].reinstalled = words


def _survey_external(tools: _Surveyor, status: FleetStatus) -> None:
    external = [each for each in status.registries.values() if each.external]
    elsewhere(lambda each: _ask(tools, tools.fleet.registries[each.name], each), external)


def _survey_host(tools: _Surveyor, host: HostStatus) -> None:
    """Look at a host and compare it with its desired state."""
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
    engines = tools.wanted.desired[host.name].engines
    if engines:  # a registry that the distribution packages runs without any
        host.engine_state, host.version = seen.state_of(ENGINES[engines[-1]].shell)
    host.skew = skew(seen.clock, before, after)
    unknown, want = tools.wanted.unknown[host.name], tools.wanted.desired[host.name]
    changes = plan.changes if plan else ()
    blurred = [each for each in changes if each.action == "update" and each.resource in unknown]
    host.drift = tuple(
        Drift(change, origin(change, want, seen, tools.known.salt))
        for change in changes
        if change not in blurred
    )
    host.unknown = tuple(sorted(unknown))


def _record_room(tools: _Surveyor, registry: Registry, host: str, status: RegistryStatus) -> None:
    """Record the free space of a registry's storage, from the look."""
    seen = tools.work.seen.get(host)
    if seen is None:
        return
    found = seen.space.get(registry.storage)
    if found is None:
        status.room_unknown = registry.storage in seen.paths
        return
    grown = growth(tools.samples.get(registry.name, ()), sample(seen, found))
    status.room = Room(found.size, found.free, found.inodes, found.free_inodes, grown)


def _wrong_logins(tools: _Surveyor, registry: Registry, host: str) -> WrongLogins | None:
    """Wrong logins at a registry's gateway; None where they cannot be counted."""
    gateway = guesses.gateway_of(tools.wanted.desired[host], registry.name)
    if gateway is None:
        return None
    try:
        return tools.work.wrong_logins(host, gateway)
    except RegfleetError:
        return None


def skew(clock: int, before: float, after: float) -> int:
    """Whole seconds, at least, that a clock is ahead; negative if behind. Pure.

    Args:
        clock: its time in whole seconds, read between the two other times.
        before, after: this machine's clock.
    """
    if clock > after:
        return int(clock - after)
    if clock + 1 < before:
        return -int(before - clock - 1)
    return 0


def _declared(registry: Registry, state: StateDirectory, now: datetime) -> RegistryStatus:
    status = RegistryStatus(
        registry.name,
        registry.endpoint,
        registry.external,
        registry.proxy or "",
        before=registry.before,
    )
    if registry.external or registry.tls.source == "none":
        return status
    try:
        if registry.tls.certificate:
            content: bytes | None = pem.read(registry.tls.certificate)
            status.certificate = _certificate(content, registry.tls.certificate, now, renewed=False)
        else:
            name = state_paths.server_certificate(registry.name)
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
        name = state_paths.CA_CERTIFICATE
        return _certificate(state.read(name), state.path_of(name), now, renewed=True)
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
    """Record a registry's health and content."""
    user, why = tools.asking.user(registry)
    try:
        with tools.asking.client(registry, user) as client:
            _check_registry(client, registry, user, why, status)
    except RegfleetError as error:
        status.error, status.hint = error.message, error.hint
        if tools.known.registries[registry.name].trust_error and _is_down(tools, registry):
            status.health = "unhealthy"
            status.error = f"nobody listens there; besides, {error.message}"


def _is_down(tools: _Surveyor, registry: Registry) -> bool:
    """Whether a registry refuses connections, which needs no CA to find out."""
    try:
        tools.asking.connect(registry)
    except RegfleetError as error:
        refused = isinstance(error, RegistryError) and error.kind == "refused"
        return refused and not registry.external
    return False


def _check_registry(
    client: RegistryClient,
    registry: Registry,
    credentials: Credentials | None,
    why: str,
    status: RegistryStatus,
) -> None:
    """Record health and content of a registry that accepts connections.

    Args:
        why: why its credentials are unknown; empty if none are needed.

    Raises:
        RegfleetError: it does not answer as a registry; its health is recorded.
    """
    try:
        with only_registry_errors(registry.endpoint):
            answer = client.request("GET", "/v2/")
            status.api_version = answer.headers.get("docker-distribution-api-version", "")
            shut = let_in(client, answer, registry, credentials)
            serving = answer.headers.get("x-regfleet-registry", "")
            status.served_by = serving if serving in registry.before else ""
            status.health = "healthy"
            if shut:
                status.note = f"not counted: {why or shut}"
            elif registry.proxy:  # for tags it asks its upstream, for manifests it fetches them
                status.note = "not counted: it holds what was pulled through it"
            else:
                _count(client, status)
    except RegfleetError as error:
        # An external one may be reachable for its clients all the same.
        away = (
            registry.external and isinstance(error, RegistryError) and error.kind in _NO_CONNECTION
        )
        status.health = "unknown" if away else "unhealthy"
        raise


def _count(client: RegistryClient, status: RegistryStatus) -> None:
    """Count its content, if it allows that.

    Raises:
        RegfleetError: it answered as no healthy registry does.
    """
    try:
        status.contents = contents.count(client)
    except RegistryError as error:
        if error.kind not in _NOT_ALLOWED:
            raise
        status.note = f"not counted: {error.message}"
