"""The shell programs: clean, portable, and nothing of them runs before all has arrived."""

import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial
from importlib.resources import files
from pathlib import Path
from shlex import quote

import pytest
import shells

from regfleet.doctor import program as doctor
from regfleet.engines import ENGINES
from regfleet.jobs.recovery import Recovery
from regfleet.jobs.render import render as render_job
from regfleet.jobs.rollback import Rollback
from regfleet.look import request
from regfleet.smoke import render as smoke
from regfleet.touch import protocol as touch

WORDS = sorted({engine.shell for engine in ENGINES.values()})
ENGINE_FILES = files("regfleet.engines")
PROGRAMS = {
    f"{stage}-{word}": partial(program, word)
    for stage, program in (
        ("look", request.program),
        ("touch", touch.program),
        ("smoke", smoke.program),
        ("doctor", doctor.program),
    )
    for word in WORDS
    if stage != "doctor" or (ENGINE_FILES / f"{word}.doctor.sh").is_file()
}
PROGRAMS |= {
    f"job-{job.name}": partial(render_job, job, "run-1-1", "somebody", WORDS)
    for job in (Recovery(), Rollback())
}
CHECKERS = {
    "shellcheck": ["shellcheck", "-s", "sh", "-e", "SC2154", "-"],
    "dash": ["dash", "-n"],
    "bash": ["bash", "--posix", "-n"],
    "busybox": ["busybox", "sh", "-n"],
}
EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("checker", CHECKERS)
def test_clean(program, checker):
    command, *options = CHECKERS[checker]
    beside = shutil.which(command, path=Path(sys.executable).parent)
    found = shutil.which(command) or beside
    if not found:
        pytest.skip(f"{command} is not installed")
    done = subprocess.run(
        [found, *options], input=PROGRAMS[program](), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("program", [*PROGRAMS, "look-data"])
def test_no_function_takes_the_place_of_another(program):
    """A program is several files, and the last one of a name would be called by all."""
    made = PROGRAMS[program]() if program in PROGRAMS else request.program("docker", data=True)
    ours = made.replace(quote(files("regfleet.shell").joinpath("home.sh").read_text()), "''")
    names = re.findall(r"^(\w+)\(\) *[{(]", ours, re.MULTILINE)
    assert [name for name, times in Counter(names).items() if times > 1] == []


# ---- cut off ----


def touch_program(folder):
    """The touch as it is rendered, with a place of its own and a step that leaves a mark."""
    program = touch.program("docker").replace(
        "\nBASE=/var/lib/regfleet\n", f"\nBASE={folder}/base\n"
    )
    assert "/var/lib/regfleet\n" not in program
    return f"{program}\nplan() {{\n  step mkdir {folder}/mark\n}}\ntouch_host </dev/null\n"


def smoke_program(folder):
    return f"{smoke.program('docker')}\nsmoke() {{\n  mkdir {folder}/mark\n}}\nsmoke </dev/null\n"


def look_program(folder):
    return f"{request.program('docker')}\nlook() {{\n  mkdir {folder}/mark\n}}\nlook </dev/null\n"


def doctor_program(folder):
    text = doctor.program("docker")
    return f"{text}\ndoctor() {{\n  mkdir {folder}/mark\n}}\ndoctor </dev/null\n"


WHOLE = {
    "touch_host": touch_program,
    "smoke": smoke_program,
    "look": look_program,
    "doctor": doctor_program,
}


def offsets(size, tail=90, samples=40):
    """Every place near the end, and some before: the same in every run."""
    chosen = random.Random(size)  # noqa: S311 - not for secrets
    return sorted({*range(size - tail, size), *chosen.sample(range(size - tail), samples)})


@EVERY_SHELL
@pytest.mark.parametrize("name", WHOLE)
def test_a_program_that_was_cut_off_does_nothing(shell, name, tmp_path):
    program = WHOLE[name](tmp_path)
    called = program.rindex(f"{name} </dev/null")
    for size in offsets(called + len(name)):
        done = shells.run(shell, program[:size])
        assert not (tmp_path / "mark").exists(), f"cut at {size} of {len(program)}"
        assert b"@" not in done.stdout
    shells.run(shell, program)
    assert (tmp_path / "mark").is_dir()
