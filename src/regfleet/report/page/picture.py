"""The fleet as a picture: cards for client groups, registries and mirrors, and lines between.

Pure layout in SVG user units; the template draws it and the style sheet colours it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from regfleet.fleet.model import Client, Fleet, Registry
from regfleet.report.model import HostReport, Report
from regfleet.report.page.rows import STATUSES

Outcome = Literal["good", "some", "bad", "open"]

_WEIGHT: dict[Outcome, int] = {"open": 0, "good": 1, "some": 2, "bad": 3}

MOST_GROUPS = 16  # client groups with a card of their own; the rest share one

_TITLE, _ROW, _PAD, _GAP, _INSET = 50, 22, 10, 18, 12

# Letters are counted, not measured: a letter of the fixed-width fonts of the style sheet is this
# much of the font's size, or less.
_LETTER = 0.61


@dataclass(frozen=True, slots=True)
class Size:
    """A drawing's measures: its width, and its cards' at either side."""

    width: int
    left: int
    right: int


WIDE = Size(960, 370, 330)
NARROW = Size(358, 188, 130)


@dataclass(frozen=True, slots=True)
class Use:
    """What a client group has from a registry or a mirror.

    Attributes:
        target: the card's key: `registry.main`, or a mirror's URL.
        name: as a short word: `main`, `cache (mirror)`, `mirror.example.com`.
        hosts: how many of the group's were in the run; of these
        failed: went wrong themselves, or in the smoke test of this registry;
        passed: have proven it; or have it, as a mirror has no test of its own.
    """

    client: str
    target: str
    name: str
    mirror: bool
    hosts: int
    failed: int
    passed: int

    @property
    def outcome(self) -> Outcome:
        """Its colour."""
        if self.failed:
            return _of_failures(self.failed, self.hosts)
        return "good" if self.passed else "open"

    @property
    def words(self) -> str:
        """The same in words."""
        if self.failed:
            return f"{self.failed}/{self.hosts} {'not done' if self.mirror else 'fail'}"
        if self.passed:
            return f"{self.passed}/{self.hosts} {'set' if self.mirror else 'pass'}"
        return "not tested" if self.hosts else "not in run"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text on a card, with its outcome at the right where it has one."""

    text: str
    words: str = ""
    outcome: Outcome = "open"


@dataclass(frozen=True, slots=True)
class Card:
    """A rectangle with a title, a line under it, and further lines.

    Attributes:
        link: the group of hosts that it stands for, empty where there is no one such.
    """

    kind: Literal["client", "registry", "mirror"]
    title: str
    subtitle: str
    outcome: Outcome
    lines: tuple[Line, ...]
    width: int
    x: int
    y: int = 1
    link: str = ""

    @property
    def height(self) -> int:
        """From the title to under the last line."""
        return _TITLE + len(self.lines) * _ROW + _PAD

    def fit(self, text: str, font_size: int, beside: str = "") -> str:
        """The text as far as the card is wide, with other text at its right."""
        letters = int((self.width - 2 * _INSET) / (font_size * _LETTER))
        return shortened(text, letters - (len(beside) + 1 if beside else 0))

    def line_y(self, number: int) -> int:
        """The middle of a line, from the card's top."""
        return _TITLE + number * _ROW + _ROW // 2


@dataclass(frozen=True, slots=True)
class Edge:
    """A curve, as an SVG path."""

    path: str
    outcome: Outcome
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing: `width` by `height`."""

    width: int
    height: int
    cards: tuple[Card, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """A client group, or several that share a card."""

    title: str
    subtitle: str
    uses: tuple[Use, ...]
    hosts: int
    failed: int
    link: str = ""

    @property
    def outcome(self) -> Outcome:
        return _of_failures(self.failed, self.hosts) if self.failed else "open"


def uses(fleet: Fleet, report: Report) -> tuple[Use, ...]:
    """Every client group's registries and mirrors, with what came of them in this run."""
    return tuple(
        use for client in fleet.clients.values() for use in _uses(fleet, client, report.hosts)
    )


def draw(fleet: Fleet, report: Report, size: Size) -> Picture:
    """Lay the fleet out: clients on the left, what they use on the right."""
    groups = _groups(fleet, report)
    left = [_client_card(group, size) for group in groups]
    right = _target_cards(fleet, report, groups, size)
    height = max(_height(left), _height(right.values()))
    left = _stacked(left, height)
    right = dict(zip(right, _stacked(right.values(), height), strict=True))
    edges = [
        _edge(card, number, use, right[use.target])
        for card, group in zip(left, groups, strict=True)
        for number, use in enumerate(group.uses)
    ]
    edges.sort(key=lambda edge: _WEIGHT[edge.outcome])  # what failed lies on top
    return Picture(size.width, height, (*left, *right.values()), tuple(edges))


def shortened(text: str, letters: int) -> str:
    """The text, without its middle where it is longer than so many letters."""
    if len(text) <= letters:
        return text
    head = (letters - 1) // 2
    return f"{text[:head]}…{text[len(text) - (letters - 1 - head) :]}"


def _uses(fleet: Fleet, client: Client, hosts: Mapping[str, HostReport]) -> list[Use]:
    here = [hosts[host.name] for host in client.hosts if host.name in hosts]
    by_endpoint = {each.endpoint: each.name for each in fleet.registries.values()}
    down = sum(host.status not in ("unchanged", "changed") for host in here)
    found = []
    for name in client.registries:
        failed, passed = _tested(here, name)
        use = Use(client.name, f"registry.{name}", name, False, len(here), failed, passed)
        found.append(use)
    for url in client.mirrors:
        where = urlsplit(url).netloc or url
        registry = by_endpoint.get(where)
        target = f"registry.{registry}" if registry else url
        name = f"{registry} (mirror)" if registry else where
        found.append(Use(client.name, target, name, True, len(here), down, len(here) - down))
    return found


def _tested(hosts: Iterable[HostReport], registry: str) -> tuple[int, int]:
    """How many hosts failed, and how many passed, as far as a registry is concerned."""
    failed = passed = 0
    for host in hosts:
        verdicts = {
            check.verdict for check in host.checks if check.name.partition("/")[0] == registry
        }
        if "failed" in verdicts or host.status not in ("unchanged", "changed"):
            failed += 1
        elif "passed" in verdicts:
            passed += 1
    return failed, passed


def _of_failures(failed: int, hosts: int) -> Outcome:
    return "bad" if 2 * failed >= hosts else "some"


def _groups(fleet: Fleet, report: Report) -> list[_Group]:
    """The cards of the left side; of many groups the most troubled keep their own."""
    groups = []
    for client in fleet.clients.values():
        here = [report.hosts[host.name] for host in client.hosts if host.name in report.hosts]
        group = _Group(
            client.name,
            f"{_count(len(client.hosts), 'host')}, {client.engine}",
            tuple(_uses(fleet, client, report.hosts)),
            len(here),
            sum(not host.ok for host in here),
            f"client.{client.name}",
        )
        groups.append(group)
    if len(groups) <= MOST_GROUPS:
        return groups
    by_trouble = sorted(groups, key=lambda group: -_WEIGHT[group.outcome])
    own = {group.title for group in by_trouble[: MOST_GROUPS - 1]}
    rest = [group for group in groups if group.title not in own]
    return [*(group for group in groups if group.title in own), _together(rest)]


def _together(groups: Sequence[_Group]) -> _Group:
    """Several groups as one."""
    title = f"{len(groups)} more groups"
    sums: dict[tuple[str, bool], Use] = {}
    for use in (use for group in groups for use in group.uses):
        so_far = sums.get((use.target, use.mirror))
        sums[use.target, use.mirror] = replace(
            use,
            client=title,
            hosts=use.hosts + (so_far.hosts if so_far else 0),
            failed=use.failed + (so_far.failed if so_far else 0),
            passed=use.passed + (so_far.passed if so_far else 0),
        )
    return _Group(
        title,
        "named in the table below",
        tuple(sums.values()),
        sum(group.hosts for group in groups),
        sum(group.failed for group in groups),
    )


def _client_card(group: _Group, size: Size) -> Card:
    lines = tuple(Line(use.name, use.words, use.outcome) for use in group.uses)
    return Card(
        "client",
        group.title,
        group.subtitle,
        group.outcome,
        lines,
        width=size.left,
        x=1,
        link=group.link,
    )


def _target_cards(
    fleet: Fleet, report: Report, groups: Iterable[_Group], size: Size
) -> dict[str, Card]:
    """The cards of the right side by their keys."""
    x, width = size.width - size.right, size.right - 1
    cards: dict[str, Card] = {}
    for registry in fleet.registries.values():
        outcome, text = _state(registry, report.hosts)
        cards[f"registry.{registry.name}"] = Card(
            "registry",
            registry.name,
            registry.endpoint,
            outcome,
            (Line(text, outcome=outcome),),
            width=width,
            x=x,
            link=f"registry.{registry.name}" if registry.hosts else "",
        )
    for use in (use for group in groups for use in group.uses):
        if use.target not in cards:
            cards[use.target] = Card("mirror", "mirror", use.target, "open", (), width=width, x=x)
    return cards


def _state(registry: Registry, hosts: Mapping[str, HostReport]) -> tuple[Outcome, str]:
    if registry.external:
        return "open", "external"
    here = [hosts[host.name] for host in registry.hosts if host.name in hosts]
    if not here:
        return "open", "not in run"
    mine = f"{registry.name}/"
    refused = any(c.name.startswith(mine) for host in here for c in host.failed_checks)
    troubled = any(host.status not in ("unchanged", "changed") for host in here)
    outcome: Outcome = "bad" if refused or troubled else "good"
    if refused and not troubled:
        text = "smoke failed"
    elif len(here) == 1:
        text = f"{here[0].name} {here[0].status}"
    else:
        counts = Counter(host.status for host in here)
        text = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    return outcome, text


def _height(cards: Iterable[Card]) -> int:
    return sum(card.height + _GAP for card in cards) - _GAP + 2


def _stacked(cards: Iterable[Card], height: int) -> list[Card]:
    """The cards one below the other, spare height shared out around them."""
    cards = list(cards)
    spare = max(0, height - _height(cards)) / max(1, len(cards))
    y = 1 + spare / 2
    stacked = []
    for card in cards:
        stacked.append(replace(card, y=round(y)))
        y += card.height + _GAP + spare
    return stacked


def _edge(card: Card, number: int, use: Use, target: Card) -> Edge:
    x1, y1 = card.x + card.width, card.y + card.line_y(number)
    x2, y2 = target.x, target.y + target.height // 2
    bend = (x2 - x1) // 2
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return Edge(path, use.outcome, f"{card.title} to {use.name}: {use.words}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
