"""How far a program on a host is, heard while it runs: lines `@progress WORK [N N [N N]]`. Pure.

The numbers are how many things are done, of how many, and the bytes of both. The text of a host is
not trusted: nothing but a word of `WORKS` and bounded numbers comes out of it, and a line that is
not like that is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Heard: TypeAlias = Callable[[bytes], None]  # given each piece of a program's output as it comes
WORKS = ("listing", "reading", "copying", "tags", "holding", "deleting", "checking")
_LONGEST = 120  # bytes of a line
_DIGITS = 18
_START = b"@progress "


@dataclass(frozen=True, slots=True)
class HowFar:
    """How far a program is.

    Attributes:
        work: one of `WORKS`.
        done, of: things, such as blobs; `of` is 0 where nobody knows.
        size, of_size: their bytes.
    """

    work: str
    done: int = 0
    of: int = 0
    size: int = 0
    of_size: int = 0


class Ear:
    """Hears progress in the output of one program, as it comes.

    Args:
        mark: the program's own, as of `frame`; what comes before its beginning is noise.
        told: called with the last progress of each piece that has some.
    """

    def __init__(self, mark: str, told: Callable[[HowFar], None]) -> None:
        self._begin = f"@begin {mark}".encode()
        self._told = told
        self._begun = False
        self._rest = b""

    def hear(self, piece: bytes) -> None:
        """Take the next bytes of the output."""
        *lines, rest = (self._rest + piece).split(b"\n")
        self._rest = rest[: _LONGEST + 1]  # too long already: what follows does not matter
        last = None
        for line in lines:
            if not self._begun:
                self._begun = line.rstrip() == self._begin
            elif line.startswith(_START):
                last = parse(line) or last
        if last:
            self._told(last)


def parse(line: bytes) -> HowFar | None:
    """What a line tells; None for one that is not as `progress` of the shell programs prints it."""
    line = line.rstrip(b"\r")  # of a terminal, which doas may need
    if len(line) > _LONGEST or not line.startswith(_START):
        return None
    work, *numbers = line[len(_START) :].decode("ascii", "replace").split(" ")
    good = all(each.isdecimal() and each.isascii() and len(each) <= _DIGITS for each in numbers)
    if work not in WORKS or len(numbers) not in (0, 2, 4) or not good:
        return None
    return HowFar(work, *map(int, numbers))
