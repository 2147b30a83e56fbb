"""The log of promotions: a line of JSON each, which names the digest of the line before it.

So a line that is changed, taken out or put in breaks the chain. A log whose last lines were cut off
shows no break: whoever wants to know of that keeps the newest digest elsewhere.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone

from regfleet import state_paths
from regfleet.fleet.values import Json
from regfleet.state import StateDirectory

MOST_KEPT = 20  # images before that of a tag, as the schema has it
_LONGEST_TAG = 128
FIRST = "0" * 64  # what the first line names
ACTIONS = ("promoted", "demoted", "approved", "refused")


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of a promotion.

    Attributes:
        name: `min_age`, `approve`, or the check's command.
        said: what was found: an age, who approved, the end of the command's output.
    """

    name: str
    passed: bool
    said: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done once.

    Attributes:
        number: counts from 1.
        action: one of `ACTIONS`.
        source, target: REGISTRY/REPOSITORY, by the names of the fleet file.
        digest: of the image.
        replaced: the digest that the tag had at the target before; empty for none.
    """

    number: int
    when: str
    who: str
    action: str
    stage: str
    source: str
    target: str
    tag: str
    digest: str
    replaced: str = ""
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """A log.

    Attributes:
        entries: the oldest first, as far as they can be read.
        broken: where the chain does not hold, and why; empty when it holds.
        head: the digest of the last line.
    """

    entries: tuple[Entry, ...] = ()
    broken: str = ""
    head: str = FIRST
    lines: tuple[str, ...] = field(default=(), repr=False)


def rollback_tag(tag: str, number: int) -> str:
    """The tag under which an earlier image of a tag stays. Pure."""
    end = f".rollback-{number}"
    if len(tag) + len(end) > _LONGEST_TAG:  # two long ones must not have the same one
        end = f"-{hashlib.sha256(tag.encode()).hexdigest()[:8]}{end}"
    return f"{tag[: _LONGEST_TAG - len(end)]}{end}"


def parse(text: str) -> Log:
    """A log from its text. Pure."""
    before, broken = FIRST, ""
    entries: list[Entry] = []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
            named = found.pop("before")
            gates = tuple(Gate(**gate) for gate in found.pop("gates"))
            entry = Entry(gates=gates, **found)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            broken = broken or f"line {number} cannot be read"
            before = _digest(line)
            continue
        if named != before:
            broken = broken or f"line {number} does not follow the line before it"
        elif entry.number != number:
            broken = broken or f"line {number} has the number {entry.number}"
        entries.append(entry)
        before = _digest(line)
    return Log(tuple(entries), broken, before, tuple(lines))


def render(entry: Entry, before: str) -> str:
    """The line of an entry. Pure.

    Args:
        before: the digest of the line before it.
    """
    found: dict[str, Json] = {**asdict(entry), "before": before}
    return json.dumps(found, ensure_ascii=True, separators=(",", ":"))


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def read(state: StateDirectory) -> Log:
    """The log in a state directory."""
    return parse(state.read_text(state_paths.PROMOTIONS) or "")


def add(state: StateDirectory, values: Mapping[str, str], gates: Sequence[Gate] = ()) -> Entry:
    """Add an entry; the caller holds the state directory's lock.

    Args:
        values: of `Entry`, without number, time and person.
    """
    log = read(state)
    entry = Entry(
        number=len(log.lines) + 1,
        when=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        who=f"{user()}@{socket.gethostname()}",
        gates=tuple(gates),
        **values,
    )
    lines = [*log.lines, render(entry, log.head)]
    state.write_text(state_paths.PROMOTIONS, "".join(f"{line}\n" for line in lines))
    return entry


def user() -> str:
    """The account that runs regfleet, as this machine knows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def last_digest(log: Log, target: str, tag: str) -> str:
    """The digest that a tag has by the log; empty where that tells of none. Pure.

    Args:
        target: as of `Entry`.
    """
    found = (
        entry.digest
        for entry in reversed(log.entries)
        if (entry.target, entry.tag) == (target, tag) and entry.action in ("promoted", "demoted")
    )
    return next(found, "")


def approvers(log: Log, stage: str, digest: str) -> tuple[str, ...]:
    """The accounts that have approved an image for a stage. Pure."""
    found = (
        entry.who.rpartition("@")[0]
        for entry in log.entries
        if (entry.action, entry.stage, entry.digest) == ("approved", stage, digest)
    )
    return tuple(dict.fromkeys(found))
