"""The report as rows for the page's tables: hosts, troubles, smoke test. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from regfleet.fleet.model import Fleet
from regfleet.model.checks import Check, Verdict
from regfleet.model.plan import Change
from regfleet.model.report import HostReport, Origin, Report, Status
from regfleet.report.resource_text import resource_text

# Worst first: the order of hosts and filters on the page.
STATUSES: tuple[Status, ...] = (
    "failed",
    "rolled-back",
    "unreachable",
    "skipped",
    "changed",
    "unchanged",
)

_DRIFT: Mapping[Origin, str] = {
    "host": "changed on the host",
    "fleet": "",
    "unclear": "changed on the host, or newly declared",
}

_CHANGES_TITLES = {
    "changed": "Changes",
    "rolled-back": "Changes, all taken back",
    "unchanged": "Changes",
}


@dataclass(frozen=True, slots=True, eq=False)
class HostRow:
    """One host.

    Attributes:
        number: its position in the run, from 1; part of the page's anchors.
        address: the SSH address; empty if it equals the name.
        groups: its groups in the fleet file: `registry.main`, `client.build`.
    """

    number: int
    report: HostReport
    address: str
    groups: tuple[str, ...]

    @property
    def marks(self) -> tuple[str, ...]:
        """The filters that show this host."""
        marks: list[str] = [self.report.status]
        if not self.report.ok:
            marks.append("attention")
        if self.report.failed_checks:
            marks.append("smoke-failed")
        return tuple(marks)

    @property
    def changes_title(self) -> str:
        """The heading of its changes: made, taken back, or planned."""
        return _CHANGES_TITLES.get(self.report.status, "Planned changes")

    @property
    def activation(self) -> str:
        """The effect of its changes on the engine, in words; empty for none."""
        plan = self.report.plan
        if plan is None or plan.activation == "none":
            return ""
        stop = plan.containers_affected
        if not stop:
            return plan.activation
        return f"{plan.activation}, {stop} container{'' if stop == 1 else 's'} stop"

    def drift(self, change: Change) -> str:
        """The origin of a change in words; empty if the fleet file caused it."""
        return _DRIFT[self.report.origins.get(change, "fleet")]

    def count(self, verdict: Verdict) -> int:
        """The number of its checks with a verdict."""
        return sum(check.verdict == verdict for check in self.report.checks)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of the hosts table: the mark it selects, its name, and the number of hosts."""

    mark: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """One error, and all hosts that had it.

    Attributes:
        message, hint: for several hosts, with `HOST` in place of each host's name.
        status: the hosts' status, or `smoke-failed`.
        taken_back: the resources that were rolled back, each once.
    """

    status: str
    message: str
    hint: str
    hosts: tuple[HostRow, ...]
    taken_back: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A host's checks, one for each column; None for a check that it does not have."""

    host: HostRow
    cells: tuple[Check | None, ...]

    @property
    def failed(self) -> bool:
        """Whether any of them failed."""
        return any(cell is not None and cell.verdict == "failed" for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The smoke test of one registry.

    Attributes:
        columns: the checks' names without the registry's.
        rows: clients, those with failures first.
        refusals: checks that the registry refuses what it must; made once.
    """

    registry: str
    columns: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    refusals: tuple[tuple[str, Check], ...]

    @property
    def failed(self) -> int:
        """The number of clients with failures; their rows come first."""
        return sum(row.failed for row in self.rows)


def groups_of(fleet: Fleet) -> Mapping[str, tuple[str, ...]]:
    """The groups of each host, by its name."""
    found: dict[str, list[str]] = defaultdict(list)
    for registry in fleet.declared:
        for host in registry.machines:
            found[host.name].append(f"registry.{registry.name}")
    for client in fleet.clients.values():
        for host in client.hosts:
            found[host.name].append(f"client.{client.name}")
    return {name: tuple(groups) for name, groups in found.items()}


def host_rows(fleet: Fleet | None, report: Report) -> tuple[HostRow, ...]:
    """Every host of the run: those that need attention first, then the fleet's order.

    Args:
        fleet: None if addresses and groups are unknown.
    """
    groups, known = (groups_of(fleet), fleet.hosts()) if fleet else ({}, {})
    rows = []
    for number, host in enumerate(report.hosts.values(), 1):
        address = known[host.name].address if host.name in known else ""
        shown = "" if address == host.name else address
        rows.append(HostRow(number, host, shown, groups.get(host.name, ())))
    return tuple(sorted(rows, key=lambda row: (row.report.ok, STATUSES.index(row.report.status))))


def filters(rows: Sequence[HostRow]) -> tuple[Filter, ...]:
    """The filters that match some host; `All` is the first."""
    names = {"attention": "Needs attention", "smoke-failed": "Smoke test failed"}
    names |= {status: status.capitalize() for status in STATUSES}
    found = [Filter("", "All", len(rows))]
    for mark, name in names.items():
        count = sum(mark in row.marks for row in rows)
        if count:
            found.append(Filter(mark, name, count))
    return tuple(found)


def troubles(rows: Iterable[HostRow]) -> tuple[Trouble, ...]:
    """The errors and failed checks, each once with all its hosts; hosts in the order given."""
    shared: dict[tuple[str, str, str], list[tuple[HostRow, str, str]]] = defaultdict(list)
    for row in rows:
        host = row.report
        found = [("smoke-failed", _check_text(check), "") for check in host.failed_checks]
        if host.error or host.status not in ("unchanged", "changed"):
            found.insert(0, (host.status, host.error, host.hint))
        for status, message, hint in found:
            alike = (status, _without_host(message, row), _without_host(hint, row))
            shared[alike].append((row, message, hint))
    return tuple(_trouble(alike, found) for alike, found in shared.items())


def matrices(rows: Sequence[HostRow]) -> tuple[Matrix, ...]:
    """The smoke test's results, one matrix for each registry."""
    checks: dict[str, dict[HostRow, dict[str, Check]]] = defaultdict(lambda: defaultdict(dict))
    refusals: dict[str, list[tuple[str, Check]]] = defaultdict(list)
    for row in rows:
        for check in row.report.checks:
            registry, _, name = check.name.partition("/")
            if name == "refusals" or name.endswith("-refused"):
                refusals[registry].append((name, check))
            else:
                checks[registry][row][name or registry] = check
    return tuple(
        _matrix(registry, checks[registry], tuple(refusals[registry]))
        for registry in sorted({*checks, *refusals})
    )


def _matrix(
    registry: str,
    checks: Mapping[HostRow, Mapping[str, Check]],
    refusals: tuple[tuple[str, Check], ...],
) -> Matrix:
    by_length = sorted(checks.values(), key=len, reverse=True)  # the longest has the best order
    columns = tuple(dict.fromkeys(name for found in by_length for name in found))
    rows = [
        MatrixRow(row, tuple(found.get(name) for name in columns)) for row, found in checks.items()
    ]
    return Matrix(registry, columns, tuple(sorted(rows, key=lambda row: not row.failed)), refusals)


def _trouble(alike: tuple[str, str, str], found: Sequence[tuple[HostRow, str, str]]) -> Trouble:
    status, message, hint = alike
    if len(found) == 1:
        _, message, hint = found[0]
    hosts = tuple(row for row, _, _ in found)
    return Trouble(status, message, hint, hosts, _taken_back(hosts, status))


def _check_text(check: Check) -> str:
    return f"{check.name}: {check.detail}" if check.detail else check.name


def _without_host(text: str, row: HostRow) -> str:
    """The text with `HOST` in place of the host's name and address, to find equal errors."""
    names = sorted(filter(None, (row.report.name, row.address)), key=len, reverse=True)
    pattern = "|".join(map(re.escape, names))
    return re.sub(rf"(?<![\w.-])(?:{pattern})(?![\w-]|\.\w)", "HOST", text)


def _taken_back(rows: Iterable[HostRow], status: str) -> tuple[str, ...]:
    if status != "rolled-back":
        return ()
    plans = [row.report.plan for row in rows]
    return tuple(
        dict.fromkeys(
            resource_text(change.resource) for plan in plans if plan for change in plan.changes
        )
    )
