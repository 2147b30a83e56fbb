"""What a touch or a job said. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from regfleet.shell.frame import framed

Result = Literal["changed", "unchanged", "rolled-back", "failed"]
_KEYS = ("failed", "hint", "note", "engine", "result", "outcome")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a touch or a job ended.

    Attributes:
        result: `changed`; `unchanged` when there was nothing to go back to; `rolled-back` when
            something went wrong and all was put back;
            `failed` when it went wrong before anything was changed, or could not be put back.
        error: what went wrong, empty when nothing did.
        hint: what to do about it.
        cut: whether the host did not say how it went: nobody knows, and it counts as failed.
        notes: what else the host had to say, such as a reload that needed a restart.
        results: what a job found: a key and its fields, in the order in which they came.
    """

    result: Result
    error: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()
    cut: bool = False
    results: tuple[tuple[str, ...], ...] = ()


def parse(lines: Iterable[str], mark: str) -> Outcome:
    """The outcome from the lines of a touch or a job.

    Work that ends without a word was cut off: it may or may not have been done, and that is what
    is said; the next run looks and goes on from there.

    Args:
        lines: what the command printed.
        mark: the work's own; what stands outside its frame is noise.
    """
    answer = framed(lines, mark)
    said: dict[str, list[str]] = {key: [] for key in _KEYS}
    stray = [line.strip() for line in answer.noise if not line.startswith("@")]
    for line in answer.lines:
        key, _, rest = line.removeprefix("@").partition(" ")
        if line.startswith("@") and key in said:
            said[key].append(rest if key == "result" else rest.rstrip())
        elif not line.startswith("@"):
            stray.append(line.strip())
    error = "; ".join(said["failed"])
    if said["engine"]:
        error += " -- the engine said: " + " | ".join(said["engine"])
    result = next((each for each in get_args(Result) if each in said["outcome"][-1:]), None)
    if result is None or not answer.ended:  # nothing, or a line that was cut off
        text = "; ".join([line for line in stray if line][-3:]) or "no output"
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
        results=tuple(tuple(line.split("\t")) for line in said["result"]),
    )
