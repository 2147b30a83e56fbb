"""Print runs, generations and what a rollback would do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from regfleet.image_work import Entry
from regfleet.journal import HostRun, Run
from regfleet.model.names import listed
from regfleet.model.resource import Resource
from regfleet.report.lines import show
from regfleet.report.resource_text import resource_text
from regfleet.run.back import Way
from regfleet.touch.generations import Generation, comes_back

_MOST_CHANGES = 6
_SIGNS = {"create": "+", "update": "~", "delete": "-", "run": ">"}
_STYLES = {"+": "green", "-": "red", "~": "yellow", "=": "dim"}
_AFTER_ROLLBACK = {
    "+": "comes back",
    "-": "is removed",
    "~": "returns to its earlier state",
    "=": "stays as it is now: it cannot be restored",
}
_HANG = 4


def show_runs(
    runs: Sequence[Run], console: Console, images: Sequence[Entry] = (), *, every: bool = False
) -> None:
    """Print the runs of a fleet and what was done to images, the newest first.

    Args:
        every: print all changes and all host names.
    """
    everything: list[Run | Entry] = [*runs, *images]
    for run in sorted(everything, key=lambda each: each.began, reverse=True):
        if isinstance(run, Entry):
            _show_entry(run, console, every=every)
            continue
        head = Text.assemble((f"run {run.number}", "bold"), f"  {moment(run.began)}  ")
        words, style = _result(run)
        show(
            console, head, Text.assemble((words, style), f"  {run.who} on {run.origin}: {run.line}")
        )
        for names, text in _hosts_by_result(run).items():
            show(console, "    ", f"{listed(list(names), None if every else 60)}: {text}", hang=2)
            changes = run.hosts[names[0]].changes
            for action, resource in changes if every else changes[:_MOST_CHANGES]:
                show(console, f"      {_SIGNS.get(action, '>')} ", resource_text(resource))
            if not every and len(changes) > _MOST_CHANGES:
                show(console, "      ", f"and {len(changes) - _MOST_CHANGES} more (-v shows all)")


def _show_entry(entry: Entry, console: Console, *, every: bool) -> None:
    head = Text.assemble((entry.command, "bold"), f"  {moment(entry.began)}  ")
    words, style = _result(entry)
    who = f"  {entry.who} on {entry.origin}: {entry.line}"
    show(console, head, Text.assemble((words, style), who))
    if entry.error:
        show(console, "    ", entry.error, hang=2)
    shown = entry.did if every else entry.did[:_MOST_CHANGES]
    for line in shown:
        show(console, "    ", line, hang=2)
    if hidden := len(entry.did) - len(shown):
        show(console, "    ", f"and {hidden + entry.more} more (-v shows {len(entry.did)})")
    elif entry.more:
        show(console, "    ", f"and {entry.more} more")


def _result(run: Run | Entry) -> tuple[str, str]:
    if run.ok is None:
        return "did not finish", "red"
    return ("well", "green") if run.ok else ("not well", "red")


def _hosts_by_result(run: Run) -> dict[tuple[str, ...], str]:
    """Hosts with the same changes and result, with the result in words."""
    groups: dict[tuple[str, tuple[tuple[str, Resource], ...]], list[str]] = defaultdict(list)
    for name, host in run.hosts.items():
        groups[_host_result(host), host.changes].append(name)
    return {tuple(names): text for (text, _), names in groups.items()}


def _host_result(host: HostRun) -> str:
    words = host.status or "result unknown"
    if host.status == "unknown":
        words = "unknown whether it was changed"
    words += f" ({host.error})" if host.error else ""
    return f"{words}; undone by run {host.undone}" if host.undone else words


def show_generations(
    host: str, generations: Sequence[Generation], fleet: str, console: Console, *, every: bool
) -> None:
    """Print the generations that a host keeps, the newest first."""
    show(console, "", Text.assemble((host, "bold"), ": " if generations else ": nothing is kept"))
    for each in generations:
        show(
            console, f"  generation {each.number}  ", f"{moment(each.when)}  {_run_of(each, fleet)}"
        )
        back = comes_back([each])
        if back:
            show(console, "    ", "going back to the state before it does this:")
        for sign, resource in back if every else back[:_MOST_CHANGES]:
            show(console, Text(f"    {sign} ", _STYLES[sign]), _rollback_line(resource, sign))
        if not every and len(back) > _MOST_CHANGES:
            show(console, "    ", f"and {len(back) - _MOST_CHANGES} more (-v shows all)")


def _run_of(each: Generation, fleet: str) -> str:
    run = f"run {each.run} of {each.who}" if each.run else "run not noted"
    return run if each.fleet == fleet else f"{run}, of the fleet {each.fleet}"


def show_ways(ways: Mapping[str, Way], console: Console, *, every: bool = False) -> None:
    """Print what a rollback would do; hosts with the same effect share one entry."""
    groups: dict[object, list[str]] = defaultdict(list)
    for name, way in ways.items():
        steps = tuple((each.run, each.id) for each in way.generations)
        groups[steps, comes_back(way.generations)].append(name)
    for names in groups.values():
        way = ways[names[0]]
        head = Text(listed(names, None if every else 60), "bold")
        if not way.generations:
            show(console, "", head.append(": nothing to take back", ""), hang=_HANG)
            continue
        numbers = ", ".join(dict.fromkeys(_generation_name(each) for each in way.generations))
        show(console, "", Text.assemble(head, f": takes back {numbers}"), hang=_HANG)
        for sign, resource in comes_back(way.generations):
            show(console, Text(f"  {sign} ", _STYLES[sign]), _rollback_line(resource, sign), hang=2)


def _rollback_line(resource: Resource, sign: str) -> str:
    return f"{resource_text(resource)}: {_AFTER_ROLLBACK[sign]}"


def _generation_name(each: Generation) -> str:
    if each.run:
        return f"run {each.run} ({moment(each.when)}, {each.who})"
    return f"generation {each.number} ({moment(each.when)})"


def moment(text: str) -> str:
    """A time in the form that people read."""
    return text.replace("T", " ").replace("Z", " UTC") or "unknown time"
