"""What a touch and every job have in common: how work is sent to a host as one program. Pure.

A program is the touch's shell functions (`program/*.sh` and those of the engines), functions of a
job's own behind them, and a function `plan` that calls `step` for each thing to do.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from shlex import quote

from regfleet import shell
from regfleet.services import KINDS
from regfleet.shell import frame

PROGRAM = tuple(
    f"program/{name}.sh"
    for name in (
        "1-protocol",
        "2-packages",
        "2-engine",
        "3-files",
        "4-adoption",
        "4-images",
        "4-services",
        "4-storage",
        "4-timers",
        "5-logins",
        "5-homes",
        "5-records",
        "6-transaction",
    )
)
WAIT_SECONDS = 900


def program(*engines: str, services: Sequence[str] = tuple(KINDS)) -> str:
    """The touch's shell functions, with those of engines (their shell words).

    Args:
        services: kinds of services whose functions may be called; all by default, for a way back
            may meet any of them.
    """
    return shell.program("regfleet.touch", *PROGRAM, engines=engines, services=services)


def whole(
    run: str,
    lines: Sequence[str],
    engines: Sequence[str],
    hook: str = "",
    functions: str = "",
    *,
    services: Sequence[str] = tuple(KINDS),
) -> str:
    """The program for standard input that makes the calls one after the other.

    Args:
        run: the mark of this work, which frames what it says and by which a controller that was
            cut off finds the outcome; another for each program that is sent to a host.
        lines: calls of functions, the first of them `begin`.
        engines: shell words of the engines whose functions are needed.
        hook: shell that fault injection runs at each boundary, with its number and name as
            `$1` and `$2`.
        services: as those of `program`.
        functions: shell functions that stand behind the touch's own.
    """
    redefined = f"hook() {{\n{hook}\n}}\n" if hook else ""
    named = f"mark={quote(run)}\nheard=yes\n"
    start = f"{program(*engines, services=services)}\n{functions}\n{named}{redefined}"
    return f"{start}{body(lines)}touch_host </dev/null\n"


def body(lines: Sequence[str]) -> str:
    """The function `plan`, which makes these calls one after the other."""
    return "\n".join(["plan() {", *(f"  step {line}" for line in lines), "}\n"])


def noted(number: int, run: str, who: str, notes: str) -> str:
    """The call that says of which run a generation is.

    Args:
        number: of the run in the state directory; 0 for none.
        notes: lines of action and resource.
    """
    return call("noted", str(number), run.rpartition("-")[0], who, encode(notes))


def question(run: str, seconds: float = WAIT_SECONDS) -> str:
    """The program that waits for work to end and says again what it said, if it was this run's.

    Nothing but what that run left on the host is an answer; where it left nothing, none is given.

    Args:
        seconds: how long it waits at most.
    """
    asking = shell.program("regfleet.touch", "question.sh")
    return f"mark={quote(run)}\nmost={seconds:.0f}\n{frame.around(run, asking)}"


def call(function: str, *arguments: str) -> str:
    """A shell command line, each argument quoted."""
    return " ".join([function, *map(quote, arguments)])


def encode(text: str) -> str:
    """A text as base64, as the shell functions take those of several lines."""
    return base64.b64encode(text.encode()).decode()
