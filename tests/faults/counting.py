"""A job of tests alone: counts files of a directory on a host and keeps their number there.

Run as a program it does the job over SSH, as a command of regfleet's would:
`counting.py FLEET-FILE HOST DIRECTORY [STEP...]`.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from regfleet.jobs.interface import Job

SHELL = Path(__file__).with_suffix(".sh")


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted: sizes by name, and how many."""

    sizes: dict[str, int]
    total: int


@dataclass(frozen=True, slots=True)
class Count(Job[Counted]):
    """Counts the text files of a directory; `more` are steps before its last."""

    directory: str
    more: tuple[tuple[str, ...], ...] = ()

    name: ClassVar[str] = "count"

    def functions(self):
        return SHELL.read_text()

    def steps(self):
        own = [(f"count_{step}", self.directory) for step in ("close", "files", "keep")]
        return [*own, *self.more, ("count_open",)]

    def read(self, answers):
        sizes = {each.fields[0]: each.number(1) for each in answers if each.key == "file"}
        (total,) = (each.number() for each in answers if each.key == "total")
        return Counted(sizes, total)


def main(file, name, directory, *more):
    # What they import has to be patched first, as the command line does it.
    # ruff: noqa: PLC0415
    from regfleet.desired.resolve import emptied
    from regfleet.fleet.load import load
    from regfleet.materials import Materials
    from regfleet.run.work import Work
    from regfleet.ssh.session import Session

    fleet = load(Path(file))
    session = Session(fleet, [name])
    work = Work(fleet, emptied(fleet, delete_data=False), Materials({}, ""), session)
    steps = tuple(tuple(step.split()) for step in more)
    try:
        results = dict(session.each(lambda host: work.do(host, Count(directory, steps)), [name]))
    finally:
        session.close()
    ended = results[name]
    outcome = ended.outcome
    said = {
        "result": outcome.result,
        "error": outcome.error,
        "notes": outcome.notes,
        "cut": outcome.cut,
        "sizes": ended.value and ended.value.sizes,
    }
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    main(*sys.argv[1:])
