"""A host's answer is framed by a mark made for this one command; what stands outside is noise.

What root's shell prints by itself (a greeting, a terminal title without a newline) comes before the
program's first line, sudo's and sshd's words before or behind. So a program says a newline and
`@begin MARK` first and `@end MARK` last, and only what is between the two is its answer. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote

from regfleet.errors import cut


@dataclass(frozen=True, slots=True)
class Framed:
    """An answer and what came with it.

    Attributes:
        lines: between the two marks, or behind the first where the second is missing.
        begun, ended: whether each mark came.
        noise: lines outside.
    """

    lines: tuple[str, ...]
    begun: bool
    ended: bool
    noise: tuple[str, ...]


def framed(lines: Iterable[str], mark: str) -> Framed:
    """The part of an output that is the program's answer.

    Args:
        lines: a command's output.
        mark: the command's own, as in `begin` and `end`.
    """
    answer: list[str] = []
    noise: list[str] = []
    begun = ended = False
    for line in lines:
        text = line.rstrip()
        if not begun and text == f"@begin {mark}":
            begun = True
        elif begun and not ended and text == f"@end {mark}":
            ended = True
        else:
            (answer if begun and not ended else noise).append(line)
    return Framed(tuple(answer), begun, ended, tuple(noise))


def around(mark: str, calls: str) -> str:
    """Shell that makes calls, and prints the frame around what they print.

    Args:
        calls: shell command lines; whatever becomes of them, the frame is ended.
    """
    return f"{begin(mark)}\n{calls}\n{end(mark)}\n"


def stray(answer: Framed) -> str:
    """The last lines that are not for regfleet, for an error message; empty if there are none.

    Inside an answer those are of programs that complain; outside, of the shell or of sudo.
    """
    said = [line.strip() for line in (*answer.noise, *answer.lines) if not line.startswith("@")]
    return cut("; ".join([line for line in said if line][-3:]))


def begin(mark: str) -> str:
    """The shell line that begins an answer."""
    return f"printf '\\n@begin %s\\n' {quote(mark)}"


def end(mark: str) -> str:
    """The shell line that ends it."""
    return f"printf '@end %s\\n' {quote(mark)}"
