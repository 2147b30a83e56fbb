"""The command that does what a run left undone. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Sequence

from regfleet.report.model import Report
from regfleet.report.names import folded

MOST = 200  # characters of --limit; without it an apply costs no more than a look at each host
_HOSTS = ("--limit", "--exclude")
_ASKED = ("--smoke", "--no-smoke")
_OF_APPLY = (*_ASKED, "--yes", "-y", "--diff")
_SHORT = re.compile(r"-[a-z]+")  # `-vy`: flags that stand together


def again(arguments: Sequence[str], report: Report) -> str:
    """What to type next: the same command for the hosts where something is left to do.

    Where nothing but the smoke test failed, that is `smoke`: an apply would find nothing to change
    there, and so nothing to test.

    Args:
        arguments: the command line without the program's name.
        report: of the run.
    """
    words = list(arguments)
    left = [host for host in report.hosts.values() if not host.ok or host.untested]
    if 0 < len(left) < len(report.hosts):
        limit = ",".join(text for text, _ in folded(host.name for host in left))
        # Going back once more would take hosts further back that are back already.
        if len(limit) <= MOST or words[:1] == ["rollback"]:
            words = [*_without(words, valued=_HOSTS), "--limit", limit]
    if words[:1] == ["apply"] and any(host.failed_checks or host.untested for host in left):
        if all(host.status in ("changed", "unchanged") for host in left):
            words = ["smoke", *_without(words[1:], flags=_OF_APPLY)]
        else:
            words = [*_without(words, flags=_ASKED), "--smoke"]
    return shlex.join(["regfleet", *words])


def _without(
    words: Sequence[str], *, flags: Collection[str] = (), valued: Collection[str] = ()
) -> Iterator[str]:
    """The words without some options; those `valued` go with what follows them."""
    short = "".join(flag[1] for flag in flags if _SHORT.fullmatch(flag))
    rest = iter(words)
    for word in rest:
        if word in valued:
            next(rest, None)
        elif word.partition("=")[0] in valued or word in flags:
            continue
        elif _SHORT.fullmatch(word):
            if kept := word[1:].translate(dict.fromkeys(map(ord, short))):
                yield f"-{kept}"
        else:
            yield word
