"""Print a plan: changes grouped by host, with their reasons and impact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.text import Text

from regfleet.fleet.model import Fleet
from regfleet.model.names import counted, listed
from regfleet.model.plan import Action, Activation, Change, Plan
from regfleet.model.report import Origin, Report
from regfleet.report import summary_text
from regfleet.report.impact import SERVICES, inside, reloaded, replaced
from regfleet.report.lines import show
from regfleet.report.resource_text import not_compared_text, resource_text
from regfleet.terminal.cleaning import clean

_SIGNS: Mapping[Action, tuple[str, str]] = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "delete": ("-", "red"),
    "run": (">", "cyan"),
}
_ACTIVATIONS: Mapping[Activation, str] = {"none": "", "reload": "cyan", "restart": "bold red"}
_ORIGINS: Mapping[Origin, str] = {"host": " [drift]", "fleet": "", "unclear": " [drift?]"}
_DIFFS = {"+": "green", "-": "red", "@": "cyan"}
_LIVE_RESTORE_AVOIDS = "live-restore would avoid it"
_LIVE_RESTORE_HOW = (
    'live-restore comes with `daemon = { "live-restore" = true }` in an apply before this one'
)
_WIDE = 100  # columns of a list of names without a terminal
_MOST_PARTS = 50  # shown parts of a change
_MIN_REASON_INDENT = 6  # indentation of a reason on a line of its own


@dataclass(frozen=True, slots=True)
class Line:
    """A change that hosts share, its text, and its origin."""

    change: Change
    text: str
    origin: Origin


def show_plan(
    report: Report,
    console: Console,
    fleet: Fleet | None = None,
    *,
    diff: bool = False,
    every: bool = False,
    troubles: bool = True,
    destroyed: bool = False,
) -> None:
    """Print the plan: changes with their hosts, errors, totals, drift, impact.

    Args:
        fleet: names the group if hosts are exactly one of its groups.
        diff: also print the changes inside files.
        every: print all host names.
        troubles: also print the errors of hosts that have no plan.
        destroyed: print registries last, in the order of `destroy`.
    """
    groups = fleet.groups() if fleet else {}
    names = {frozenset(hosts): group for group, hosts in reversed(groups.items())}
    planned = [host.name for host in report.hosts.values() if host.plan]
    first = frozenset(groups.get("registries", ()))
    for together, lines in grouped(report, diff=diff, first=first, last=destroyed).items():
        title = _title(together, names.get(frozenset(together), ""), whole=len(planned))
        _show_title(console, *title, together, every=every)
        _show_changes(console, lines)
    if troubles:
        summary_text.show_troubles(report, console, fleet, every=every)
    for lead, text in total(report):
        show(console, lead, text)
    plans = [
        host.plan
        for host in report.hosts.values()
        if host.plan and not host.plan.empty and not host.skip
    ]
    if plans:
        _show_impact(plans, console)
    for lead, text in (*_unproven(report), *_gone(report, fleet)):
        show(console, lead, text)


def grouped(
    report: Report,
    *,
    diff: bool = False,
    first: frozenset[str] = frozenset(),
    last: bool = False,
) -> dict[tuple[str, ...], list[Line]]:
    """The changes by the hosts that share them, in the order of execution.

    Args:
        diff: whether changes that differ only in their diffs are different ones.
        first: the hosts that are changed first; of the rest, changes of the most hosts come first.
        last: whether those hosts are changed last instead.
    """
    hosts: dict[Line, list[str]] = defaultdict(list)
    for host in report.hosts.values():
        for change in host.plan.changes if host.plan else ():
            for shown, text in _shown_parts(change, diff=diff):
                line = Line(shown, text, host.origins.get(change, "fleet"))
                hosts[line].append(host.name)
    groups: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line, names in hosts.items():
        groups[tuple(names)].append(line)

    def place(names: tuple[str, ...]) -> tuple[bool, int]:
        return first.isdisjoint(names) != last, -len(names)

    return {names: groups[names] for names in sorted(groups, key=place)}


def _shown_parts(change: Change, *, diff: bool) -> Iterator[tuple[Change, str]]:
    """A change with its text, or its first parts with theirs if it has parts."""
    text = resource_text(change.resource)
    shown = replace(change, diff=change.diff if diff else "", parts=())
    if not change.parts:
        yield shown, text
        return
    for part in change.parts[:_MOST_PARTS]:
        of_part = replace(shown, resource=part.resource, action=part.action, diff="")
        yield of_part, resource_text(part.resource)
    if (more := len(change.parts) - _MOST_PARTS) > 0:
        yield replace(shown, diff=""), f"{more} more of {text}"


def total(report: Report) -> list[tuple[Text, str]]:
    """Lines with the number of changes, hosts, and changes that are drift."""
    plans = [host.plan for host in report.hosts.values() if host.plan]
    count = sum(len(plan.changes) for plan in plans)
    changing = sum(not plan.empty for plan in plans)
    if not plans:
        return [(_heading("Plan"), "no host could be looked at.")]
    if not changing:
        words = f"nothing to do on {counted(len(plans))}."
        return [(_heading("Plan"), words), *_unknown(report)]
    words = f"{counted(count, 'change')} on {changing} of {counted(len(report.hosts))}."
    lines = [(_heading("Plan"), words), *_skipped(report), *_drift(report), *_unknown(report)]
    if again := sum(plan.again for plan in plans):
        verb = "gets" if again == 1 else "get"
        text = f"{counted(again)} {verb} an engine first; the rest is planned when it is there."
        lines.append((_heading("Then"), text))
    return lines


def _skipped(report: Report) -> list[tuple[Text, str]]:
    """Hosts that are not going to be changed, for what is wrong with others."""
    found: dict[str, list[str]] = defaultdict(list)
    for host in report.hosts.values():
        if host.skip:
            found[host.skip].append(host.name)
    return [
        (_heading("Skipped", "yellow"), f"{listed(names, _WIDE)}: {clean(why)}.")
        for why, names in found.items()
    ]


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
        lines.append((_heading("Drift", "yellow"), text))
    if names := found["unclear"]:
        where = listed(list(dict.fromkeys(names)), _WIDE)
        verb = "undoes" if len(names) == 1 else "undo"
        text = (
            f"it cannot be told whether {counted(len(names), 'change')} on {where} {verb} what "
            "changed there, or what is declared changed."
        )
        lines.append((_heading("Drift?", "yellow"), text))
    return lines


def _unproven(report: Report) -> list[tuple[Text, str]]:
    """Hosts without a passed smoke test: an empty plan does not prove that they work."""
    names = [name for name in report.hosts if name in report.unproven]
    if not names:
        return []
    text = f"{listed(names, _WIDE)}: no smoke test has passed since the last change; apply runs it."
    return [(_heading("Not proven", "yellow"), text)]


def _gone(report: Report, fleet: Fleet | None) -> list[tuple[Text, str]]:
    """Hosts that left the fleet file: only `--prune` removes what the fleet owns on them."""
    names = [name for name in report.gone if name not in report.hosts]  # those are taken out
    if not names:
        return []
    groups = dict.fromkeys(group for name in names for group in report.gone[name])
    verb, keep, them = (
        ("is", "keeps its", "it") if len(names) == 1 else ("are", "keep their", "them")
    )
    file = fleet.path.name if fleet else "FILE"
    text = (
        f"{listed(names, _WIDE)} ({', '.join(groups)}) {verb} no longer in the fleet file and "
        f"{keep} trust and logins. `regfleet apply {file} --prune` takes them out; where a host is "
        f"not there any more, `--forget {names[0]}` forgets {them}."
    )
    return [(_heading("Gone", "yellow"), text)]


def _unknown(report: Report) -> list[tuple[Text, str]]:
    """Resources that were not compared, because their secrets are unknown here."""
    found: dict[str, list[str]] = defaultdict(list)
    for host in report.hosts.values():
        for left_out in host.unknown:
            found[not_compared_text(left_out)].append(host.name)
    if not found:
        return []
    what = "; ".join(f"{name} on {listed(hosts, _WIDE)}" for name, hosts in found.items())
    return [(_heading("Not compared", "yellow"), f"{what}: that takes secrets.")]


def impact(plans: Sequence[Plan]) -> list[str]:
    """The impact of plans: one text for each effect."""
    words = [*_reloads(plans), *_restarts(plans)] or ["no engine is reloaded or restarted"]
    return [*words, *_services(plans)]


def _show_impact(plans: Sequence[Plan], console: Console) -> None:
    words = impact(plans)
    if any(_LIVE_RESTORE_AVOIDS in text for text in words):
        words.append(_LIVE_RESTORE_HOW)
    lead = _heading("Impact")
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
            f"{counted(stop, 'container')} would stop; {_LIVE_RESTORE_AVOIDS}"
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
        words.append(
            f"restart, {counted(count, 'container')} {verb} on {where}; {_LIVE_RESTORE_AVOIDS}"
        )
    return words


def _services(plans: Iterable[Plan]) -> list[str]:
    """Registries that are replaced or removed, and data that is deleted."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for plan in plans:
        for change in plan.changes:
            kind, name = change.resource.kind, change.resource.name
            if kind in SERVICES and change.resource in reloaded(plan):
                found[name, "is reloaded", ": no request is lost"].append(plan.host)
            elif kind in SERVICES and change.action == "update":
                how_long = f": {replaced(plan, change)}"
                found[name, "is replaced", how_long].append(plan.host)
            elif kind in SERVICES and change.action == "delete":
                found[name, "is removed", ""].append(plan.host)
            elif kind == "data" and change.action == "delete":
                found[name, "is deleted", ""].append(plan.host)
    return [
        f"{clean(name)} {verb} on {listed(hosts, _WIDE)}{how_long}"
        for (name, verb, how_long), hosts in found.items()
    ]


def _title(names: Sequence[str], group: str, *, whole: int) -> tuple[str, str]:
    """The group's name if the hosts are one group, and their number if there are several."""
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
    rows = [(line, _change_text(line), Text(clean(line.change.reason), "dim")) for line in lines]
    longest = max(left.cell_len for _, left, _ in rows)
    column = longest + 2
    if console.is_terminal:  # reasons get a column of their own if all fit
        widest = max(right.cell_len for _, _, right in rows)
        column = max(_MIN_REASON_INDENT, min(column, console.width - widest))
    for line, left, right in rows:
        if left.cell_len + 2 <= column:
            padded = left.copy()
            padded.append(" " * (column - left.cell_len))
            show(console, padded, right)
        else:
            show(console, left[:4], left[4:])
            show(console, " " * column, right)
        for text in inside(line.change).split("\n") if line.change.diff else ():
            show(console, "      ", Text(clean(text), _DIFFS.get(text[:1], "")), words=False)


def _change_text(line: Line) -> Text:
    change = line.change
    sign, style = _SIGNS[change.action]
    text = Text.assemble("  ", (sign, style), " ", clean(line.text))
    if change.activation != "none":
        text.append(f" [{change.activation}]", _ACTIVATIONS[change.activation])
    return text.append(_ORIGINS[line.origin], "yellow")


def _heading(word: str, style: str = "") -> Text:
    return Text.assemble((f"{word}: ", f"bold {style}".strip()))
