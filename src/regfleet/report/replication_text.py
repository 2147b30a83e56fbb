"""Copies for people: a line each, and what went wrong below it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from regfleet.model.copies import CopyOutcome
from regfleet.model.names import counted
from regfleet.report.lines import show
from regfleet.run.replicating import Result

STATES = {
    "ok": ("ok", "green"),
    "failed": ("failed", "red"),
    "away": ("a registry did not answer", "red"),
    "busy": ("another run of it is at work", "yellow"),
    "deadline": ("not done in time", "red"),
    "stopped": ("stopped", "yellow"),
}


def render(results: Sequence[Result], console: Console, *, dry: bool) -> None:
    """Print the results of copies."""
    for each in results:
        copy, found = each.copy, each.outcome
        where = f" on {copy.host.name}" if copy.host else " from here"
        lead = Text.assemble((copy.name, "bold"), f"  {copy.source.name} -> {copy.target.name}")
        if found is None:
            show(console, Text.assemble(lead, where, ": ", ("failed", "red"), ": "), each.error)
            if each.hint:
                show(console, "  hint: ", each.hint)
            continue
        words, style = STATES[found.state]
        line = Text.assemble(lead, where, ": ", (words, style))
        show(console, line, f", {summary(found, dry=dry)}" if found.state != "busy" else "")
        for sign, lines in (("  would ", found.would), ("  ", found.notices)):
            for text in lines:
                show(console, sign, text)
        for text in found.errors:
            show(console, Text.assemble("  ", ("failed", "red"), ": "), text)


def summary(found: CopyOutcome, *, dry: bool = False) -> str:
    """What a run did, in one line."""
    counts = found.counts
    parts = [f"{counted(counts['tags'], 'tag')}", f"{counts['same']} as they are"]
    if counts["copied"]:
        size = "" if dry else f" ({decimal(counts['bytes'])})"
        parts.append(f"{counts['copied']} {'to copy' if dry else 'copied'}{size}")
    for name, words in (("deleted", "to delete" if dry else "deleted"), ("kept", "kept"),
                        ("left", "left to the copy the other way"),
                        ("failed", "failed")):  # fmt: skip
        if counts[name]:
            parts.append(f"{counts[name]} {words}")
    return f"{', '.join(parts)}; {found.requests} requests in {found.seconds:g} s"
