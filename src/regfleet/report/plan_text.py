"""A plan that can be approved at a glance: grouped by change, with its reasons and its impact."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from regfleet.fleet.model import Fleet
from regfleet.plan.model import Action, Activation, Change, Plan
from regfleet.report import summary_text
from regfleet.report.lines import clean, show
from regfleet.report.model import Origin, Report
from regfleet.report.names import counted, listed

_SIGNS: Mapping[Action, tuple[str, str]] = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "run": (">", "cyan"),
}
_ACTIVATIONS: Mapping[Activation, str] = {"none": "", "reload": "cyan", "restart": "bold red"}
_ORIGINS: Mapping[Origin, str] = {"host": " [drift]", "fleet": "", "unclear": " [drift?]"}
_DIFFS = {"+": "green", "-": "red", "@": "cyan"}
_AVOID = "live-restore would avoid it"
_HOW = 'live-restore comes with `daemon = { "live-restore" = true }` in an apply before this one'
_WIDE = 100  # of what is listed where there is no terminal
_LEAST = 6  # columns before a reason that has a line of its own
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*(?=@)")  # RFC 3986, 3.2.1: userinfo


@dataclass(frozen=True, slots=True)
class Line:
    """One change that hosts share, and where it comes from."""

    change: Change
    origin: Origin


def show_plan(
    report: Report,
    console: Console,
    fleet: Fleet | None = None,
    *,
    diff: bool = False,
    every: bool = False,
    troubles: bool = True,
) -> None:
    """Print the plan: changes with their hosts, errors, the sum, drift, the impact.

    Args:
        fleet: whose groups are named where the hosts are one.
        diff: also what changes inside of files.
        every: all names of hosts, however many.
        troubles: also what keeps hosts from being planned.
    """
    groups = fleet.groups() if fleet else {}
    names = {frozenset(hosts): group for group, hosts in reversed(groups.items())}
    planned = [host.name for host in report.hosts.values() if host.plan]
    for together, lines in grouped(report, diff=diff).items():
        title = _title(together, names.get(frozenset(together), ""), whole=len(planned))
        _show_title(console, *title, together, every=every)
        _show_changes(console, lines)
    if troubles:
        summary_text.show_troubles(report, console, fleet, every=every)
    for lead, text in total(report):
        show(console, lead, text)
    plans = [host.plan for host in report.hosts.values() if host.plan and not host.plan.empty]
    if plans:
        _show_impact(plans, console)


def grouped(report: Report, *, diff: bool = False) -> dict[tuple[str, ...], list[Line]]:
    """The changes by the hosts that share them, those of the most hosts first.

    Args:
        diff: whether changes that differ in nothing but their insides are different ones.
    """
    hosts: dict[Line, list[str]] = defaultdict(list)
    for host in report.hosts.values():
        for change in host.plan.changes if host.plan else ():
            shown = Change(
                change.resource,
                change.action,
                change.reason,
                change.activation,
                change.diff if diff else "",
            )
            hosts[Line(shown, host.origins.get(change, "fleet"))].append(host.name)
    groups: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line, names in hosts.items():
        groups[tuple(names)].append(line)
    return dict(sorted(groups.items(), key=lambda item: -len(item[0])))


def total(report: Report) -> list[tuple[Text, str]]:
    """How many changes on how many hosts, and how many of them are drift."""
    plans = [host.plan for host in report.hosts.values() if host.plan]
    count = sum(len(plan.changes) for plan in plans)
    changing = sum(not plan.empty for plan in plans)
    if not plans:
        return [(_head("Plan"), "no host could be looked at.")]
    if not changing:
        return [(_head("Plan"), f"nothing to do on {counted(len(plans))}.")]
    words = f"{counted(count, 'change')} on {changing} of {counted(len(report.hosts))}."
    lines = [(_head("Plan"), words), *_drift(report)]
    if again := sum(plan.again for plan in plans):
        verb = "gets" if again == 1 else "get"
        text = f"{counted(again)} {verb} an engine first; the rest is planned when it is there."
        lines.append((_head("Then"), text))
    return lines


def _drift(report: Report) -> list[tuple[Text, str]]:
    found: dict[Origin, list[str]] = {"host": [], "unclear": []}
    for host in report.hosts.values():
        for change in host.plan.changes if host.plan else ():
            if (origin := host.origins.get(change, "fleet")) != "fleet":
                found[origin].append(host.name)
    lines = []
    if names := found["host"]:
        where = listed(list(dict.fromkeys(names)), _WIDE)
        verb = "undoes" if len(names) == 1 else "undo"
        text = (
            f"{counted(len(names), 'change')} {verb} what changed on {where} since it was applied."
        )
        lines.append((_head("Drift", "yellow"), text))
    if names := found["unclear"]:
        where = listed(list(dict.fromkeys(names)), _WIDE)
        verb = "undoes" if len(names) == 1 else "undo"
        text = (
            f"it cannot be told whether {counted(len(names), 'change')} on {where} {verb} what "
            "changed there, or what is declared changed."
        )
        lines.append((_head("Drift?", "yellow"), text))
    return lines


def impact(plans: Sequence[Plan]) -> list[str]:
    """What plans disturb, in words, one thing each."""
    words = [*_reloads(plans), *_restarts(plans)] or ["no engine is reloaded or restarted"]
    return [*words, *_containers(plans)]


def _show_impact(plans: Sequence[Plan], console: Console) -> None:
    words = impact(plans)
    if any(_AVOID in text for text in words):
        words.append(_HOW)
    lead = _head("Impact")
    for text in words:
        show(console, lead, f"{text}.")
        lead = Text(" " * lead.cell_len)


def _reloads(plans: Iterable[Plan]) -> list[str]:
    reloads = [plan for plan in plans if plan.activation == "reload"]
    if not reloads:
        return []
    words = [f"reload on {counted(len(reloads))}, no container stops"]
    risky = [plan for plan in reloads if plan.may_restart and not plan.live_restore]
    if stop := sum(plan.running for plan in risky):
        words.append(
            f"on {len(risky)} of these the engine may not take the reload, and is restarted then: "
            f"{counted(stop, 'container')} would stop; {_AVOID}"
        )
    return words


def _restarts(plans: Iterable[Plan]) -> list[str]:
    restarts = [plan for plan in plans if plan.activation == "restart"]
    stopping = [plan for plan in restarts if plan.containers_affected]
    quiet = len(restarts) - len(stopping)
    words = [f"restart on {counted(quiet)}, no container stops"] if quiet else []
    if stopping:
        count = sum(plan.containers_affected for plan in stopping)
        verb = "stops" if count == 1 else "stop"
        where = counted(len(stopping))
        words.append(f"restart, {counted(count, 'container')} {verb} on {where}; {_AVOID}")
    return words


def _containers(plans: Iterable[Plan]) -> list[str]:
    """Registries that are away for a moment or for good, data that goes."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for plan in plans:
        for change in plan.changes:
            kind, _, name = change.resource.partition(" ")
            if kind == "container" and change.action == "update":
                found[name, "is replaced"].append(plan.host)
            elif kind in ("container", "data") and change.action == "delete":
                found[name, "is removed" if kind == "container" else "is deleted"].append(plan.host)
    away = {"is replaced": ": its registry is away for a moment"}
    return [
        f"{clean(name)} {verb} on {listed(hosts, _WIDE)}{away.get(verb, '')}"
        for (name, verb), hosts in found.items()
    ]


def _title(names: Sequence[str], group: str, *, whole: int) -> tuple[str, str]:
    """The group's name where the hosts are one, and how many they are where that is not seen."""
    if len(names) == 1:
        return "", ""
    count = f"all {whole} hosts" if len(names) == whole else counted(len(names))
    return group, count


def _show_title(
    console: Console, group: str, count: str, names: Sequence[str], *, every: bool
) -> None:
    lead = f"{group}: " if group else ""
    tail = f" ({count})" if count else ""
    room = (console.width if console.is_terminal else _WIDE) - len(lead) - len(tail)
    text = listed(names, None if every else room)
    show(console, "", Text.assemble((clean(f"{lead}{text}"), "bold"), (tail, "dim")))


def _show_changes(console: Console, lines: Sequence[Line]) -> None:
    rows = [(line, _left(line), Text(clean(line.change.reason), "dim")) for line in lines]
    longest = max(left.cell_len for _, left, _ in rows)
    column = longest + 2
    if console.is_terminal:  # the reasons in a column of their own, where they all have room
        widest = max(right.cell_len for _, _, right in rows)
        column = max(_LEAST, min(column, console.width - widest))
    for line, left, right in rows:
        if left.cell_len + 2 <= column:
            padded = left.copy()
            padded.append(" " * (column - left.cell_len))
            show(console, padded, right)
        else:
            show(console, left[:4], left[4:])
            show(console, " " * column, right)
        for text in line.change.diff.splitlines():
            masked = clean(_PASSWORD.sub(r"\1:***", text))
            show(console, "      ", Text(masked, _DIFFS.get(text[:1], "")), words=False)


def _left(line: Line) -> Text:
    change = line.change
    sign, style = _SIGNS[change.action]
    text = Text.assemble("  ", (sign, style), " ", clean(change.resource))
    if change.activation != "none":
        text.append(f" [{change.activation}]", _ACTIVATIONS[change.activation])
    return text.append(_ORIGINS[line.origin], "yellow")


def _head(word: str, style: str = "") -> Text:
    return Text.assemble((f"{word}: ", f"bold {style}".strip()))
