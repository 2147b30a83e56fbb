"""A diagnosis for people: what was found, where, what it means, what to type."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from rich.console import Console
from rich.text import Text

from regfleet.doctor.causes import Recognised, fill
from regfleet.doctor.diagnose import Diagnosis
from regfleet.doctor.finding import Finding, names

_LABEL = 8  # the longest, "felt by", and a blank
_INDENT = 3
_WIDEST = 100  # longer lines are tiring to read
_SAID = 400
_WHOLE = re.compile(r"\$ |\[|#|[\w.\"-]+ = ")  # a command, or a line of a file
_PROSE = partial(textwrap.TextWrapper, break_long_words=False, break_on_hyphens=False)


def render(diagnosis: Diagnosis, console: Console, *, verbose: bool = False) -> None:
    """Print a diagnosis.

    Args:
        verbose: with the commands by which to see each finding for oneself.
    """
    for number, finding in enumerate(diagnosis.findings, 1):
        _finding(number, finding, console, verbose=verbose)
        console.print()
    for note in diagnosis.notes:
        _line(console, Text.assemble(("not checked", "yellow"), f": {note}"))
    _line(console, _verdict(diagnosis))
    if not diagnosis.ok:
        _line(console, Text(_next(diagnosis)))


def explanation(found: Sequence[Recognised], values: Mapping[str, str], console: Console) -> None:
    """Print what a pasted error says.

    Args:
        values: what is known of placeholders besides the text.
    """
    for each in found:
        known = {**values, **each.values}
        cause = each.cause
        _line(console, Text(fill(cause.title, known), "bold"))
        _part(console, "said", [each.fragment])
        _part(console, "means", [fill(cause.means, known)])
        _part(console, "check", [fill(line, known) for line in cause.check])
        _part(console, "fix", [fill(line, known) for line in cause.fix])
        if cause.by_hand:
            _part(console, "by hand", [fill(line, known) for line in cause.by_hand])
        console.print()


def _finding(number: int, finding: Finding, console: Console, *, verbose: bool) -> None:
    title = Text.assemble((f"{number}. ", "bold"), (finding.title, "bold red"))
    _line(console, title)
    where = [names(finding.hosts, 12)] if finding.hosts else []
    where += [f"registry {finding.registry}"] if finding.registry else []
    _part(console, "where", [", ".join(where)] if where else [])
    _part(console, "found", [finding.found])
    _part(console, "said", [_short(finding.said)] if finding.said else [])
    _part(console, "felt by", [names(finding.felt_by, 12)] if finding.felt_by else [])
    _part(console, "means", [finding.means])
    if verbose:
        _part(console, "check", finding.check)
    _part(console, "fix", finding.fix)


def _part(console: Console, label: str, lines: Iterable[str]) -> None:
    """A label, and lines beside it; commands and lines of files stay whole, prose is folded."""
    width = min(console.width, _WIDEST) - _INDENT - _LABEL if console.is_terminal else _WIDEST * 100
    head = label
    for line in lines:
        whole = _WHOLE.match(line)
        folded = [line] if whole else _PROSE(max(width, 20)).wrap(line)
        for part in folded or [""]:
            style = "cyan" if whole else ""
            start = f"{'':{_INDENT}}{head:{_LABEL}}"
            _line(console, Text.assemble((start, "dim"), (part, style)))
            head = ""


def _line(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)


def _short(said: str) -> str:
    return said if len(said) <= _SAID else f"{said[:_SAID]}…"


def _verdict(diagnosis: Diagnosis) -> Text:
    away = len(diagnosis.hosts) - len(diagnosis.reached)
    looked = f"{_many(len(diagnosis.reached), 'host')} and "
    looked += _many(len(diagnosis.registries), "registry", "registries")
    if diagnosis.ok:
        words = f": {looked} examined: SSH, clocks, disks, engines, daemon.json, names, ports, "
        words += "proxies, certs.d, and a pull from each registry by each client."
        return Text.assemble(("Nothing found", "bold green"), words)
    words = f" on {looked} examined"
    words += f" ({_many(away, 'host')} could not be)" if away else ""
    return Text.assemble((_many(len(diagnosis.findings), "finding"), "bold"), f"{words}.")


def _next(diagnosis: Diagnosis) -> str:
    return (
        "Mend them from the top (one often brings another with it), then run it again."
        if len(diagnosis.findings) > 1
        else "Mend it, then run it again."
    )


def _many(count: int, what: str, plural: str = "") -> str:
    return f"{count} {what if count == 1 else plural or what + 's'}"
