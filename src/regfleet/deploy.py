"""regfleet's work as pyinfra operations, for `pyinfra INVENTORY deploys/site.py`.

The look happens once a host and a run and is kept in memory: pyinfra asks an operation twice,
when it prepares and when it executes.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from pyinfra import host, logger, state
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.exceptions import ConnectError

from regfleet import journal
from regfleet.desired.resolve import clients_of, registries_on, served_on
from regfleet.errors import HostError, RegfleetError, UsageError, defect
from regfleet.fleet.load import load
from regfleet.fleet.machines import Host as FleetHost
from regfleet.inventory import FLEET_DATA
from regfleet.model.checks import Check
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Plan
from regfleet.model.service import Image
from regfleet.registry_api.tunnel import Dial
from regfleet.report.resource_text import resource_text
from regfleet.run import gone, machines, shared
from regfleet.run.identity import OPTION, VARIABLE, Identity
from regfleet.run.proof import Proof
from regfleet.run.recording import Recording
from regfleet.run.registries import Registries
from regfleet.run.turns import INTERRUPTED, UNREACHABLE, Turns
from regfleet.run.wanted import declared
from regfleet.run.work import Work
from regfleet.ssh import remote, sudo_password
from regfleet.state import StagedState, StateDirectory
from regfleet.terminal.cleaning import clean

if TYPE_CHECKING:
    from types import FrameType

    from pyinfra.api.host import Host
    from pyinfra.api.state import State

    from regfleet.shell.how_far import Heard


_LOCK = Lock()
_RUNS: dict[str, Run] = {}
_OPEN = contextlib.ExitStack()  # holds the fleet's lock until the process ends


class Run:
    """One pyinfra run over one fleet.

    Attributes:
        changed: hosts that were touched in this run.
        turns: whose turn it is among the machines of a registry.
        proof: what is not proven yet.
        recording: the run's entry in the state directory.
    """

    def __init__(self, fleet_file: Path) -> None:
        self.fleet = load(fleet_file)
        sudo_password.take_variable()
        state_directory = StateDirectory.beside(self.fleet.path, self.fleet.name)
        _OPEN.enter_context(state_directory.lock("pyinfra"))
        self.state = StagedState(state_directory.path)
        wanted = declared(self.fleet, self.state)
        self.work = Work.of(wanted, _Connections(self.fleet.hosts()))
        self.changed: set[str] = set()
        self.turns = Turns(self.fleet)
        _stop_at_ctrl_c(self.turns)
        for lost in state.failed_hosts:  # pyinfra leaves out whom it cannot connect to
            self.turns.failed(_name(lost), UNREACHABLE)
        self.sharing = shared.InTurn(self.work)
        self.proof = Proof(self.fleet, state_directory)
        self.recording = Recording(state_directory, self.work, self.proof, "pyinfra")
        self._identity: Identity | None = Identity.of(self.fleet, wanted.materials, self.state)

    def keep(self) -> None:
        """Keep what was made for this run, before the first host is touched.

        Raises:
            UsageError: hosts that were looked at were set up with what is not kept here any more,
                or two names lead to one machine.
            StateError: the state directory cannot be used.
        """
        with _LOCK:
            if self._identity is None:  # what is found on hosts from now on may be this run's
                return
            kept = StateDirectory(self.state.path)
            one_machine = machines.refused(self.work.seen, machines.of_others(kept, self.fleet))
            if one_machine:
                raise one_machine
            lost = self._identity.lost(self.work.desired, self.work.seen)
            if lost and not os.environ.get(VARIABLE):
                hint = lost.hint.replace(OPTION, f"the variable {VARIABLE}=1")
                raise UsageError(lost.message, hint)
            gone.note(self.fleet, self.state, self.work.seen, self.work.desired)
            self.state.keep()
            machines.keep(kept, self.fleet, self.work.seen, self.work.seen)
            self._identity = None


class _Connections:
    """The hosts as the running pyinfra holds them."""

    def __init__(self, hosts: Mapping[str, FleetHost]) -> None:
        self._hosts = hosts
        self._running = {_name(running): running for running in state.inventory}

    def look(self, name: str, program: str, mark: str) -> ObservedHost:
        return remote.look(self._running[name], program, mark, sudo=self._sudo(name))

    def run(self, name: str, program: str, seconds: float, heard: Heard | None = None) -> list[str]:
        return remote.run_program(
            self._running[name], program, sudo=self._sudo(name), seconds=seconds, heard=heard
        )

    def ask_again(self, name: str, program: str, seconds: float) -> list[str]:
        host = self._running[name]
        host.disconnect()
        try:
            host.connect(reason="its connection broke", raise_exceptions=True)
        except (ConnectError, OSError) as error:
            raise HostError(
                name,
                "the connection broke while the host worked, and it cannot be reached again: "
                f"{error}",
                "the host finishes or puts back what it began by itself; run it again when it is "
                "reachable",
            ) from error
        return self.run(name, program, seconds)

    def send(self, name: str, image: Image, *, load: str, fleet: str = "") -> None:
        remote.send_archive(
            self._running[name], image, sudo=self._sudo(name), load=load, fleet=fleet
        )

    def tunnel(self, name: str, port: int, address: str = "127.0.0.1") -> Dial | None:
        if self._hosts[name].is_local:
            return None
        return remote.tunnel(self._running[name], port, address)

    def _sudo(self, name: str) -> bool:
        host: FleetHost = self._hosts[name]
        return host.ssh.sudo


def _stop_at_ctrl_c(turns: Turns) -> None:
    """Begin no further host once pyinfra is interrupted.

    It leaves its main program, and waits for hosts at work before it disconnects: the next one
    would have its turn meanwhile, and its connection be closed under it.
    """
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        return

    def interrupted(signum: int, frame: FrameType | None) -> None:
        turns.stop()
        before(signum, frame)

    with contextlib.suppress(ValueError):  # only the main thread has handlers
        signal.signal(signal.SIGINT, interrupted)


def part() -> str:
    """What the host is for registries, by its groups: they are touched in this order.

    Returns:
        `registry`: it runs one; `gateway`: it runs the gateway of one; `alone`: it runs a gateway
        before other registries; empty: none of these.
    """
    if any(group.startswith("registry_") for group in host.groups):
        return "registry"
    fronts = [group for group in host.groups if group.startswith("gateway_")]
    if any(f"registry_{each.partition('_')[2]}" in state.inventory.groups for each in fronts):
        return "gateway"
    return "alone" if fronts else ""


@operation()
def touch() -> Iterator[FunctionCommand]:
    """Bring the host to what the fleet file declares: registry, client or both."""
    run = None
    try:
        run = _run()
        plan = run.work.plan(_name(host))
    except Exception as error:  # noqa: BLE001 - whatever one host sends, the others go on
        if run:
            run.turns.failed(_name(host))
        yield FunctionCommand(_failed, (_host_error(_name(host), error),), {})
        return
    if plan.empty:
        host.noop("as declared")
        return
    yield FunctionCommand(_touch, (), {})


@operation()
def smoke() -> Iterator[FunctionCommand]:
    """The smoke test where the host or a registry of its changed, or is not proven since then."""
    try:
        run = _run()
    except Exception as error:  # noqa: BLE001 - whatever one host sends, the others go on
        yield FunctionCommand(_failed, (_host_error(_name(host), error),), {})
        return
    own = _name(host)
    registries = {name for client in clients_of(run.fleet, own) for name in client.registries}
    touched = {registry.name for name in run.changed for registry in registries_on(run.fleet, name)}
    if own in run.changed or own in run.proof.hosts or registries & touched:
        yield FunctionCommand(_smoke, (), {})
    else:
        host.noop("nothing changed here, and all is proven")


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


def _tell(log: Callable[..., None], host: Host, text: str) -> None:
    """A line among pyinfra's own, which prints what it is given as it is."""
    log("%s%s", host.print_prefix, clean(text))


def _host_error(name: str, error: Exception) -> RegfleetError:
    """A host's error: one of ours as it is, any other as a defect that its answer showed."""
    return error if isinstance(error, RegfleetError) else defect(name, error)


def _failed(state: State, host: Host, error: RegfleetError) -> bool:
    del state
    _tell(logger.error, host, str(error))
    return False


def _touch(state: State, host: Host) -> bool:
    run, name = _run(), _name(host)
    with run.turns.of(name) as why:
        if why:
            hint = (
                "run this again" if why == INTERRUPTED else "fix what failed, then run this again"
            )
            error = HostError(name, f"not touched: {why}", hint)
            return _failed(state, host, error)
        done = False
        try:
            done = _touch_now(run, state, host)
        finally:  # whatever it was that went wrong
            if not done:
                run.turns.failed(name)
        return done


def _touch_now(run: Run, state: State, host: Host) -> bool:
    name = _name(host)
    try:
        plan: Plan = run.work.plan(name)
        run.keep()
        if unshared := run.sharing.refused(name):
            return _failed(state, host, unshared)
        for change in plan.changes:
            _tell(logger.info, host, f"{change.action} {resource_text(change.resource)}")
        run.recording.note(name, "", [(change.action, change.resource) for change in plan.changes])
        run.proof.begin([name])
        outcome = run.work.touch(name, plan)
        status = journal.UNKNOWN if outcome.cut else outcome.result
        run.recording.note(name, status, error=outcome.error)
    except Exception as error:  # noqa: BLE001 - whatever one host sends, the others go on
        return _failed(state, host, _host_error(name, error))
    for note in outcome.notes:
        _tell(logger.warning, host, note)
    if outcome.result != "changed":
        hint = f" ({outcome.hint})" if outcome.hint else ""
        _tell(logger.error, host, f"{outcome.result}: {outcome.error}{hint}")
        return False
    run.changed.add(name)
    return True


def _smoke(state: State, host: Host) -> bool:
    run, name = _run(), _name(host)
    side = Registries(run.work)
    checks: tuple[Check, ...] = ()
    try:
        if clients_of(run.fleet, name):
            side.give([name])
            checks = run.work.smoke(name)
            checks += side.clean({name: checks}).get(name, ())
        for registry in served_on(run.fleet, name):
            checks += side.refusals(registry, name)
        run.proof.settle({name: checks})
        bad = ", ".join(check.name for check in checks if check.verdict == "failed")
        if bad and name in run.changed:
            run.recording.note(name, "", error=f"smoke test failed: {bad}")
    except Exception as error:  # noqa: BLE001 - whatever one host sends, the others go on
        return _failed(state, host, _host_error(name, error))
    for check in checks:
        log = logger.error if check.verdict == "failed" else logger.info
        _tell(log, host, f"{check.name} {check.verdict} {check.detail}")
    return not any(check.verdict == "failed" for check in checks)
