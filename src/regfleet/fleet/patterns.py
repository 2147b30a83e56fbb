"""Shell patterns of repositories' names: whether two can match one name. Pure."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable

_PIECE = re.compile(r"\[[^\]]+\]|.", re.DOTALL)


def is_pattern(text: str) -> bool:
    """Whether a text is more than a name."""
    return any(mark in text for mark in "*?[")


def meet(one: Iterable[str], two: Iterable[str]) -> bool:
    """Whether a name may match a pattern of the first and one of the second.

    A set of characters (`[a-z]`) counts as any character, so that two may be said to meet that do
    not; never the other way round.
    """
    others = tuple(two)
    return any(_meet(_pieces(a), _pieces(b)) for a in one for b in others)


def covers(pattern: str, other: str) -> bool:
    """Whether everything that the second matches is matched by the first, as far as is plain."""
    return (
        pattern in ("*", other)
        or (
            pattern.endswith("*")
            and not is_pattern(pattern[:-1])
            and other.startswith(pattern[:-1])
        )
        or (not is_pattern(other) and fnmatch.fnmatchcase(other, pattern))
    )


def _pieces(pattern: str) -> tuple[str, ...]:
    pieces = ("?" if len(each) > 1 else each for each in _PIECE.findall(pattern))
    found: list[str] = []
    for each in pieces:
        if each != "*" or found[-1:] != ["*"]:
            found.append(each)
    return tuple(found)


@functools.lru_cache(4096)
def _meet(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    """By the places in both that a common name can have reached, which are few."""
    reached, ahead = {(0, 0)}, [(0, 0)]
    while ahead:
        a, b = ahead.pop()
        if (a, b) == (len(one), len(two)):
            return True
        first, second = one[a] if a < len(one) else "", two[b] if b < len(two) else ""
        steps = set()
        if first == "*":
            steps |= {(a + 1, b)} | ({(a, b + 1)} if second else set())
        if second == "*":
            steps |= {(a, b + 1)} | ({(a + 1, b)} if first else set())
        if "*" not in (first, second) and (
            first and second and ("?" in (first, second) or first == second)
        ):
            steps.add((a + 1, b + 1))
        ahead += steps - reached
        reached |= steps
    return False
