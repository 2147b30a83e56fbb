"""regfleet's work as pyinfra operations, for `pyinfra INVENTORY deploys/site.py`.

The look happens once a host and a run and is kept in memory: pyinfra asks an operation twice,
when it prepares and when it executes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from pyinfra import host, logger, state
from pyinfra.api import FunctionCommand, operation

from regfleet.desired.model import Image
from regfleet.desired.resolve import clients_of, registries_on, resolve
from regfleet.errors import RegfleetError
from regfleet.fleet.load import load
from regfleet.fleet.model import Host as FleetHost
from regfleet.inventory import FLEET_DATA
from regfleet.look.observed import ObservedHost
from regfleet.materials import gather
from regfleet.plan.model import Plan
from regfleet.registry_api.tunnel import Dial
from regfleet.run import remote
from regfleet.run.limits import TOUCH_SECONDS
from regfleet.run.registries import Registries
from regfleet.run.work import Work
from regfleet.smoke.outcome import Check
from regfleet.state import StateDirectory

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State


_LOCK = Lock()
_RUNS: dict[str, Run] = {}
_OPEN = contextlib.ExitStack()  # holds the fleet's lock until the process ends


class Run:
    """One pyinfra run over one fleet.

    Attributes:
        changed: hosts that were touched in this run.
    """

    def __init__(self, fleet_file: Path) -> None:
        self.fleet = load(fleet_file)
        state_directory = StateDirectory.beside(self.fleet.path, self.fleet.name)
        _OPEN.enter_context(state_directory.lock("pyinfra"))
        materials = gather(self.fleet, state_directory, save=True)
        self.work = Work(
            self.fleet, resolve(self.fleet, materials), materials, _Connections(self.fleet.hosts())
        )
        self.changed: set[str] = set()


class _Connections:
    """The hosts as the running pyinfra holds them."""

    def __init__(self, hosts: Mapping[str, FleetHost]) -> None:
        self._hosts = hosts
        self._running = {_name(running): running for running in state.inventory}

    def look(self, name: str, program: str) -> ObservedHost:
        return remote.look(self._running[name], program, sudo=self._sudo(name))

    def run(self, name: str, program: str, seconds: int) -> list[str]:
        return remote.run_program(
            self._running[name], program, sudo=self._sudo(name), seconds=seconds
        )

    def ask_again(self, name: str, program: str) -> list[str]:
        host = self._running[name]
        host.disconnect()
        host.connect(reason="its connection broke", raise_exceptions=True)
        return self.run(name, program, TOUCH_SECONDS)

    def send(self, name: str, image: Image, *, load: str) -> None:
        remote.send_archive(self._running[name], image, sudo=self._sudo(name), load=load)

    def tunnel(self, name: str, port: int) -> Dial | None:
        return None if self._hosts[name].is_local else remote.tunnel(self._running[name], port)

    def _sudo(self, name: str) -> bool:
        host: FleetHost = self._hosts[name]
        return host.ssh.sudo


@operation()
def touch() -> Iterator[FunctionCommand]:
    """Bring the host to what the fleet file declares: registry, client or both."""
    try:
        plan = _run().work.plan(_name(host))
    except RegfleetError as error:
        yield FunctionCommand(_failed, (error,), {})
        return
    if plan.empty:
        host.noop("as declared")
        return
    yield FunctionCommand(_touch, (), {})


@operation()
def smoke() -> Iterator[FunctionCommand]:
    """The smoke test where something changed: the host, or a registry that it uses."""
    try:
        run = _run()
    except RegfleetError as error:
        yield FunctionCommand(_failed, (error,), {})
        return
    own = _name(host)
    registries = {name for client in clients_of(run.fleet, own) for name in client.registries}
    touched = {registry.name for name in run.changed for registry in registries_on(run.fleet, name)}
    if own in run.changed or registries & touched:
        yield FunctionCommand(_smoke, (), {})
    else:
        host.noop("nothing changed here")


def _run() -> Run:
    path = str(getattr(host.data, FLEET_DATA))
    with _LOCK:  # hosts prepare at the same time; the first makes what all share
        if path not in _RUNS:
            _RUNS[path] = Run(Path(path))
        return _RUNS[path]


def _name(of: Host) -> str:
    """What the fleet calls a host. Connectors put their own name before it: `@vagrant/reg1`."""
    name: str = of.name
    return name.rpartition("/")[2]


def _failed(state: State, host: Host, error: RegfleetError) -> bool:
    del state
    logger.error("%s%s", host.print_prefix, error)
    return False


def _touch(state: State, host: Host) -> bool:
    run, name = _run(), _name(host)
    try:
        plan: Plan = run.work.plan(name)
        for change in plan.changes:
            logger.info("%s%s %s", host.print_prefix, change.action, change.resource)
        outcome = run.work.touch(name, plan)
    except RegfleetError as error:
        return _failed(state, host, error)
    for note in outcome.notes:
        logger.warning("%s%s", host.print_prefix, note)
    if outcome.result != "changed":
        hint = f" ({outcome.hint})" if outcome.hint else ""
        logger.error("%s%s: %s%s", host.print_prefix, outcome.result, outcome.error, hint)
        return False
    run.changed.add(name)
    return True


def _smoke(state: State, host: Host) -> bool:
    run, name = _run(), _name(host)
    side = Registries(run.work)
    checks: tuple[Check, ...] = ()
    try:
        if clients_of(run.fleet, name):
            checks = run.work.smoke(name)
            checks += side.clean({name: checks}).get(name, ())
        for registry in registries_on(run.fleet, name):
            checks += side.refusals(registry)
    except RegfleetError as error:
        return _failed(state, host, error)
    for check in checks:
        log = logger.error if check.verdict == "failed" else logger.info
        log("%s%s %s %s", host.print_prefix, check.name, check.verdict, check.detail)
    return not any(check.verdict == "failed" for check in checks)
