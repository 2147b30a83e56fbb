"""What a touch said. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Result = Literal["changed", "unchanged", "rolled-back", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a touch ended.

    Attributes:
        result: `changed`; `unchanged` when there was nothing to go back to; `rolled-back` when
            something went wrong and all was put back;
            `failed` when it went wrong before anything was changed, or could not be put back.
        error: what went wrong, empty when nothing did.
        hint: what to do about it.
        cut: whether the connection ended before the host said how it went.
        notes: what else the host had to say, such as a reload that needed a restart.
    """

    result: Result
    error: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()
    cut: bool = False


def parse(lines: Iterable[str]) -> Outcome:
    """The outcome from the touch's lines.

    A touch that ends without a word was cut off: it may or may not have done its work, and says
    so; the next run looks and goes on from there.
    """
    said: dict[str, list[str]] = {"failed": [], "hint": [], "note": [], "engine": [], "outcome": []}
    stray: list[str] = []
    for line in lines:
        key, _, rest = line.removeprefix("@").partition(" ")
        if line.startswith("@") and key in said:
            said[key].append(rest.rstrip())
        elif line.strip() and not line.startswith("@"):
            stray.append(line.strip())
    error = "; ".join(said["failed"])
    if said["engine"]:
        error += " -- the engine said: " + " | ".join(said["engine"])
    result = next((each for each in get_args(Result) if each in said["outcome"][-1:]), None)
    if result is None:  # nothing, or a line that was cut off
        text = "; ".join(stray[-3:]) or "no output"
        return Outcome(
            "failed",
            error or f"the connection ended before the host said how it went ({text})",
            "run it again: it looks first and does only what is left to do",
            tuple(said["note"]),
            cut=True,
        )
    return Outcome(
        result,
        error,
        (said["hint"] or [""])[0],
        tuple(said["note"]),
    )
