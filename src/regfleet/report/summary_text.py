"""Print the result of a run: what failed, on which hosts, why, and the next command."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from regfleet.fleet.model import Fleet
from regfleet.model.checks import Check
from regfleet.model.names import counted, listed
from regfleet.model.report import HostReport, Report, Status
from regfleet.report.lines import show, show_whole
from regfleet.report.page import rows
from regfleet.report.page.rows import Trouble
from regfleet.run.progress import duration
from regfleet.terminal.cleaning import clean

_ORDER: tuple[Status, ...] = (
    "changed",
    "unchanged",
    "rolled-back",
    "failed",
    "unreachable",
    "skipped",
)
_HANG = 2
_NAMES = 60  # columns for host names before a text


def show_summary(
    report: Report,
    console: Console,
    fleet: Fleet | None = None,
    *,
    again: str,
    prove: str = "",
    seconds: float = 0,
    every: bool = False,
) -> None:
    """Print the result of a run.

    Args:
        again: the command that completes the run.
        prove: the command that smoke-tests unproven hosts; empty to print nothing of that.
        seconds: the run's duration; 0 to print none.
        every: all names of hosts, however many.
    """
    for text, names in _checks(report).items():
        show(console, f"smoke {_names(names, every=every)}: ", text)
    for text, names in _notes(report).items():
        show(console, f"note {_names(names, every=every)}: ", clean(text))
    show_troubles(report, console, fleet, every=every)
    show(console, "", _counts(report, seconds))
    _show_unproven(report, console, prove, every=every)
    if not report.ok:
        cut_off = all(host.ok or host.status == "skipped" for host in report.hosts.values())
        words = "go on with" if cut_off else "fix the above, then"
        show(console, "", f"Next: {words} (what is done stays done):")
        show_whole(console, f"  {again}")


def show_troubles(
    report: Report, console: Console, fleet: Fleet | None = None, *, every: bool = False
) -> None:
    """Print errors and failed checks with their hints; an error that hosts share is printed once.

    Args:
        fleet: its addresses show which errors are the same on several hosts.
        every: all names of hosts, however many.
    """
    for trouble in _same_reason_joined(rows.troubles(rows.host_rows(fleet, report))):
        names = _names([row.report.name for row in trouble.hosts], every=every)
        style = "yellow" if trouble.status == "skipped" else "red"
        what = trouble.status.replace("smoke-failed", "smoke test failed")
        head = Text.assemble((what, style), " ", (clean(names), "bold"), ": ")
        show(console, "", head.append(clean(trouble.message)), hang=_HANG)
        if trouble.hint:
            show(console, "  hint: ", clean(trouble.hint))


def _show_unproven(report: Report, console: Console, prove: str, *, every: bool) -> None:
    """Print hosts without a passed smoke test, and the command for one; not this run's failures."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, entry in report.unproven.items():
        host = report.hosts.get(name)
        if not (host and host.failed_checks):
            found[entry.why].append(name)
    if not prove or not found:
        return
    for why, names in found.items():
        show(console, Text("not proven: ", "yellow"), f"{_names(names, every=every)}: {why}")
    if report.ok:
        show(console, "", "A smoke test proves it:")
        show_whole(console, f"  {prove}")


def _same_reason_joined(troubles: Iterable[Trouble]) -> list[Trouble]:
    """Join checks that failed on the same hosts for the same reason into one trouble."""
    found: dict[object, Trouble] = {}
    for number, trouble in enumerate(troubles):
        check, _, why = trouble.message.partition(": ")
        alike = (trouble.hosts, why) if trouble.status == "smoke-failed" and why else number
        before = found.get(alike)
        checks = f"{before.message.partition(': ')[0]}, {check}" if before else check
        found[alike] = replace(trouble, message=f"{checks}: {why}" if why else checks)
    return list(found.values())


def _checks(report: Report) -> dict[str, list[str]]:
    """Hosts by the counts of their checks' verdicts."""
    found: dict[str, list[str]] = defaultdict(list)
    for host in report.hosts.values():
        if host.checks:
            found[_verdicts(host)].append(host.name)
    return found


def _verdicts(host: HostReport) -> str:
    counts = Counter(check.verdict for check in host.checks)
    words = [f"{counts[each]} {each}" for each in ("passed", "failed", "skipped") if counts[each]]
    text = ", ".join(words)
    reasons = dict.fromkeys(
        check.detail.removeprefix(f"{host.name} ")
        for check in host.checks
        if _has_own_reason(check)
    )
    return f"{text} ({'; '.join(map(clean, reasons))})" if reasons else text


def _has_own_reason(check: Check) -> bool:
    """Whether a check was skipped for its own reason, not because an earlier check failed."""
    told = bool(check.detail) and not check.detail.endswith(" failed")
    return told and check.verdict == "skipped"


def _notes(report: Report) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for host in report.hosts.values():
        for note in host.notes:
            found[note].append(host.name)
        if host.untested and host.status == "changed":
            # An interrupted smoke test proves nothing, even if some checks passed.
            tested = "the smoke test was interrupted" if host.checks else "not smoke-tested"
            found[f"changed, and {tested}"].append(host.name)
    return found


def _counts(report: Report, seconds: float) -> Text:
    counts = Counter(host.status for host in report.hosts.values())
    words = ", ".join(f"{counts[status]} {status}" for status in _ORDER if counts[status])
    if bad := sum(bool(host.failed_checks) for host in report.hosts.values()):
        words += f"; the smoke test failed on {counted(bad)}"
    verdict = ("Done", "bold green") if report.ok else ("Not done", "bold red")
    took = f" in {duration(seconds)}" if seconds else ""
    return Text.assemble(verdict, f"{took}: {words}")


def _names(names: list[str], *, every: bool) -> str:
    return clean(listed(names, None if every else _NAMES))
