"""A rehearsal for people, while it goes on and at its end, and as a document."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from rich.console import Console
from rich.status import Status
from rich.text import Text

from regfleet.fleet.values import Json
from regfleet.model.checks import Check, Verdict
from regfleet.model.names import listed
from regfleet.model.report import Report
from regfleet.rehearse.rehearsal import Progress, Result, Stage
from regfleet.report import as_json
from regfleet.report.lines import show
from regfleet.report.plan_text import show_plan
from regfleet.report.resource_text import resource_text
from regfleet.report.summary_text import show_troubles
from regfleet.terminal.cleaning import clean

VERSION = 1
_NAME = 7  # columns of a stage's name
_NAMES = 60  # columns for hosts before what is said of them
_STYLES: Mapping[Verdict, str] = {"passed": "green", "failed": "red", "skipped": "yellow"}


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
            self._status = self._console.status(self._beside(""))
            self._status.start()

    def line(self, text: str) -> None:
        """The newest one stands beside the stage, for as long as it lasts."""
        if self._verbose:
            show(self._console, "  ", Text(clean(text), "dim"))
        if self._status:
            self._status.update(self._beside(text))

    def news(self, text: str) -> None:
        """What takes long and stays to be read."""
        show(self._console, "  ", clean(text))

    def end(self, stage: Stage) -> None:
        """Its line."""
        if self._status:
            self._status.stop()
            self._status = None
        sign = ("ok  ", "green") if stage.ok else ("fail", "bold red")
        lead = Text.assemble(sign, f" {stage.name:<{_NAME}} {stage.seconds:>6.1f} s  ")
        show(self._console, lead, clean(stage.said))

    def _beside(self, text: str) -> Text:
        found = Text.assemble(f"{self._stage:<{_NAME}}  ", (clean(text), "dim"))
        found.truncate(self._console.width - _NAME, overflow="ellipsis")
        return found


def render(result: Result, console: Console, *, plan: bool = False) -> None:
    """The checks, what the rehearsal does not show, and last what went wrong.

    Args:
        plan: also what the first apply had to do.
    """
    if result.applied and plan:
        _head(console, "First apply")
        show_plan(result.applied, console, troubles=False)
    if result.applied:
        _show_smoke(result.applied, console)
    if result.differences:
        _show_differences(result, console)
    for report in (result.applied, result.again, result.destroyed):
        if report and not report.ok:
            show(console, "")
            show_troubles(report, console)
    again = result.again.hosts.values() if result.again else ()
    if result.again and any(host.plan and host.plan.changes for host in again):
        _head(console, "The second apply still has to do:")
        show_plan(result.again, console)
    if result.left:
        _head(console, "Not as it was before:")
        for words, names in _together(result.left).items():
            show(console, f"  {clean(listed(names, _NAMES))}: ", clean(words))


def _head(console: Console, text: str) -> None:
    show(console, "")
    show(console, "", Text(text, "bold"))


def _show_differences(result: Result, console: Console) -> None:
    _head(console, "What this rehearsal does not show")
    width = max(len(difference.topic) for difference in result.differences)
    topic = ""
    for difference in result.differences:
        head = "" if difference.topic == topic else difference.topic
        topic = difference.topic
        show(console, Text(f"  {head:<{width}}  ", "dim"), clean(difference.text))


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
    return [resource_text(change.resource) for change in plan.changes] if plan else None


def _show_smoke(report: Report, console: Console) -> None:
    """The checks, once for all hosts that have the same ones."""
    alike: defaultdict[tuple[tuple[Verdict, str], ...], list[str]] = defaultdict(list)
    for host in report.hosts.values():
        if host.checks:
            alike[tuple(_checks(host.checks))].append(host.name)
    if alike:
        _head(console, "Smoke test")
    for found, names in alike.items():
        show(console, "  ", Text(clean(listed(names, _NAMES)), "bold"))
        for verdict, words in found:
            show(console, Text.assemble("    ", (f"{verdict:<8}", _STYLES[verdict])), clean(words))


def _checks(checks: Iterable[Check]) -> Iterator[tuple[Verdict, str]]:
    """Those that passed together, a registry at a time; the others one by one, with their words."""
    by_registry: defaultdict[str, list[Check]] = defaultdict(list)
    for check in checks:
        by_registry[check.name.partition("/")[0]].append(check)
    for registry, found in by_registry.items():
        passed = [each.name.partition("/")[2] for each in found if each.verdict == "passed"]
        if passed:
            yield "passed", f"{registry}: {', '.join(passed)}"
        for check in found:
            if check.verdict != "passed":
                yield check.verdict, f"{check.name}: {check.detail}"


def _together(left: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, things in left.items():
        for words in things:
            found[words].append(name)
    return found
