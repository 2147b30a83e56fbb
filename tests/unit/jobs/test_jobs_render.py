"""A job as a program: the calls that it makes, on a host as in every shell."""

import base64
import shlex
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

import pytest
import shells

from regfleet.jobs.audit import Audit
from regfleet.jobs.backup import BackupJob
from regfleet.jobs.collection import Collection
from regfleet.jobs.interface import Answer, Job
from regfleet.jobs.recovery import Recovery
from regfleet.jobs.render import render
from regfleet.jobs.restore import RestoreJob
from regfleet.jobs.rollback import Rollback
from regfleet.jobs.running import read
from regfleet.jobs.verification import Verification
from regfleet.touch.outcome import parse

EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
BEGIN = [["begin", "run-1-7", "me"], ["noted", "3", "run-1", "me", ""], ["recover"]]


def calls(program):
    lines = program.split("\nplan() {\n", 1)[1].removesuffix("\n}\ntouch_host </dev/null\n")
    return [shlex.split(line)[1:] for line in lines.splitlines()]


@pytest.mark.parametrize(
    ("job", "steps"),
    [
        (Recovery(), []),
        (Rollback(), [["go_back", "0", "0"]]),
        (Rollback(3, 5), [["go_back", "3", "5"]]),
    ],
)
def test_every_job_puts_back_first_what_was_cut_off(job, steps):
    assert calls(render(job, "run-1-7", "me", ["docker"], number=3)) == [*BEGIN, *steps]


@pytest.mark.parametrize("job", [Recovery(), Rollback()])
def test_the_functions_of_a_job_are_in_its_program(job):
    program = render(job, "run-1-7", "me", ["docker"])
    for name, *_ in calls(program):
        assert f"\n{name}() {{" in program


def test_every_shell_file_belongs_to_a_job():
    jobs = (Recovery, Rollback, Collection, Audit, BackupJob, RestoreJob, Verification)
    named = {name for job in jobs for name in job.files}
    named |= {"recovery.sh", "scheduled.sh", "collection_end.sh", "backup_list.sh"}
    there = {file.name for file in files("regfleet.jobs").iterdir() if file.name.endswith(".sh")}
    assert there == named


@dataclass(frozen=True, slots=True)
class Echo(Job[list[tuple[str, ...]]]):
    """Answers with its arguments, and fails where it is to."""

    words: tuple[str, ...] = ()
    fails: bool = False

    name: ClassVar[str] = "echo"

    def functions(self):
        return (
            'echo_words() { undo_with echo_undone; changed=1; result words "$@"; }\n'
            "echo_undone() { result undone; }\n"
        )

    def steps(self):
        return [("echo_words", *self.words), *[("fail", "as asked")][: self.fails]]

    def read(self, answers):
        return [(each.key, *each.fields) for each in answers]


def run(shell, job, folder):
    program = render(job, "run-1-7", "me", ["docker"])
    for name, place in (("BASE", "/var/lib/regfleet"), ("RUNS", "/run/regfleet")):
        assert f"\n{name}={place}\n" in program
        program = program.replace(f"\n{name}={place}\n", f"\n{name}={folder / name}\n")
    program = program.replace("\nplan() {", "\ndocker() { return 127; }\nplan() {", 1)
    said = shells.run(shell, program).stdout.decode().splitlines()
    return read(job, parse(said, "run-1-7"))


@EVERY_SHELL
def test_a_jobs_answers_come_as_they_are(shell, tmp_path):
    words = ("a b", "", "  c", "$HOME `x` \\n", "ä")
    ended = run(shell, Echo(words), tmp_path)
    assert ended.outcome.result == "changed"
    assert ended.value == [("words", *words)]


@EVERY_SHELL
def test_no_answer_forges_another_line(shell, tmp_path):
    ended = run(shell, Echo(("a\n@outcome failed\tb\r",)), tmp_path)
    assert ended.value == [("words", "a @outcome failed b ")]


@EVERY_SHELL
def test_a_job_that_fails_takes_back_what_it_did_and_answers_nothing(shell, tmp_path):
    ended = run(shell, Echo(("x",), fails=True), tmp_path)
    assert ended.outcome.result == "rolled-back"
    assert ended.outcome.error == "as asked"
    assert ended.outcome.results == (("words", "x"), ("undone",))
    assert ended.value is None
    assert not (tmp_path / "BASE").exists()


@pytest.mark.parametrize(
    ("fields", "index", "expected"),
    [
        (("12",), 0, 12),
        (("0", "007"), 1, 7),
        ((), 0, "no field 1"),
        (("-1",), 0, "not a number"),
        (("\u0661",), 0, "not a number"),
        (("9" * 5000,), 0, "not a number"),
        ((str(1 << 64),), 0, "not a number"),
        ((str((1 << 63) + 1),), 0, "above"),
    ],
)
def test_a_number_is_one(fields, index, expected):
    answer = Answer("size", fields)
    if isinstance(expected, int):
        assert answer.number(index) == expected
    else:
        with pytest.raises(ValueError, match=expected):
            answer.number(index)


def test_words_for_the_generation_say_of_which_run_it_is():
    (_, noted, _) = calls(render(Recovery(), "run-ab-2", "me@x", [], number=9))
    assert noted == ["noted", "9", "run-ab", "me@x", base64.b64encode(b"").decode()]
