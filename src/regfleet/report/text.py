"""A run for people: the plan, and the summary a tired person can act on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from regfleet.plan.model import Change, Plan
from regfleet.report.model import HostReport, Report

_SIGNS = {
    "create": "[green]+[/]",
    "update": "[yellow]~[/]",
    "delete": "[red]-[/]",
    "run": "[cyan]>[/]",
}
_MANY = 6


def plan(report: Report, console: Console, *, diff: bool = False) -> None:
    """The plan, grouped by change where many hosts share it."""
    groups: dict[Change, list[str]] = defaultdict(list)
    for host in report.hosts.values():
        for change in host.plan.changes if host.plan else ():
            groups[change].append(host.name)
    by_hosts: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for change, names in groups.items():
        by_hosts[tuple(names)].append(change)
    for together, changes in by_hosts.items():
        console.print(f"[bold]{escape(_names(together))}[/]")
        for change in changes:
            effect = "" if change.activation == "none" else f" [{change.activation}]"
            console.print(
                f"  {_SIGNS[change.action]} {escape(change.resource)}"
                f"{escape(effect)}  [dim]{escape(change.reason)}[/]",
                soft_wrap=True,
            )
            if diff and change.diff:
                for line in change.diff.splitlines():
                    console.print(f"      {escape(line)}", soft_wrap=True, highlight=False)
    errors(report, console)
    console.print(_sum(report))
    console.print(impact([host.plan for host in report.hosts.values() if host.plan]))


def impact(plans: Sequence[Plan]) -> str:
    """What the plans disturb, in words."""
    reloads = [each for each in plans if each.activation == "reload"]
    restarts = [each for each in plans if each.activation == "restart"]
    if not reloads and not restarts:
        return "Impact: no engine is reloaded or restarted."
    words = []
    if reloads:
        words.append(f"{_hosts(len(reloads))}: the engine reloads, no container stops")
    if restarts:
        stop = sum(each.containers_affected for each in restarts)
        text = f"{_hosts(len(restarts))}: the engine restarts, "
        text += f"{stop} running containers stop" if stop else "no container stops"
        if stop:
            text += ' (`daemon = { "live-restore" = true }`, applied before, would keep them)'
        words.append(text)
    return f"Impact: {'; '.join(words)}."


def summary(report: Report, console: Console, again: str) -> None:
    """How it went, and the next command to type where something went wrong."""
    rows = [host for host in report.hosts.values() if host.checks]
    for host in rows:
        passed = sum(check.verdict == "passed" for check in host.checks)
        skipped = sum(check.verdict == "skipped" for check in host.checks)
        words = f"{passed} passed"
        words += f", {len(host.failed_checks)} failed" if host.failed_checks else ""
        words += f", {skipped} skipped" if skipped else ""
        console.print(f"smoke {escape(host.name)}: {words}", highlight=False)
        for check in host.failed_checks:
            console.print(
                f"  [red]failed[/] {escape(check.name)}: {escape(check.detail)}", soft_wrap=True
            )
    errors(report, console)
    counts: dict[str, int] = defaultdict(int)
    for host in report.hosts.values():
        counts[host.status] += 1
    words = ", ".join(f"{count} {status}" for status, count in counts.items())
    console.print(f"[bold]{'Done' if report.ok else 'Not done'}[/]: {words}", highlight=False)
    if not report.ok:
        console.print(
            f"Next: mend the above, then `{escape(again)}` (what is done stays done).",
            soft_wrap=True,
        )


def errors(report: Report, console: Console) -> None:
    """Errors with their hints; hosts that share one stand together."""
    shared: dict[tuple[str, str, str], list[HostReport]] = defaultdict(list)
    for host in report.hosts.values():
        if host.error:
            shared[host.status, host.error, host.hint].append(host)
    for (status, error, hint), hosts in shared.items():
        names = _names([host.name for host in hosts])
        console.print(f"[red]{status}[/] [bold]{escape(names)}[/]: {escape(error)}", soft_wrap=True)
        if hint:
            console.print(f"  hint: {escape(hint)}", soft_wrap=True, highlight=False)


def _sum(report: Report) -> str:
    changing = sum(1 for host in report.hosts.values() if host.plan and not host.plan.empty)
    count = sum(len(host.plan.changes) for host in report.hosts.values() if host.plan)
    planned = sum(1 for host in report.hosts.values() if host.plan)
    if not planned:
        return "Plan: no host could be looked at."
    if not changing:
        return f"Plan: nothing to do on {_hosts(planned)}."
    changes = f"{count} change{'' if count == 1 else 's'}"
    return f"Plan: {changes} on {changing} of {_hosts(len(report.hosts))}."


def _names(names: Sequence[str]) -> str:
    if len(names) <= _MANY:
        return ", ".join(names)
    return f"{', '.join(names[: _MANY - 1])} and {len(names) - _MANY + 1} more"


def _hosts(count: int) -> str:
    return f"{count} host{'' if count == 1 else 's'}"
