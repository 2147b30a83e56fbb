"""Progress on standard error: a panel at a terminal, lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
from rich.console import Console, Group
from rich.live import Live

from regfleet.report.lines import folded, show, show_text
from regfleet.run.progress import Stage, Verdict
from regfleet.terminal import console as consoles
from regfleet.terminal import streams

REFRESH_SECONDS = 0.2
PATIENCE_SECONDS = 60.0  # interval of the lines that name the slowest host
_HANG = 2


class Silent:
    """Shows no stages, only messages."""

    def say(self, line: str) -> None:
        """Print a message."""
        streams.say(line)

    @contextmanager
    def during(self, stage: Stage) -> Iterator[None]:
        """Show nothing."""
        del stage
        yield


class Lines(Silent):
    """Prints a line for each stage, and one a minute while it lasts.

    Args:
        every: also print a line for each host.
    """

    def __init__(self, *, every: bool = False) -> None:
        self._every = every

    @contextmanager
    def during(self, stage: Stage) -> Iterator[None]:
        """Print that the stage begins, then a line a minute."""
        self.say(stage.opening)
        if self._every:
            stage.ended = self._say_host

        def still() -> None:
            self.say(stage.still())

        with repeating(PATIENCE_SECONDS, still):
            yield

    def _say_host(self, name: str, verdict: Verdict) -> None:
        self.say(f"{name}: {verdict}")


class Panel(Silent):
    """Redraws a few lines several times a second, and leaves one line at the end.

    Only one greenlet draws: messages of others, such as signal handlers, are
    queued for it.

    Args:
        console: a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: deque[str] = deque()
        self._showing = False

    def say(self, line: str) -> None:
        """Print a message above the panel."""
        if self._showing:
            self._said.append(line)
        else:
            show_text(self._console, line)

    @contextmanager
    def during(self, stage: Stage) -> Iterator[None]:
        """Redraw the stage until it ends."""

        def panel() -> Group:
            lines = [folded(self._console, *line) for line in stage.panel()]
            return Group(*(text for line in lines for text in line))

        live = Live(console=self._console, auto_refresh=False, transient=True, get_renderable=panel)

        def draw() -> None:
            self._flush()
            live.refresh()

        self._showing = True
        try:
            with live, repeating(REFRESH_SECONDS, draw):
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
    """The kind of progress that suits standard error.

    Args:
        quiet: show nothing.
        verbose: as on the command line: 1 prints each host, 2 prints lines beside a log.
    """
    if quiet:
        return Silent()
    console = consoles.people(stderr=True)
    if streams.is_terminal() and not console.is_dumb_terminal and verbose <= 1:
        return Panel(console)
    return Lines(every=verbose > 0)


@contextmanager
def repeating(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Call `action` every few seconds until the end of the block.

    A greenlet, not a thread: an interrupt while it runs still reaches the main program.
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
