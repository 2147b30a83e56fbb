"""Select hosts by `--limit` and `--exclude` as in pyinfra, and registries by name. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase

from regfleet.errors import UsageError
from regfleet.fleet.findings import RefusedError, did_you_mean
from regfleet.fleet.hosts import expand
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry

_LIKE_REGEX = re.compile(r"[\^$|()+\\{}~]|\.\*|^/.*/$")
_RANGE = re.compile(r"\[[^\]]*:[^\]]*\]")


def select(fleet: Fleet, limit: Iterable[str] = (), exclude: Iterable[str] = ()) -> list[str]:
    """The hosts to work on, in the fleet's order.

    Args:
        limit: names, ranges (`web[01:20]`) or patterns (`web*`) of hosts or groups, several in one
            by commas; all hosts where none is given. One that begins with `!` is taken out again.
        exclude: the same, taken out again.

    Raises:
        UsageError: a name is neither host nor group, or no host is left.
    """
    everyone = list(fleet.hosts())
    parts = [part.strip() for text in limit for part in text.split(",")]
    limit = [part for part in parts if not part.startswith("!")]
    negated = [part[1:].strip() for part in parts if part.startswith("!")]
    wanted = matching(fleet, limit, "--limit") if limit else set(everyone)
    unwanted = matching(fleet, exclude, "--exclude") | matching(fleet, negated, "--limit", "!")
    chosen = [name for name in everyone if name in wanted and name not in unwanted]
    if not chosen:
        raise UsageError(
            "no host is left to work on", "see --limit and --exclude, and the fleet file's hosts"
        )
    return chosen


def matching(fleet: Fleet, patterns: Iterable[str], option: str, sign: str = "") -> set[str]:
    """The hosts that names or patterns of hosts or groups match.

    Args:
        option: the option that has them, for the message.
        sign: the sign before each of them there.

    Raises:
        UsageError: one of them matches nothing.
    """
    groups = fleet.groups()
    known = [*fleet.hosts(), *groups]
    found: set[str] = set()
    for pattern in (part.strip() for text in patterns for part in text.split(",")):
        wanted = _matcher(pattern)
        names = [name for name in known if wanted(name)]
        if not names:
            close = get_close_matches(pattern, known, n=1)
            if _LIKE_REGEX.search(pattern):
                raise UsageError(
                    f"{option} {sign}{pattern}: that looks like a regular expression",
                    "write a shell's pattern (`web*` for `web.*`), a range (`web[01:20]`), or "
                    "several with commas between them; `!` before one takes it out",
                )
            raise UsageError(
                f"{option} {sign}{pattern}: there is no such host or group in {fleet.path.name}",
                f"did you mean {close[0]}?" if close else f"groups are {', '.join(groups)}",
            )
        for name in names:
            found.update(groups.get(name, (name,)))
    return found


def _matcher(pattern: str) -> Callable[[str], bool]:
    """A function that matches names: by a range as in the fleet file, or by a shell pattern.

    In a shell pattern `[1:3]` would be one of three characters, which is never meant here.
    """
    if not _RANGE.search(pattern):
        return lambda name: fnmatchcase(name, pattern)
    try:
        names = frozenset(expand(pattern))
    except RefusedError:
        return lambda _name: False
    return names.__contains__


def registries_with(fleet: Fleet, asked: str, has: Callable[[Registry], object]) -> list[Registry]:
    """The registries that have something; with a name or an endpoint, that one.

    Raises:
        UsageError: there is no registry of that name.
    """
    having = [each for each in fleet.registries.values() if has(each)]
    found = [each for each in having if asked in ("", each.name, each.endpoint)]
    if not found and asked and asked not in fleet.registries:
        hint = did_you_mean(asked, list(fleet.registries), "")
        raise UsageError(f"there is no registry {asked} in {fleet.path.name}", hint)
    return found
