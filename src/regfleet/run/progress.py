"""The states of a run's hosts, in constant time a step, and their texts. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol, TypeVar

from rich.filesize import decimal
from rich.text import Text

from regfleet.errors import RegfleetError
from regfleet.model.names import counted, listed
from regfleet.shell.how_far import HowFar
from regfleet.terminal.cleaning import clean

T = TypeVar("T")

State = Literal[
    "waiting",
    "connecting",
    "looking",
    "changing",
    "copying",
    "changed",
    "smoke-testing",
    "done",
    "failed",
]
Verdict = Literal["changed", "done", "failed"]

_STYLES: dict[State, str] = {
    "waiting": "dim",
    "connecting": "cyan",
    "looking": "cyan",
    "changing": "cyan",
    "copying": "cyan",
    "changed": "blue",
    "smoke-testing": "cyan",
    "done": "green",
    "failed": "red",
}
_WORKS = {  # by what a program on a host says that it does: words, and what it counts
    "listing": ("looking at what is there", ""),
    "reading": ("read", "blobs"),
    "copying": ("copied", "blobs"),
    "tags": ("compared and copied", "tags"),
    "holding": ("read-only, for the host that collects", ""),
    "deleting": ("the registry deletes", ""),
    "checking": ("checking that all is whole", ""),
}
_SLOW = 3  # seconds after which a host is worth a word
_MANY = 3  # hosts that are also counted where they are named
_OTHERS = 4  # hosts whose step is shown beside the slowest's
_NAMES = 40  # columns for them


@dataclass(slots=True)
class _Host:
    state: State = "waiting"
    since: float = 0.0
    step: str = ""


class Stage:
    """One part of a run, and the states of its hosts.

    Args:
        title: the work and the number of hosts: `wave 2 of 5: changing 4 hosts`.
        names: the hosts of the stage.
        behind: the result of earlier waves, for output in lines.
        clock: a monotonic clock, in seconds.
        ended: called for each host that is done or failed.

    Attributes:
        opening: the line printed at its beginning.
        seconds: how long each host was worked on, by name.
        aside: other work of the stage that concerns no host; empty for none.
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
        """Work on a host begins."""
        self._enter(name, state)
        self._working[name] = None

    def step(self, name: str, text: str) -> None:
        """Set a host's present step, in addition to its state; empty for none."""
        if name in self._hosts:
            self._hosts[name].step = text

    def end(self, name: str, verdict: Verdict) -> None:
        """Work on a host ended; `changed` means that its smoke test is still due."""
        self.seconds[name] += self._clock() - self._hosts[name].since
        self._enter(name, verdict)
        if verdict == "failed":
            self._failed.append(name)
        if verdict != "changed" and self.ended:
            self.ended(name, verdict)

    def watched(
        self, work: Callable[[str], T], state: State, verdict: Callable[[str, T], Verdict]
    ) -> Callable[[str], T]:
        """The same work, with its progress recorded.

        Args:
            state: the hosts' state during the work.
            verdict: gives the verdict of a result; an error is `failed`.
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
        """The slowest host, with its state and time; empty if none is slow."""
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
        """The number of hosts in each state: `2 waiting, 1 changing, 17 done`."""
        return Text(", ").join(
            Text(f"{count} {state}", _STYLES[state])
            for state, count in self._counts.items()
            if count
        )

    def panel(self) -> list[tuple[str, Text]]:
        """The lines of the panel, each a lead and a folded text."""
        lines = [("", Text.assemble((self.title, "bold"), f"  {duration(self.elapsed)}"))]
        lines += [("  ", self.tally())] if self._hosts else []
        if self.aside:
            lines.append(("  ", Text(clean(self.aside))))
        elif longest := self.longest:
            lines.append(("  longest: ", Text(clean(longest))))
            lines += [("  ", Text(clean(each))) for each in self._others()]
        if self._failed:
            lines.append(("  failed: ", Text(clean(listed(self._failed, _NAMES)), "red")))
        return lines

    def _others(self) -> list[str]:
        """What some others than the slowest host do, where they say it."""
        others = ((name, self._hosts[name].step) for name in islice(self._working, 1, None))
        said = (f"{name}: {step}" for name, step in others if step)
        return list(islice(said, _OTHERS))

    def result(self) -> Text:
        """The line printed after the stage."""
        tally = Text.assemble(self.tally(), ", ") if self._hosts else ""
        return Text.assemble(f"{self.title}: ", tally, duration(self.elapsed))

    def still(self) -> str:
        """The line printed once a minute."""
        words = f"still {self.title} after {duration(self.elapsed)}: {self.tally().plain}"
        return f"{words}; longest: {self.longest}" if self.longest else words

    def _enter(self, name: str, state: State) -> None:
        host = self._hosts[name]
        self._counts[host.state] -= 1
        self._counts[state] += 1
        host.state, host.since, host.step = state, self._clock(), ""
        self._working.pop(name, None)


class Watch(Protocol):
    """Shows a stage while it runs."""

    def during(self, stage: Stage) -> AbstractContextManager[object]:
        """Show the stage until the end of the block."""


def words_of(far: HowFar) -> str:
    """How far a host is: `120 of 1530 blobs copied, 1.2 GB of 48.2 GB`."""
    words, things = _WORKS[far.work]
    if not things:
        return words
    size = f", {decimal(far.size)}" if far.size else ""
    whole = f" of {decimal(far.of_size)}" if far.of_size else ""
    return f"{far.done} of {far.of} {things} {words}{size}{whole}"


class Progress:
    """The stages of a run, one after the other.

    Attributes:
        stage: the running stage; None between stages.
        seconds: the duration of all stages, without questions in between.
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
        """Set the present step of a host of the stage."""
        if self.stage:
            self.stage.step(name, text)

    def heard(self, name: str, far: HowFar) -> None:
        """As `step`, of how far the host's program says that it is."""
        self.step(name, words_of(far))


def duration(seconds: float) -> str:
    """A duration in words: `42 s`, `1:42`, `1:02:03`."""
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
