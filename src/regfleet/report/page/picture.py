"""The fleet as a picture: cards for client groups, registries and mirrors, with lines between.

Pure layout in SVG user units; the template draws it and the style sheet colours it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from regfleet.fleet.clients import Client
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.model.names import counted
from regfleet.model.report import HostReport, Report
from regfleet.report.page.rows import STATUSES

Outcome = Literal["good", "some", "bad", "open"]

_WEIGHT: dict[Outcome, int] = {"open": 0, "good": 1, "some": 2, "bad": 3}

MOST_GROUPS = 16  # client groups with a card of their own; the rest share one

_TITLE, _ROW, _PAD, _GAP, _INSET = 50, 22, 10, 18, 12

_BOW = 36  # how far the curves of copies stand out

# Text width is estimated: a letter of the style sheet's fixed-width fonts is at most this part of
# the font size.
_LETTER = 0.61


@dataclass(frozen=True, slots=True)
class Size:
    """A drawing's width, and the width of its left and right cards."""

    width: int
    left: int
    right: int


WIDE = Size(960, 370, 330)
NARROW = Size(358, 188, 130)


@dataclass(frozen=True, slots=True)
class Use:
    """A client group's use of a registry or a mirror.

    Attributes:
        target: the card's key: `registry.main`, or a mirror's URL.
        name: a short name: `main`, `cache (mirror)`, `mirror.example.com`.
        hosts: number of the group's hosts in the run.
        failed: those of them that failed, or failed the smoke test of this registry.
        passed: those that passed its smoke test; for a mirror, those that have it configured.
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
        """The outcome that gives the colour."""
        if self.failed:
            return _failure_outcome(self.failed, self.hosts)
        return "good" if self.passed else "open"

    @property
    def words(self) -> str:
        """The outcome in words."""
        if self.failed:
            return f"{self.failed}/{self.hosts} {'not done' if self.mirror else 'fail'}"
        if self.passed:
            return f"{self.passed}/{self.hosts} {'set' if self.mirror else 'pass'}"
        return "not tested" if self.hosts else "not in run"


@dataclass(frozen=True, slots=True)
class Way:
    """Copies from one registry to another.

    Attributes:
        name: of the copy: `north.north1`.
        words: how far it is behind.
    """

    name: str
    source: str
    target: str
    words: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text on a card, with an optional outcome at the right."""

    text: str
    words: str = ""
    outcome: Outcome = "open"


@dataclass(frozen=True, slots=True)
class Card:
    """A rectangle with a title, a line under it, and further lines.

    Attributes:
        link: the host group that the card shows; empty if it shows several or none.
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
        """The card's height."""
        return _TITLE + len(self.lines) * _ROW + _PAD

    def fit(self, text: str, font_size: int, beside: str = "") -> str:
        """The text, shortened to the card's width beside other text at its right."""
        letters = int((self.width - 2 * _INSET) / (font_size * _LETTER))
        return shortened(text, letters - (len(beside) + 1 if beside else 0))

    def line_y(self, number: int) -> int:
        """The vertical middle of a line, from the card's top."""
        return _TITLE + number * _ROW + _ROW // 2


@dataclass(frozen=True, slots=True)
class Edge:
    """A curve, as an SVG path.

    Attributes:
        copies: whether it is one registry's copies from another.
    """

    path: str
    outcome: Outcome
    title: str
    copies: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing: `width` by `height`."""

    width: int
    height: int
    cards: tuple[Card, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """A client group, or several groups that share a card."""

    title: str
    subtitle: str
    uses: tuple[Use, ...]
    hosts: int
    failed: int
    link: str = ""

    @property
    def outcome(self) -> Outcome:
        return _failure_outcome(self.failed, self.hosts) if self.failed else "open"


def uses(fleet: Fleet, report: Report) -> tuple[Use, ...]:
    """Each client group's use of registries and mirrors, with this run's outcome."""
    return tuple(use for client in fleet.clients.values() for use in _uses(client, report.hosts))


def draw(fleet: Fleet, report: Report, size: Size, ways: Sequence[Way] = ()) -> Picture:
    """Lay out the fleet: clients on the left, registries and mirrors on the right.

    Args:
        ways: the copies between registries; they are drawn beside the registries' cards.
    """
    groups = _groups(fleet, report)
    left = [_client_card(group, size) for group in groups]
    right = _target_cards(fleet, report, groups, size)
    for way in ways:
        key, line = f"registry.{way.target}", Line(f"from {way.source}", way.words, way.outcome)
        right[key] = replace(right[key], lines=(*right[key].lines, line))
    height = max(_height(left), _height(right.values()))
    left = _stacked(left, height)
    right = dict(zip(right, _stacked(right.values(), height), strict=True))
    edges = [
        _edge(card, number, use, right[use.target])
        for card, group in zip(left, groups, strict=True)
        for number, use in enumerate(group.uses)
    ]
    edges += _copying(ways, right)
    edges.sort(key=lambda edge: _WEIGHT[edge.outcome])  # failures are drawn last, on top
    return Picture(size.width, height, (*left, *right.values()), tuple(edges))


def shortened(text: str, letters: int) -> str:
    """The text with its middle left out if it is longer than `letters`."""
    if len(text) <= letters:
        return text
    head = (letters - 1) // 2
    return f"{text[:head]}…{text[len(text) - (letters - 1 - head) :]}"


def _uses(client: Client, hosts: Mapping[str, HostReport]) -> list[Use]:
    here = [hosts[host.name] for host in client.hosts if host.name in hosts]
    down = sum(_went_wrong(host) for host in here)
    done = sum(host.status in ("unchanged", "changed") for host in here)
    found = []
    for name in client.registries:
        failed, passed = _tested(here, name)
        use = Use(client.name, f"registry.{name}", name, False, len(here), failed, passed)
        found.append(use)
    for mirror in client.mirrors:
        where = urlsplit(mirror.url).netloc or mirror.url
        target = f"registry.{mirror.registry}" if mirror.registry else mirror.url
        name = f"{mirror.registry} (mirror)" if mirror.registry else where
        found.append(Use(client.name, target, name, True, len(here), down, done))
    return found


def _went_wrong(host: HostReport) -> bool:
    """Whether a host failed; a skipped host did not."""
    return not host.ok and host.status != "skipped"


def _tested(hosts: Iterable[HostReport], registry: str) -> tuple[int, int]:
    """The numbers of hosts on which a registry failed and passed the smoke test."""
    failed = passed = 0
    for host in hosts:
        verdicts = {
            check.verdict for check in host.checks if check.name.partition("/")[0] == registry
        }
        if "failed" in verdicts:
            failed += 1
        elif "passed" in verdicts:
            passed += 1
    return failed, passed


def _failure_outcome(failed: int, hosts: int) -> Outcome:
    return "bad" if 2 * failed >= hosts else "some"


def _groups(fleet: Fleet, report: Report) -> list[_Group]:
    """The groups of the left side; if there are many, the worst keep cards of their own."""
    groups = []
    for client in fleet.clients.values():
        here = [report.hosts[host.name] for host in client.hosts if host.name in report.hosts]
        group = _Group(
            client.name,
            f"{counted(len(client.hosts))}, {client.engine}",
            tuple(_uses(client, report.hosts)),
            len(here),
            sum(_went_wrong(host) for host in here),
            f"client.{client.name}",
        )
        groups.append(group)
    if len(groups) <= MOST_GROUPS:
        return groups
    by_trouble = sorted(groups, key=lambda group: -_WEIGHT[group.outcome])
    own = {group.title for group in by_trouble[: MOST_GROUPS - 1]}
    rest = [group for group in groups if group.title not in own]
    return [*(group for group in groups if group.title in own), _merged(rest)]


def _merged(groups: Sequence[_Group]) -> _Group:
    """Several groups merged into one."""
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
    """The cards of the right side, by key."""
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
    here = [hosts[host.name] for host in registry.machines if host.name in hosts]
    if not here:
        return "open", "not in run"
    mine = f"{registry.name}/"
    refused = any(c.name.startswith(mine) for host in here for c in host.failed_checks)
    troubled = any(host.status not in ("unchanged", "changed", "skipped") for host in here)
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
    """The cards placed below each other, with the spare height spread evenly."""
    cards = list(cards)
    spare = max(0, height - _height(cards)) / max(1, len(cards))
    y = 1 + spare / 2
    stacked = []
    for card in cards:
        stacked.append(replace(card, y=round(y)))
        y += card.height + _GAP + spare
    return stacked


def _copying(ways: Sequence[Way], cards: Mapping[str, Card]) -> list[Edge]:
    """A curve for each copy, from its source's card to its line in the target's."""
    seen: Counter[str] = Counter()
    edges = []
    for way in ways:
        source, target = cards[f"registry.{way.source}"], cards[f"registry.{way.target}"]
        number = 1 + seen[way.target]  # behind the line with its state
        seen[way.target] += 1
        x, y1, y2 = source.x, source.y + _TITLE // 2, target.y + target.line_y(number)
        path = f"M{x} {y1}C{x - _BOW} {y1} {x - _BOW} {y2} {x} {y2}"
        title = f"{way.name}: {way.source} to {way.target}, {way.words}"
        edges.append(Edge(path, way.outcome, title, copies=True))
    return edges


def _edge(card: Card, number: int, use: Use, target: Card) -> Edge:
    x1, y1 = card.x + card.width, card.y + card.line_y(number)
    x2, y2 = target.x, target.y + target.height // 2
    bend = (x2 - x1) // 2
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return Edge(path, use.outcome, f"{card.title} to {use.name}: {use.words}")
