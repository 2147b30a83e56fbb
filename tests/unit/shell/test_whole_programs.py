"""Whole programs, as hosts get them: no file of theirs uses a variable that none of them sets.

Each file alone is checked by `make lint`, where the variables of the others have to be allowed.
"""

import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from regfleet import shell
from regfleet.doctor import program as doctor
from regfleet.engines import ENGINES
from regfleet.jobs.audit import Audit
from regfleet.jobs.collection import Collection
from regfleet.jobs.rollback import Rollback
from regfleet.look import guesses, request
from regfleet.replication import now
from regfleet.services import KINDS
from regfleet.smoke import render as smoke
from regfleet.touch import protocol

WORDS = tuple(dict.fromkeys(engine.shell for engine in ENGINES.values()))
LOOK = request.program(*WORDS, kinds=tuple(KINDS), data=True, timers=True, python=True)
EXAMINED = [
    word for word in WORDS if files("regfleet.engines").joinpath(f"{word}.doctor.sh").is_file()
]
JOBS = "\n".join(
    [
        shell.text("regfleet.jobs", "recovery.sh"),
        shell.text("regfleet.jobs", "scheduled.sh"),
        *(job.functions() for job in (Rollback(), Collection(()), Audit(()))),
    ]
)
PROGRAMS = {
    "look": LOOK,
    **{f"guesses {kind}": guesses.program(kind) for kind in KINDS},
    "touch": f"{protocol.program(*WORDS)}\n{JOBS}",
    "doctor": f"{doctor.program(*EXAMINED, services=tuple(KINDS))}\n{LOOK}",
    "replicate": now.program(),
    **{f"smoke by {word}": smoke.program(word) for word in WORDS},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_variable_is_set_somewhere(name, tmp_path):
    found = Path(sys.executable).with_name("shellcheck")
    checker = found if found.exists() else shutil.which("shellcheck")
    if not checker:
        pytest.skip("shellcheck is not installed")
    program = tmp_path / "program.sh"
    program.write_text(re.sub(r"^# shellcheck .*$", "", PROGRAMS[name], flags=re.MULTILINE))
    done = subprocess.run(
        [checker, "--shell=sh", "--include=SC2154", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
