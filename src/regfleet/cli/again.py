"""The command that completes a run. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Sequence

from regfleet.model.names import folded
from regfleet.model.report import Report

MOST_LIMIT = (
    200  # characters of --limit; a longer one is left out, which only costs a look at each host
)
_HOSTS = ("--limit", "--exclude")
_ASKED = ("--smoke", "--no-smoke")
_ASKING = ("--yes", "-y")
_OF_APPLY = (*_ASKED, *_ASKING, "--diff", "--new-identity")
_OF_ROLLBACK = ("--to", "--generation")
_SHORT = re.compile(r"-[a-z]+")  # `-vy`: flags that stand together


def again(arguments: Sequence[str], report: Report) -> str:
    """The same command, limited to the hosts that are not done.

    If only the smoke test failed, the command is `smoke`: an apply would find nothing to change
    and so would test nothing.

    Args:
        arguments: the command line without the program's name.
        report: the run's report.
    """
    words = list(arguments)
    left = [
        host
        for host in report.hosts.values()
        if not host.ok or host.untested or (report.owed and host.name in report.unproven)
    ]
    if 0 < len(left) < len(report.hosts):
        limit = ",".join(text for text, _ in folded(host.name for host in left))
        # A second rollback of all hosts would take those that are done back one run further.
        if len(limit) <= MOST_LIMIT or words[:1] == ["rollback"]:
            words = [*_without(words, valued=_HOSTS), "--limit", limit]
    if words[:1] == ["rollback"] and left and all(host.went_well for host in left):
        # All went back: the same command would take back one run more.
        words = ["smoke", *_without(words[1:], valued=_OF_ROLLBACK, flags=_ASKING)]
    if words[:1] == ["apply"] and any(host.failed_checks or host.untested for host in left):
        if all(host.status in ("changed", "unchanged") for host in left):
            words = ["smoke", *_without(words[1:], flags=_OF_APPLY)]
        else:
            words = [*_without(words, flags=_ASKED), "--smoke"]
    return shlex.join(["regfleet", *words])


def _without(
    words: Sequence[str], *, flags: Collection[str] = (), valued: Collection[str] = ()
) -> Iterator[str]:
    """The words without some options; `valued` options are removed with their values."""
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
