"""Print a diagnosis: what was found, on which hosts, what it means, which commands fix it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from regfleet.doctor.causes import Recognised, fill
from regfleet.doctor.diagnose import Diagnosis
from regfleet.doctor.finding import Finding, names
from regfleet.report.lines import show, show_whole
from regfleet.report.resource_text import found_text
from regfleet.terminal.cleaning import clean

_LABEL_WIDTH = 8  # the longest, "felt by", and a blank
_INDENT = 3
_HANG = 3
_MOST_SAID = 400
_UNFOLDED = re.compile(r"\$ |\[|#|[\w.\"-]+ = ")  # a command, or a line of a file


def render(diagnosis: Diagnosis, console: Console, *, verbose: bool = False) -> None:
    """Print a diagnosis.

    Args:
        verbose: also print the commands that check each finding.
    """
    for number, finding in enumerate(diagnosis.findings, 1):
        _show_finding(number, finding, console, verbose=verbose)
        show(console, "")
    for note in diagnosis.notes:
        show(console, Text("not checked: ", "yellow"), note)
    show(console, "", _verdict(diagnosis), hang=_HANG)
    if not diagnosis.ok:
        show(console, "", _next_step(diagnosis), hang=_HANG)


def explanation(found: Sequence[Recognised], values: Mapping[str, str], console: Console) -> None:
    """Print the causes of a pasted error.

    Args:
        values: placeholders that the error text does not give.
    """
    for each in found:
        known = {**values, **each.values}
        cause = each.cause
        show(console, "", Text(fill(cause.title, known), "bold"), hang=_HANG)
        _show_part(console, "said", [each.fragment])
        _show_part(console, "means", [fill(cause.means, known)])
        _show_part(console, "check", [fill(line, known) for line in cause.check])
        _show_part(console, "fix", [fill(line, known) for line in cause.fix])
        if cause.by_hand:
            _show_part(console, "by hand", [fill(line, known) for line in cause.by_hand])
        show(console, "")


def _show_finding(number: int, finding: Finding, console: Console, *, verbose: bool) -> None:
    show(console, Text(f"{number}. ", "bold"), Text(finding.title, "bold red"))
    where = [names(finding.hosts, 12)] if finding.hosts else []
    where += [f"registry {finding.registry}"] if finding.registry else []
    _show_part(console, "where", [", ".join(where)] if where else [])
    _show_part(console, "found", [found_text(finding)])
    _show_part(console, "said", [_shortened(finding.said)] if finding.said else [])
    _show_part(console, "felt by", [names(finding.felt_by, 12)] if finding.felt_by else [])
    _show_part(console, "means", [finding.means])
    if verbose:
        _show_part(console, "check", finding.check)
    _show_part(console, "fix", finding.fix)


def _show_part(console: Console, label: str, lines: Iterable[str]) -> None:
    """Print lines beside a label; prose is folded, commands and lines of files are not."""
    head = label
    for line in lines:
        start = Text(f"{'':{_INDENT}}{head:{_LABEL_WIDTH}}", "dim")
        if _UNFOLDED.match(line):
            show_whole(console, Text.assemble(start, (clean(line), "cyan")))
        else:
            show(console, start, line)
        head = ""


def _shortened(said: str) -> str:
    return said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]}…"


def _verdict(diagnosis: Diagnosis) -> Text:
    away = len(diagnosis.hosts) - len(diagnosis.reached)
    looked = f"{_counted(len(diagnosis.reached), 'host')} and "
    looked += _counted(len(diagnosis.registries), "registry", "registries")
    if diagnosis.ok:
        words = f": {looked} examined: SSH, clocks, disks, engines, daemon.json, names, ports, "
        words += "proxies, certs.d, and a pull from each registry by each client."
        return Text.assemble(("Nothing found", "bold green"), words)
    words = f" on {looked} examined"
    words += f" ({_counted(away, 'host')} could not be)" if away else ""
    return Text.assemble((_counted(len(diagnosis.findings), "finding"), "bold"), f"{words}.")


def _next_step(diagnosis: Diagnosis) -> str:
    return (
        "Fix them from the top (one often causes others), then run this again."
        if len(diagnosis.findings) > 1
        else "Fix it, then run this again."
    )


def _counted(count: int, what: str, plural: str = "") -> str:
    return f"{count} {what if count == 1 else plural or what + 's'}"
