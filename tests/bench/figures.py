"""From measurements to what people read: medians, ratios against the goals, a table, a plot. Pure.

A measurement is a document as `bench.py` writes it: sections `noop`, `clients` and `first` (seconds
of each run by tool), `scale` (a row for each size) and `impact`; one that was not measured is left
out. The table and the plot in the documentation are made here from docs/speed.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jinja2

Document = Mapping[str, Any]

NAMES = {
    "regfleet": "regfleet apply",
    "kept": "regfleet apply, control_persist",
    "ssh": "xargs -P 32 ssh host true",
    "ssh-kept": "xargs ssh, ControlPersist",
    "pyinfra": "plain pyinfra operations",
    "ansible": "Ansible playbook, 50 forks",
}
RACES = {
    "noop": "nothing to do, {} full hosts",
    "clients": "nothing to do, {} clients of one registry",
    "first": "first apply, {} clients of one registry",
}
SMALL, LARGE = 100, 1000
BEGIN, END = "<!-- measured", "<!-- end -->"
PLOT = Path(__file__).resolve().parent / "plot.svg.j2"


class Goal(NamedTuple):
    """What is to be reached: `found` at most `limit`."""

    what: str
    limit: float
    found: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.found <= self.limit


def goals(document: Document) -> list[Goal]:
    """The goals of the sections that were measured."""
    return [*_noop_goals(document), *_scale_goals(document), *_impact_goals(document)]


def _noop_goals(document: Document) -> Iterator[Goal]:
    limits = {"ssh": 0.70, "pyinfra": 1 / 8, "ansible": 1 / 60}
    for section, where in (("noop", "full hosts"), ("clients", "clients")):
        runs = document.get(section, {"seconds": {}})["seconds"]
        took = {tool: median(seconds) for tool, seconds in runs.items()}
        for tool, limit in limits.items():
            if tool in took:
                what = f"nothing to do on {where}, time against {NAMES[tool]}"
                yield Goal(what, limit, took["regfleet"] / took[tool], "")
                if "kept" in took:
                    what = what.replace(", time", " with connections kept, time")
                    yield Goal(what, limit, took["kept"] / took[tool], "")


def _scale_goals(document: Document) -> Iterator[Goal]:
    rows = {row["hosts"]: row for row in document.get("scale", ())}
    if LARGE in rows:
        yield Goal(f"peak memory at {LARGE} hosts", 150, median(rows[LARGE]["peak_mib"]), " MiB")
    if LARGE in rows and SMALL in rows:
        growth = median(rows[LARGE]["seconds"]) / median(rows[SMALL]["seconds"])
        yield Goal(f"time at {LARGE} hosts against {SMALL}", 10.5, growth, "")


def _impact_goals(document: Document) -> Iterator[Goal]:
    if "impact" in document:
        lost = document["impact"]["regfleet"]["lost"]
        yield Goal("answers lost during a reloadable change", 0, lost, "")


def table(document: Document) -> str:
    """Everything that was measured, as Markdown."""
    parts = [
        _race(document[section], title) for section, title in RACES.items() if section in document
    ]
    if "scale" in document:
        parts.append(_scale(document["scale"]))
    if "impact" in document:
        parts.append(_impact(document["impact"]))
    if found := goals(document):
        rows = [
            (goal.what, _short(goal.limit) + goal.unit, _short(goal.found) + goal.unit, _met(goal))
            for goal in found
        ]
        parts.append(_markdown(("goal", "at most", "measured", ""), rows))
    return "\n\n".join(parts)


def _race(section: Document, title: str) -> str:
    ours = median(section["seconds"]["regfleet"])
    rows = []
    for tool, runs in section["seconds"].items():
        took = median(runs)
        ratio = "1" if tool == "regfleet" else _short(ours / took)
        rows.append((NAMES[tool], f"{took:.2f} s", f"{min(runs):.2f} to {max(runs):.2f}", ratio))
    head = (title.format(section["hosts"]), "median", "runs", "regfleet took, of it")
    return _markdown(head, rows)


def _scale(rows: Sequence[Document]) -> str:
    return _markdown(
        ("hosts, nothing to do", "wall clock", "processor time", "peak memory", "commands a host"),
        [
            (
                str(row["hosts"]),
                f"{median(row['seconds']):.2f} s",
                f"{median(row['cpu']):.2f} s",
                f"{median(row['peak_mib']):.0f} MiB",
                _short(row["commands"] / row["hosts"]),
            )
            for row in rows
        ],
    )


def _impact(section: Document) -> str:
    titles = {
        "regfleet": "regfleet apply (a new mirror: reload)",
        "restart": "systemctl restart docker",
    }
    return _markdown(
        ("change", "requests", "answers lost", "longest gap"),
        [
            (
                titles[name],
                str(section[name]["sent"]),
                str(section[name]["lost"]),
                f"{section[name]['longest'] * 1000:.0f} ms",
            )
            for name in titles
            if name in section
        ],
    )


def _met(goal: Goal) -> str:
    return "met" if goal.met else "missed"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _short(number: float) -> str:
    """Three significant figures, no exponent: 0.0123, 1.05, 10.2, 150."""
    if number == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def page(text: str, document: Document) -> str:
    """The documentation's page with the table of a measurement in its place."""
    head, begin, rest = text.partition(BEGIN)
    line, _, old = rest.partition("\n")
    _, end, tail = old.partition(END)
    return f"{head}{begin}{line}\n\n{table(document)}\n\n{end}{tail}"


class Bar(NamedTuple):
    """One bar of the plot."""

    label: str
    value: str
    width: float
    ours: bool


def plot(document: Document) -> str:
    """The plot, an SVG: a group of bars for each race, logarithmic, and one for scale."""
    groups = [
        (_capital(title.format(document[section]["hosts"])), _bars(document[section]["seconds"]))
        for section, title in RACES.items()
        if section in document
    ]
    if "scale" in document:
        seconds = {f"{row['hosts']} hosts": row["seconds"] for row in document["scale"]}
        memory = {f"{row['hosts']} hosts": median(row["peak_mib"]) for row in document["scale"]}
        bars = [
            bar._replace(value=f"{bar.value}, {memory[bar.label]:.0f} MiB", ours=True)
            for bar in _bars(seconds)
        ]
        groups.append(("Nothing to do, many hosts that only answer", bars))
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(PLOT.read_text()).render(groups=groups)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _bars(seconds: Mapping[str, Sequence[float]]) -> list[Bar]:
    """Logarithmic from a tenth of the shortest to the longest: a tenth of the width at least."""
    took = {label: median(runs) for label, runs in seconds.items()}
    low = math.log10(min(took.values())) - 0.5
    high = max(math.log10(max(took.values())), low + 1)
    return [
        Bar(
            NAMES.get(label, label),
            f"{value:.2f} s" if value < 10 else f"{value:.1f} s",
            (math.log10(value) - low) / (high - low),
            label in ("regfleet", "kept"),
        )
        for label, value in took.items()
    ]
