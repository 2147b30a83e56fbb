"""Makes all of regfleet's rich consoles: they print no terminal controls except rich's own."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from regfleet.terminal.cleaning import same_length
from regfleet.terminal.streams import people_are_shown

_ENDLESS = 100_000


class _CleaningConsole(Console):
    """Cleans each piece of text before it prints it.

    Rich passes its own sequences (colours, the cursor) as styles and controls, not as text.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """As `Console.render`, cleaned."""
        return self._clean_segments(super().render(renderable, options))

    @staticmethod
    def _clean_segments(segments: Iterable[Segment]) -> Iterator[Segment]:
        for segment in segments:
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=same_length(segment.text, lines=True))


def people(*, stderr: bool = False) -> Console:
    """A console for people, on standard output or standard error.

    It prints square brackets as they are: hosts' messages may hold them.
    """
    return _CleaningConsole(stderr=stderr, markup=False, emoji=False, highlight=False)


def beside_document(*, as_json: bool) -> Console:
    """A console for people that leaves standard output to the JSON document.

    Args:
        as_json: whether the command prints a document. At a terminal the console is silent then.
    """
    if people_are_shown(as_json=as_json):
        return people(stderr=as_json)
    return _CleaningConsole(stderr=True, quiet=True, markup=False, emoji=False, highlight=False)


def endless() -> Console:
    """A console without a width limit whose output is read by `capture`."""
    return _CleaningConsole(
        file=io.StringIO(),
        width=_ENDLESS,
        color_system=None,
        force_terminal=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
