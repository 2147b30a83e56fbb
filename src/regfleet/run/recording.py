"""The record of a run in the state directory, written before its changes and at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from regfleet import journal
from regfleet.journal import HostRun, Run
from regfleet.model.plan import Plan
from regfleet.model.report import HostReport, Report
from regfleet.model.resource import Resource
from regfleet.run.proof import Proof
from regfleet.run.work import Work
from regfleet.state import StateDirectory

Changes: TypeAlias = Sequence[tuple[str, Resource]]

_ERROR = 600  # characters


class Recording:
    """The record of one run.

    Args:
        state: the state directory; records are written at once, not staged.
        work: the run's work, which passes its number to hosts.
        proof: the record of unproven hosts; None for none.
        command: `apply`, `rollback`, `destroy` or `pyinfra`.

    Attributes:
        run: None until `begin`; without it the run is not recorded.
    """

    def __init__(
        self, state: StateDirectory, work: Work, proof: Proof | None, command: str
    ) -> None:
        self._state = StateDirectory(state.path)
        self._work = work
        self._proof = proof
        self._command = command
        self.run: Run | None = None

    def begin(self, changes: Mapping[str, Sequence[tuple[str, Resource]]]) -> None:
        """Write the run's record, which gives it a number.

        Args:
            changes: the planned changes, action and resource, by host.

        Raises:
            StateError: it cannot be written; then nothing must be changed.
        """
        hosts = {name: tuple(each) for name, each in changes.items()}
        self.run = journal.begin(self._state, self._command, self._work.token, hosts)
        self._work.number = self.run.number
        if self._proof:
            self._proof.run = self.run.number

    def begin_plans(self, plans: Iterable[Plan]) -> None:
        """As `begin`, for the hosts of plans."""
        self.begin(
            {
                plan.host: [(change.action, change.resource) for change in plan.changes]
                for plan in plans
            }
        )

    def note(self, name: str, status: str, changes: Changes = (), error: str = "") -> None:
        """Record the planned changes or the result of one host; the first call begins the run.

        The run has ended once every recorded host has a status.

        Args:
            status: as in `journal.HostRun`; empty keeps the recorded one.
            changes: the changes; empty keeps the recorded ones.

        Raises:
            StateError: it cannot be noted.
        """
        if self.run is None:
            self.begin({})
        hosts = dict(self.run.hosts) if self.run else {}
        before = hosts.get(name, HostRun())
        hosts[name] = HostRun(status or before.status, tuple(changes) or before.changes, error)
        ok = all(each.status == "changed" and not each.error for each in hosts.values())
        going_on = any(not each.status for each in hosts.values())
        self._write_record(hosts, ok=None if going_on else ok)

    def finish(self, report: Report) -> None:
        """Record the run's result, if it was begun.

        Raises:
            StateError: it cannot be noted.
        """
        if self.run is None:
            return
        entries = {
            name: _entry(report.hosts[name], before)
            for name, before in self.run.hosts.items()
            if name in report.hosts
        }
        self._write_record(entries, ok=report.ok)

    def _write_record(self, hosts: Mapping[str, HostRun], *, ok: bool | None) -> None:
        if self.run:
            self.run = journal.finish(self._state, self.run, hosts, ok=ok)


def _entry(host: HostReport, before: HostRun) -> HostRun:
    status = journal.UNKNOWN if host.uncertain else host.status
    error = host.error
    if not error and host.failed_checks:
        error = f"smoke test failed: {', '.join(check.name for check in host.failed_checks)}"
    return HostRun(status, before.changes, error[:_ERROR])
