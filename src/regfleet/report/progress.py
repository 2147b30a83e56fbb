"""Where the hosts of a run are, kept up in constant time a step, and how that reads. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from rich.text import Text

from regfleet.errors import RegfleetError
from regfleet.report.lines import clean
from regfleet.report.names import counted, listed

T = TypeVar("T")

State = Literal[
    "waiting", "connecting", "looking", "changing", "changed", "smoke-testing", "done", "failed"
]
Verdict = Literal["changed", "done", "failed"]

_STYLES: dict[State, str] = {
    "waiting": "dim",
    "connecting": "cyan",
    "looking": "cyan",
    "changing": "cyan",
    "changed": "blue",
    "smoke-testing": "cyan",
    "done": "green",
    "failed": "red",
}
_SLOW = 3  # seconds after which a host is worth a word
_FIRST = 20  # failed hosts that may be named
_MANY = 3  # hosts that are also counted where they are named
_NAMES = 40  # columns for them


@dataclass(slots=True)
class _Host:
    state: State = "waiting"
    since: float = 0.0
    step: str = ""


class Stage:
    """Some hosts on their way through one part of a run.

    Args:
        title: what is done, and to how many: `wave 2 of 5: changing 4 hosts`.
        names: the hosts that go through it.
        behind: what is behind already, for those who see lines only.
        clock: seconds of a clock that never goes back.
        ended: told of each host that is done or failed.

    Attributes:
        opening: one line for its beginning.
        seconds: how long each host was worked on, by name.
        aside: what is done besides, to none of the hosts; empty for nothing.
    """

    def __init__(
        self,
        title: str,
        names: Collection[str],
        behind: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title = title
        self.opening = f"{title} ({behind})" if behind else title
        self.seconds = dict.fromkeys(names, 0.0)
        self.ended: Callable[[str, Verdict], None] | None = None
        self.aside = ""
        self._clock = clock
        self._begun = clock()
        self._hosts = {name: _Host() for name in names}
        self._counts: dict[State, int] = dict.fromkeys(_STYLES, 0)
        self._counts["waiting"] = len(self._hosts)
        self._working: dict[str, None] = {}  # who has been at it longest comes first
        self._failed: list[str] = []

    def begin(self, name: str, state: State) -> None:
        """A host goes to work."""
        self._enter(name, state)
        self._working[name] = None

    def step(self, name: str, text: str) -> None:
        """What a host does at the moment, where its state does not say it; empty for nothing."""
        if name in self._hosts:
            self._hosts[name].step = text

    def end(self, name: str, verdict: Verdict) -> None:
        """A host has done its work; `changed`: it is to be smoke-tested yet."""
        self.seconds[name] += self._clock() - self._hosts[name].since
        self._enter(name, verdict)
        if verdict == "failed":
            self._failed.append(name)
        if verdict != "changed" and self.ended:
            self.ended(name, verdict)

    def watched(
        self, work: Callable[[str], T], state: State, verdict: Callable[[str, T], Verdict]
    ) -> Callable[[str], T]:
        """The same work, seen.

        Args:
            state: in which hosts are while they do it.
            verdict: of a host's result; an error is `failed`.
        """

        def one(name: str) -> T:
            self.begin(name, state)
            try:
                result = work(name)
            except RegfleetError:
                self.end(name, "failed")
                raise
            self.end(name, verdict(name, result))
            return result

        return one

    def count(self, state: State) -> int:
        """How many hosts are in a state now."""
        return self._counts[state]

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._begun

    @property
    def longest(self) -> str:
        """The host that has been at one thing for longest, with that; empty where none is slow."""
        name = next(iter(self._working), "")
        if not name:
            return ""
        host = self._hosts[name]
        seconds = self._clock() - host.since
        if seconds < _SLOW:
            return ""
        step = f" ({host.step})" if host.step else ""
        return f"{name} {host.state} for {duration(seconds)}{step}"

    def tally(self) -> Text:
        """How many hosts are where: `2 waiting, 1 changing, 17 done`."""
        return Text(", ").join(
            Text(f"{count} {state}", _STYLES[state])
            for state, count in self._counts.items()
            if count
        )

    def panel(self) -> list[tuple[str, Text]]:
        """What it looks like now: lines, each of what leads and what is folded behind it."""
        lines = [("", Text.assemble((self.title, "bold"), f"  {duration(self.elapsed)}"))]
        lines += [("  ", self.tally())] if self._hosts else []
        if self.aside:
            lines.append(("  ", Text(clean(self.aside))))
        elif longest := self.longest:
            lines.append(("  longest: ", Text(clean(longest))))
        if self._failed:
            names = listed(self._failed[:_FIRST], _NAMES)
            more = len(self._failed) - _FIRST
            text = f"{names} and {more} more" if more > 0 else names
            lines.append(("  failed: ", Text(clean(text), "red")))
        return lines

    def result(self) -> Text:
        """One line for afterwards."""
        tally = Text.assemble(self.tally(), ", ") if self._hosts else ""
        return Text.assemble(f"{self.title}: ", tally, duration(self.elapsed))

    def still(self) -> str:
        """One line for those who see nothing else for a while."""
        words = f"still {self.title} after {duration(self.elapsed)}: {self.tally().plain}"
        return f"{words}; longest: {self.longest}" if self.longest else words

    def _enter(self, name: str, state: State) -> None:
        host = self._hosts[name]
        self._counts[host.state] -= 1
        self._counts[state] += 1
        host.state, host.since, host.step = state, self._clock(), ""
        self._working.pop(name, None)


class Watch(Protocol):
    """Whoever shows a stage while it is at work."""

    def during(self, stage: Stage) -> AbstractContextManager[object]:
        """Show it until the end."""


class Progress:
    """The stages of a run, one after the other.

    Attributes:
        stage: the one at work, None between them.
        seconds: how long all took together: a question between them does not count.
    """

    def __init__(self, watch: Watch) -> None:
        self.stage: Stage | None = None
        self.seconds = 0.0
        self._watch = watch

    @contextmanager
    def during(self, stage: Stage) -> Iterator[Stage]:
        """Show a stage while it is at work."""
        self.stage = stage
        try:
            with self._watch.during(stage):
                yield stage
        finally:
            self.stage = None
            self.seconds += stage.elapsed

    def step(self, name: str, text: str) -> None:
        """What a host of the stage does at the moment."""
        if self.stage:
            self.stage.step(name, text)


def duration(seconds: float) -> str:
    """A span of time: `42 s`, `1:42`, `1:02:03`."""
    minutes, left = divmod(round(seconds), 60)
    if not minutes:
        return f"{left} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def wave_title(number: int, of: int, names: Sequence[str]) -> str:
    """`wave 2 of 5: changing web1, web2`; one wave needs no number."""
    many = f" ({counted(len(names))})" if len(names) >= _MANY else ""
    changing = f"changing {listed(names, _NAMES)}{many}"
    return changing if of == 1 else f"wave {number} of {of}: {changing}"


def behind(count: int, failed: int) -> str:
    """`4 hosts before, 1 failed`: what the waves before this one came to; empty for none."""
    if not count:
        return ""
    return f"{counted(count)} before, {failed} failed" if failed else f"{counted(count)} before"
