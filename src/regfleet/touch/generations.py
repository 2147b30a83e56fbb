"""The generations that a host keeps: what each change replaced, and what it was. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from regfleet import record
from regfleet.errors import HostError
from regfleet.model.resource import Kind, Resource, from_note
from regfleet.shell.frame import framed, stray

_PAIR = 2


@dataclass(frozen=True, slots=True)
class Generation:
    """What a host was before one change.

    Attributes:
        number: the host's own.
        fleet: whose change it was.
        when: UTC, `2026-01-31T12:00:00Z`; empty where that is not known.
        run, id: the run's number and id; 0 and empty where the touch noted none, as those of
            before there were numbers.
        who: who made the change, on which machine; empty as above.
        changes: action and resource of each, as planned.
        present: files that come back as they were; `absent`: files that go again.
        services: names of those that were replaced, removed or made.
    """

    number: int
    fleet: str = ""
    when: str = ""
    run: int = 0
    id: str = ""
    who: str = ""
    changes: tuple[tuple[str, Resource], ...] = ()
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Generations:
    """All that a host keeps, the newest first; `pending` is that of a change that was cut off."""

    kept: tuple[Generation, ...] = ()
    pending: int = 0


def parse(host: str, lines: Iterable[str], mark: str) -> Generations:
    """What `generations.sh` printed.

    Raises:
        HostError: it did not come to its end.
    """
    answer = framed(lines, mark)
    if not answer.ended:
        said = stray(answer)
        raise HostError(
            host,
            f"what was kept of earlier changes could not be read ({said or 'no output'})",
            "run it again; if it stays so, log in by hand and see whether a shell command works",
        )
    found: dict[int, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    pending = 0
    for line in answer.lines:
        key, _, rest = line.rstrip("\n").removeprefix("@").partition(" ")
        if key == "generation" and rest.isdecimal():
            current = found.setdefault(int(rest), {})
        elif key == "pending":
            pending = int(rest) if rest.isdecimal() else 0
        else:
            current.setdefault(key, []).append(rest)
    kept = [_generation(number, found[number]) for number in sorted(found, reverse=True)]
    return Generations(tuple(kept), pending)


def _generation(number: int, said: dict[str, list[str]]) -> Generation:
    run, mark, when, who = (*said.get("run", ()), "", "", "", "")[:4]
    return Generation(
        number,
        (said.get("fleet") or [""])[0],
        when or _moment((said.get("saved") or [""])[0]),
        int(run) if run.isdecimal() else 0,
        mark,
        who,
        tuple(
            (action, from_note(resource))
            for action, _, resource in (line.partition(" ") for line in said.get("changes", ()))
            if resource
        ),
        _theirs(said.get("present", ())),
        _theirs(said.get("absent", ())),
        # A line of version 0.1 has the container's name alone.
        tuple(
            line.partition("\t")[0]
            for line in (*said.get("containers", ()), *said.get("services", ()))
        ),
    )


def _theirs(paths: Iterable[str]) -> tuple[str, ...]:
    """The files that are not regfleet's own notes."""
    return tuple(path for path in paths if not path.startswith(f"{record.DIRECTORY}/"))


def _moment(seconds: str) -> str:
    if not seconds.isdecimal() or len(seconds) > 11:  # noqa: PLR2004 - the year 5138
        return ""
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def comes_back(generations: Iterable[Generation]) -> tuple[tuple[str, Resource], ...]:
    """What going back over generations does: `+` comes back, `-` goes, `~` is as it was.

    Args:
        generations: the newest first; the oldest of them decides.

    Returns:
        Sign and resource, the oldest's first. What a way back does not reach is `=`: it stays.
    """
    found: dict[Resource, str] = {}
    for generation in generations:
        one = dict(_of_one(generation))
        found = one | {resource: sign for resource, sign in found.items() if resource not in one}
    return tuple((sign, resource) for resource, sign in found.items())


_BACK = {"create": "-", "update": "~", "delete": "+"}
# Packages stay installed, what was deleted is gone.
_STAYS: tuple[Kind, ...] = ("package", "image", "data")


def _of_one(generation: Generation) -> list[tuple[Resource, str]]:
    """Resource and sign."""
    if not generation.changes:  # of before there were notes
        return [
            *((Resource("file", path), "~") for path in generation.present),
            *((Resource("file", path), "-") for path in generation.absent),
            *((Resource("container", name), "~") for name in generation.services),
        ]
    return [
        (resource, "=" if resource.kind in _STAYS else _BACK[action])
        for action, resource in generation.changes
        if action in _BACK
    ]
