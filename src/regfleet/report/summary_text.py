"""How a run went, for a tired person: what failed, where, why, and the next command to type."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from regfleet.fleet.model import Fleet
from regfleet.report.lines import clean, show
from regfleet.report.model import HostReport, Report, Status
from regfleet.report.names import counted, listed
from regfleet.report.page import rows
from regfleet.report.page.rows import Trouble
from regfleet.report.progress import duration

_ORDER: tuple[Status, ...] = (
    "changed",
    "unchanged",
    "rolled-back",
    "failed",
    "unreachable",
    "skipped",
)
_HANG = 2
_NAMES = 60  # columns for hosts before what is said of them


def show_summary(
    report: Report,
    console: Console,
    fleet: Fleet | None = None,
    *,
    again: str,
    seconds: float = 0,
    every: bool = False,
) -> None:
    """Print how a run went.

    Args:
        again: the command that does what is left to do.
        seconds: how long it took; 0 for no word of it.
        every: all names of hosts, however many.
    """
    for text, names in _checks(report).items():
        show(console, f"smoke {_names(names, every=every)}: ", text)
    for text, names in _notes(report).items():
        show(console, f"note {_names(names, every=every)}: ", clean(text))
    show_troubles(report, console, fleet, every=every)
    show(console, "", _counts(report, seconds))
    if not report.ok:
        cut_off = all(host.ok or host.status == "skipped" for host in report.hosts.values())
        words = "go on with" if cut_off else "mend the above, then"
        show(console, "", f"Next: {words} (what is done stays done):")
        console.print(Text(f"  {again}"), soft_wrap=True)  # in one piece, to be copied


def show_troubles(
    report: Report, console: Console, fleet: Fleet | None = None, *, every: bool = False
) -> None:
    """Print what went wrong, with what to do about it; what hosts share is told once.

    Args:
        fleet: by whose addresses it is seen that hosts share something.
        every: all names of hosts, however many.
    """
    for trouble in _together(rows.troubles(rows.host_rows(fleet, report))):
        names = _names([row.report.name for row in trouble.hosts], every=every)
        style = "yellow" if trouble.status == "skipped" else "red"
        what = trouble.status.replace("smoke-failed", "smoke test failed")
        head = Text.assemble((what, style), " ", (clean(names), "bold"), ": ")
        show(console, "", head.append(clean(trouble.message)), hang=_HANG)
        if trouble.hint:
            show(console, "  hint: ", clean(trouble.hint))


def _together(troubles: Iterable[Trouble]) -> list[Trouble]:
    """Checks that failed on the same hosts for the same reason are one trouble."""
    found: dict[object, Trouble] = {}
    for number, trouble in enumerate(troubles):
        check, _, why = trouble.message.partition(": ")
        alike = (trouble.hosts, why) if trouble.status == "smoke-failed" and why else number
        before = found.get(alike)
        checks = f"{before.message.partition(': ')[0]}, {check}" if before else check
        found[alike] = replace(trouble, message=f"{checks}: {why}" if why else checks)
    return list(found.values())


def _checks(report: Report) -> dict[str, list[str]]:
    """How many checks ended how, and the hosts of which that is true."""
    found: dict[str, list[str]] = defaultdict(list)
    for host in report.hosts.values():
        if host.checks:
            found[_verdicts(host)].append(host.name)
    return found


def _verdicts(host: HostReport) -> str:
    counts = Counter(check.verdict for check in host.checks)
    words = [f"{counts[each]} {each}" for each in ("passed", "failed", "skipped") if counts[each]]
    return ", ".join(words)


def _notes(report: Report) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for host in report.hosts.values():
        for note in host.notes:
            found[note].append(host.name)
        if host.untested:
            found["changed, and not smoke-tested"].append(host.name)
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
