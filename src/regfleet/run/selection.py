"""`--limit` and `--exclude`: hosts, groups and patterns, as pyinfra's users know them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase

from regfleet.errors import UsageError
from regfleet.fleet.findings import RefusedError
from regfleet.fleet.hosts import expand
from regfleet.fleet.model import Fleet

_RANGE = re.compile(r"\[[^\]]*:[^\]]*\]")


def select(fleet: Fleet, limit: Iterable[str] = (), exclude: Iterable[str] = ()) -> list[str]:
    """The hosts to work on, in the fleet's order.

    Args:
        limit: names, ranges (`web[01:20]`) or patterns (`web*`) of hosts or groups, several in one
            by commas; all hosts where none is given.
        exclude: the same, taken out again.

    Raises:
        UsageError: a name that is no host and no group, or nothing is left.
    """
    everyone = list(fleet.hosts())
    wanted = matching(fleet, limit, "--limit") if limit else set(everyone)
    unwanted = matching(fleet, exclude, "--exclude")
    chosen = [name for name in everyone if name in wanted and name not in unwanted]
    if not chosen:
        raise UsageError(
            "no host is left to work on", "see --limit and --exclude, and the fleet file's hosts"
        )
    return chosen


def matching(fleet: Fleet, patterns: Iterable[str], option: str) -> set[str]:
    """The hosts that names or patterns of hosts or groups stand for.

    Args:
        option: where they were given, for the message.

    Raises:
        UsageError: one of them stands for nothing.
    """
    groups = fleet.groups()
    known = [*fleet.hosts(), *groups]
    found: set[str] = set()
    for pattern in (part.strip() for text in patterns for part in text.split(",")):
        wanted = _meaning(pattern)
        names = [name for name in known if wanted(name)]
        if not names:
            close = get_close_matches(pattern, known, n=1)
            raise UsageError(
                f"{option} {pattern}: there is no such host or group in {fleet.path.name}",
                f"did you mean {close[0]}?" if close else f"groups are {', '.join(groups)}",
            )
        for name in names:
            found.update(groups.get(name, (name,)))
    return found


def _meaning(pattern: str) -> Callable[[str], bool]:
    """Whether a name is meant: by a range as a fleet file writes it, or by a shell's pattern.

    For a shell `[1:3]` would be one of these three characters, which no host is named by.
    """
    if not _RANGE.search(pattern):
        return lambda name: fnmatchcase(name, pattern)
    try:
        names = frozenset(expand(pattern))
    except RefusedError:
        return lambda _name: False
    return names.__contains__
