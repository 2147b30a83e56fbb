"""Progress for people at standard error: a panel at a terminal, calm lines anywhere else."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
import gevent
from rich.console import Console, Group
from rich.live import Live

from regfleet.report.lines import folded, show, show_text
from regfleet.report.progress import Stage, Verdict

REFRESH_SECONDS = 0.2
PATIENCE_SECONDS = 60.0  # then a line says who is waited for
_HANG = 2


class Silent:
    """Shows no stage; what has to be said is said."""

    def say(self, line: str) -> None:
        """A line of its own."""
        click.echo(line, err=True)

    @contextmanager
    def during(self, stage: Stage) -> Iterator[None]:
        """Nothing."""
        del stage
        yield


class Lines(Silent):
    """A line for each stage, and one a minute while it lasts.

    Args:
        every: also one for each host.
    """

    def __init__(self, *, every: bool = False) -> None:
        self._every = every

    @contextmanager
    def during(self, stage: Stage) -> Iterator[None]:
        """Say that it begins."""
        self.say(stage.opening)
        if self._every:
            stage.ended = self._say_host

        def still() -> None:
            self.say(stage.still())

        with _repeating(PATIENCE_SECONDS, still):
            yield

    def _say_host(self, name: str, verdict: Verdict) -> None:
        self.say(f"{name}: {verdict}")


class Panel(Silent):
    """A few lines that are drawn anew some times a second, and one that stays at the end.

    Drawn in one greenlet alone: whoever else has something to say, a signal handler among them,
    leaves it for that one.

    Args:
        console: a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: deque[str] = deque()
        self._showing = False

    def say(self, line: str) -> None:
        """A line of its own, above what is drawn."""
        if self._showing:
            self._said.append(line)
        else:
            show_text(self._console, line)

    @contextmanager
    def during(self, stage: Stage) -> Iterator[None]:
        """Draw it until the end."""

        def panel() -> Group:
            lines = [folded(self._console, *line) for line in stage.panel()]
            return Group(*(text for line in lines for text in line))

        live = Live(console=self._console, auto_refresh=False, transient=True, get_renderable=panel)

        def draw() -> None:
            self._flush()
            live.refresh()

        self._showing = True
        try:
            with live, _repeating(REFRESH_SECONDS, draw):
                live.refresh()
                yield
        finally:
            self._showing = False
            self._flush()
            show(self._console, "", stage.result(), hang=_HANG)

    def _flush(self) -> None:
        while self._said:
            show_text(self._console, self._said.popleft())


def watching(*, quiet: bool, verbose: int) -> Silent:
    """What suits standard error.

    Args:
        quiet: show nothing.
        verbose: as on the command line: 1 says each host, 2 leaves the place to a log.
    """
    if quiet:
        return Silent()
    console = Console(stderr=True, highlight=False)
    # Not `console.is_terminal`, which FORCE_COLOR makes of any pipe.
    if sys.stderr.isatty() and not console.is_dumb_terminal and verbose <= 1:
        return Panel(console)
    return Lines(every=verbose > 0)


@contextmanager
def _repeating(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Do something every few seconds meanwhile.

    A greenlet and no thread: an interrupt that comes while it runs goes on to the main program.
    """

    def repeat() -> None:
        while True:
            gevent.sleep(seconds)
            action()

    greenlet = gevent.spawn(repeat)
    try:
        yield
    finally:
        greenlet.kill()
