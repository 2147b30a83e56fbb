"""Lists of host names with numbered names folded into ranges, as in a fleet file. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

FEWEST = 3  # fewer names are as quick to read one by one

# The last number of the first label: `build` `07` `-b` `.example.com`. Not in an address.
_NUMBERED = re.compile(r"([^.\[\]]*?)([0-9]{1,9})([^0-9.\[\]]*(?:\.[^\[\]]*)?)")
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")


def folded(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Names with runs of numbers folded into ranges, in their order.

    Returns:
        Pairs of a text and the number of names in it: `("web[01:20].example.com", 20)`.
    """
    found: list[tuple[str, int]] = []
    run: list[str] = []
    for name in names:
        if run and not _follows(run, name):
            found += _fold_run(run)
            run = []
        run.append(name)
    return (*found, *_fold_run(run))


def listed(names: Sequence[str], width: int | None = None) -> str:
    """The names as one text: `build[01:20], web1 and 3 more`.

    Args:
        width: the most characters; a few names are always listed. None to list all names.
    """
    pieces = folded(names)
    whole = ", ".join(text for text, _ in pieces)
    if width is None or len(whole) <= width or len(pieces) <= FEWEST:
        return whole
    left, said = len(names), ""
    for text, count in pieces:
        longer = f"{said}, {text}" if said else text
        if said and len(longer) + len(_and_more(left - count)) > width:
            break
        said, left = longer, left - count
    return said + _and_more(left)


def counted(count: int, what: str = "host", several: str = "") -> str:
    """`1 host`, `2 hosts`.

    Args:
        several: the plural, when it is not `what` and an `s`.
    """
    return f"{count} {what if count == 1 else several or what + 's'}"


def _and_more(count: int) -> str:
    return f" and {count} more" if count else ""


def _follows(run: Sequence[str], name: str) -> bool:
    """Whether a name continues a run: the same name with the next number."""
    if _ADDRESS.fullmatch(name):
        return False
    first, before, after = (_NUMBERED.fullmatch(each) for each in (run[0], run[-1], name))
    if not first or not before or not after or first.group(1, 3) != after.group(1, 3):
        return False
    start, last, number = first[2], before[2], after[2]
    padded = any(len(each) > 1 and each.startswith("0") for each in (start, number))
    return int(number) == int(last) + 1 and (len(start) == len(number) or not padded)


def _fold_run(run: Sequence[str]) -> list[tuple[str, int]]:
    first, last = (_NUMBERED.fullmatch(run[each]) if run else None for each in (0, -1))
    if len(run) < FEWEST or not first or not last:
        return [(name, 1) for name in run]
    return [(f"{first[1]}[{first[2]}:{last[2]}]{first[3]}", len(run))]
