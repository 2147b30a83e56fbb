"""A rehearsal for people, while it goes on and at its end, and as a document."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from regfleet.fleet.model import Json
from regfleet.rehearse.rehearsal import Progress, Result, Stage
from regfleet.report import as_json
from regfleet.report.model import Report
from regfleet.report.plan_text import show_plan
from regfleet.report.summary_text import show_troubles
from regfleet.smoke.outcome import Check

VERSION = 1
_NAME = 8  # of a stage, the longest
_FEW = 4


class Told(Progress):
    """Stages as lines, each when it has ended; at a terminal also what goes on.

    Args:
        console: where to.
        verbose: every line of progress, too.
    """

    def __init__(self, console: Console, *, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._stage = ""
        self._status: Status | None = None

    def begin(self, stage: Stage) -> None:
        """At a terminal it is shown to be going on."""
        self._stage = stage.name
        if self._console.is_terminal:
            self._status = self._console.status(f"{stage.name:<{_NAME}}")
            self._status.start()

    def line(self, text: str) -> None:
        """The newest one stands beside the stage, for as long as it lasts."""
        if self._verbose:
            self._console.print(f"  [dim]{escape(text)}[/]", soft_wrap=True)
        if self._status:
            self._status.update(f"{self._stage:<{_NAME}}  [dim]{escape(text[:60])}[/]")

    def news(self, text: str) -> None:
        """What takes long and stays to be read."""
        self._console.print(f"  {escape(text)}", soft_wrap=True)

    def end(self, stage: Stage) -> None:
        """Its line."""
        if self._status:
            self._status.stop()
            self._status = None
        sign = "[green]ok[/]  " if stage.ok else "[red]fail[/]"
        seconds = f"{stage.seconds:.1f} s"
        self._console.print(
            f"{sign} {stage.name:<{_NAME}} {seconds:>8}  {escape(stage.said)}", soft_wrap=True
        )


def render(result: Result, console: Console) -> None:
    """The checks, what went wrong, what was left, and what the rehearsal does not show."""
    if result.applied:
        _smoke(result.applied, console)
    for report in (result.applied, result.again, result.destroyed):
        if report and not report.ok:
            show_troubles(report, console)
    if result.again and any(
        host.plan and host.plan.changes for host in result.again.hosts.values()
    ):
        console.print("\n[bold]The second apply still has to do:[/]")
        show_plan(result.again, console)
    if result.left:
        console.print("\n[bold]Not as it was before:[/]")
        for words, names in _together(result.left).items():
            console.print(f"  {escape(_few(names))}: {escape(words)}", soft_wrap=True)
    if result.differences:
        console.print("\n[bold]What this rehearsal does not show[/]")
        width = max(len(difference.topic) for difference in result.differences)
        topic = ""
        for difference in result.differences:
            head = "" if difference.topic == topic else difference.topic
            topic = difference.topic
            words = f"  [dim]{head:<{width}}[/]  {escape(difference.text)}"
            console.print(words, soft_wrap=True)


def document(result: Result) -> str:
    """`rehearse --json`."""
    applied: dict[str, Json] = {}
    if result.applied:
        applied = json.loads(as_json.apply_document(result.applied))["hosts"]
    hosts: dict[str, Json] = {}
    for name, suite in result.suites.items():
        of_apply = applied.get(name)
        hosts[name] = {
            "suite": suite,
            "engine": result.engines.get(name),
            **(of_apply if isinstance(of_apply, dict) else {}),
            "again": _resources(result.again, name),
            "left": list(result.left.get(name, ())) if result.destroyed else None,
        }
    stages: list[Json] = [
        {"name": each.name, "ok": each.ok, "seconds": round(each.seconds, 1), "said": each.said}
        for each in result.stages
    ]
    differences: list[Json] = [
        {"topic": each.topic, "text": each.text} for each in result.differences
    ]
    return json.dumps(
        {
            "version": VERSION,
            "fleet": result.fleet,
            "stages": stages,
            "hosts": hosts,
            "not_shown": differences,
            "ok": result.ok,
        },
        indent=2,
        ensure_ascii=False,
    )


def _resources(report: Report | None, name: str) -> Json:
    """What the second apply would have done; None where it was not come to."""
    plan = report.hosts[name].plan if report else None
    return [change.resource for change in plan.changes] if plan else None


def _smoke(report: Report, console: Console) -> None:
    """The checks, those alike together, hosts with the same ones on one line."""
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for host in report.hosts.values():
        if host.checks:
            alike[tuple(_checks(host.checks))].append(host.name)
    if alike:
        console.print("\n[bold]Smoke test[/]")
    for lines, names in alike.items():
        console.print(f"  [bold]{escape(_few(names))}[/]", soft_wrap=True)
        for line in lines:
            console.print(f"    {line}", soft_wrap=True)


def _checks(checks: Iterable[Check]) -> Iterable[str]:
    by_registry: defaultdict[str, list[Check]] = defaultdict(list)
    for check in checks:
        by_registry[check.name.partition("/")[0]].append(check)
    for registry, found in by_registry.items():
        passed = [each.name.partition("/")[2] for each in found if each.verdict == "passed"]
        if passed:
            yield f"[green]passed[/]  {escape(registry)}: {escape(', '.join(passed))}"
        for check in found:
            what = f"{escape(check.name)}: {escape(check.detail)}"
            if check.verdict == "failed":
                yield f"[red]failed[/]  {what}"
            elif check.verdict == "skipped":
                yield f"[yellow]skipped[/] {what}"


def _together(left: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, things in left.items():
        for words in things:
            found[words].append(name)
    return found


def _few(names: list[str]) -> str:
    more = len(names) - _FEW
    return ", ".join(names[:_FEW]) + (f" and {more} more" if more > 0 else "")
