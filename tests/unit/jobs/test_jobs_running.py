"""How a job went: said at once, said when asked again, or not known."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from regfleet.errors import HostError, UnreachableError
from regfleet.jobs.backup import Place
from regfleet.jobs.interface import MOST_ANSWERS, MOST_CHARACTERS, Job
from regfleet.jobs.running import Ended, read, run
from regfleet.jobs.verification import Verification
from regfleet.touch.outcome import Outcome, parse

MARK = "run-1-7"
LOST = HostError("web1", "the connection broke: EOF", "run it again")


def whole(*lines):
    return [f"@begin {MARK}", *lines, f"@end {MARK}"]


class Way:
    """A host's answers, an error among them."""

    def __init__(self, said, again=None):
        self.said, self.again, self.asked = said, again, []

    def run(self, name, program, seconds, _heard=None):
        self.asked.append(("run", name, program, seconds))
        return self._give(self.said)

    def ask_again(self, name, program, seconds):
        self.asked.append(("ask", name, program, seconds))
        return self._give(self.again)

    def _give(self, said):
        if isinstance(said, Exception):
            raise said
        return said


def outcome(way, seconds=1800):
    return run(way, "web1", MARK, "program", seconds=seconds, how_to_look="regfleet plan f.toml")


def test_what_a_host_says_is_not_asked_for_again():
    way = Way(whole("@outcome changed"))
    assert outcome(way) == Outcome("changed")
    assert way.asked == [("run", "web1", "program", 1800)]


@pytest.mark.parametrize("said", [LOST, [], whole("@outcome changed")[:-1]])
def test_a_lost_connection_is_asked_about(said):
    way = Way(said, whole("@result size\t7", "@outcome changed"))
    ended = outcome(way, 9000)
    assert (ended.result, ended.results) == ("changed", (("size", "7"),))
    assert "it was asked again for the outcome" in ended.notes[0]
    assert "\nmost=4500\n" in way.asked[1][2]
    assert way.asked[1][3] == 9000


@pytest.mark.parametrize("again", [LOST, [], whole("@failed the host has no record of this run")])
def test_nothing_is_claimed_that_nobody_knows(again):
    ended = outcome(Way(LOST, again))
    assert (ended.result, ended.cut) == ("failed", True)
    assert ended.error.startswith("it is unknown whether the host was changed: ")
    assert "regfleet plan f.toml" in ended.hint


def test_where_nothing_was_sent_nothing_is_asked():
    way = Way(UnreachableError("web1", "no SSH connection", ""))
    with pytest.raises(UnreachableError):
        outcome(way)
    assert len(way.asked) == 1


@dataclass(frozen=True, slots=True)
class Sizes(Job[dict[str, int]]):
    """Answers with a size by name."""

    name: ClassVar[str] = "count"

    def steps(self):
        return ()

    def read(self, answers):
        return {each.fields[0]: each.number(1) for each in answers if each.key == "size"}


def ended(*lines):
    return read(Sizes(), parse(whole(*lines), MARK))


def test_an_answer_becomes_a_value():
    found = ended(
        "@result size\ta b\t7", "@result other", "@result size\t\t1", "@outcome unchanged"
    )
    assert found.value == {"a b": 7, "": 1}
    assert found.outcome.result == "unchanged"


@pytest.mark.parametrize(
    "lines",
    [
        ["@result size\ta\tmany"],
        ["@result size\ta"],
        ["@result size"],
        ["@result size\ta\t1"] * (MOST_ANSWERS + 1),
        ["@result size\t" + "x" * MOST_CHARACTERS + "\t1"],
    ],
)
def test_what_cannot_be_understood_is_no_success(lines):
    found = ended(*lines, "@outcome changed")
    assert found.value is None
    assert found.outcome.result == "failed"
    assert "the host's answer to the count cannot be parsed" in found.outcome.error
    assert found.outcome.results == ()


def test_an_answer_of_too_few_fields_is_no_success():
    job = Verification((Place("/mnt/backups", False, "acme", "main"),))
    said = ["@result verified\tmain\t1\t1\t1\t1", "@result bad\tmain\tsha256:1", "@outcome changed"]
    found = read(job, parse(whole(*said), MARK))
    assert (found.value, found.outcome.result) == (None, "failed")


@pytest.mark.parametrize("said", ["@outcome failed", "@outcome rolled-back"])
def test_of_a_job_that_failed_no_answer_is_read(said):
    found = ended("@result size\ta\tmany", "@failed why", said)
    assert found == Ended(found.outcome, None)
    assert found.outcome.error == "why"
