"""Promotions for people, and as documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from regfleet.fleet.values import Json
from regfleet.promotions import Gate, Log
from regfleet.report.lines import show
from regfleet.report.status_json import VERSION, printable
from regfleet.run.promoting import Subject

_SHORT = 19  # characters of a digest: sha256: and twelve digits
_STYLES = {"promoted": "green", "demoted": "yellow", "approved": "green", "refused": "red"}


def show_subject(console: Console, subject: Subject) -> None:
    """Print what is promoted, and how it is at both ends."""
    stage = subject.stage
    source = f"{stage.source.registry}/{subject.source}:{subject.tag}"
    target = f"{stage.target.registry}/{subject.target}:{subject.tag}"
    show(console, Text.assemble((stage.name, "bold"), "  "), f"{source} -> {target}")
    platforms = f", {', '.join(subject.platforms)}" if subject.platforms else ""
    show(console, "  image: ", f"{subject.digest or 'not there'}{platforms}")
    if subject.age is not None:
        show(console, "  age: ", f"{subject.age // 60} minutes since {subject.age_of}")
    now = subject.there or "nothing"
    show(console, "  there now: ", "the same image" if subject.there == subject.digest else now)


def show_gates(console: Console, gates: Sequence[Gate]) -> None:
    """Print what each gate said."""
    for gate in gates:
        state = Text("passed", "green") if gate.passed else Text("failed", "red")
        show(console, Text.assemble("  ", state, "  "), f"{gate.name}: {gate.said}")


def document(fleet: str, subject: Subject, gates: Sequence[Gate], result: str) -> str:
    """The document of `promote --json` and `demote --json`."""
    return printable(
        {
            "version": VERSION,
            "fleet": fleet,
            **subject.values,
            "digest": subject.digest or None,
            "replaced": subject.there or None,
            "platforms": list(subject.platforms),
            "age_seconds": subject.age,
            "gates": [_gate(each) for each in gates],
            "result": result,
            "ok": result != "refused",
        }
    )


def _gate(gate: Gate) -> Json:
    return {"name": gate.name, "passed": gate.passed, "said": gate.said}


def show_log(console: Console, log: Log) -> None:
    """Print a log, and whether its chain holds."""
    for each in log.entries:
        lead = Text.assemble(
            f"{each.number:>4}  {each.when}  ", (each.action, _STYLES.get(each.action, ""))
        )
        image = f"{each.target}:{each.tag} {each.digest[:_SHORT]}"
        show(console, lead, f"  {each.stage}  {image} by {each.who}")
        for gate in each.gates:
            if not gate.passed:
                show(console, "      failed: ", f"{gate.name}: {gate.said}")
    if log.broken:
        show(console, Text("the chain is broken: ", "red"), log.broken)
    elif log.entries:
        show(console, "the chain holds; its head is ", log.head)
    else:
        show(console, "", "nothing was promoted from here")


def log_document(fleet: str, log: Log) -> str:
    """The document of `history --promotions --json`."""
    entries: list[Json] = [{**asdict(each), "gates": [_gate(gate) for gate in each.gates]}
                           for each in log.entries]  # fmt: skip
    return printable(
        {
            "version": VERSION,
            "fleet": fleet,
            "promotions": entries,
            "head": log.head,
            "broken": log.broken or None,
            "ok": not log.broken,
        }
    )
