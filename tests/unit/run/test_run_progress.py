"""The state of a run, told step by step, and what it looks like at each."""

import io
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from regfleet.errors import HostError
from regfleet.run.progress import Progress, Stage, behind, duration, wave_title, words_of
from regfleet.shell.how_far import WORKS, HowFar


class Clock:
    """Goes as it is told."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def lines(stage, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for lead, body in stage.panel():
        console.print(lead, body, sep="", soft_wrap=True)
    return console.file.getvalue().splitlines()


def test_a_wave_from_beginning_to_end(clock):
    stage = Stage("wave 1 of 2: changing a, b, c", ["a", "b", "c"], clock=clock)
    assert lines(stage) == ["wave 1 of 2: changing a, b, c  0 s", "  3 waiting"]
    stage.begin("a", "changing")
    stage.begin("b", "changing")
    clock.now += 2
    assert lines(stage)[1:] == ["  1 waiting, 2 changing"]
    stage.end("b", "changed")
    stage.begin("c", "changing")
    stage.step("a", "sending registry.tar")
    clock.now += 70
    assert lines(stage) == [
        "wave 1 of 2: changing a, b, c  1:12",
        "  2 changing, 1 changed",
        "  longest: a changing for 1:12 (sending registry.tar)",
    ]
    stage.end("a", "failed")
    stage.begin("b", "smoke-testing")
    clock.now += 5
    stage.end("c", "changed")
    assert lines(stage)[1:] == [
        "  1 changed, 1 smoke-testing, 1 failed",
        "  longest: b smoke-testing for 5 s",
        "  failed: a",
    ]
    stage.end("b", "done")
    stage.aside = "asking the registry main"
    stage.begin("c", "smoke-testing")
    assert lines(stage)[2] == "  asking the registry main"
    stage.end("c", "done")
    stage.aside = ""
    assert stage.result().plain == "wave 1 of 2: changing a, b, c: 2 done, 1 failed, 1:17"
    assert stage.seconds == {"a": 72.0, "b": 7.0, "c": 75.0}


def test_a_step_ends_with_what_it_was_part_of(clock):
    stage = Stage("x", ["a"], clock=clock)
    stage.begin("a", "changing")
    stage.step("a", "sending registry.tar")
    stage.end("a", "changed")
    stage.begin("a", "smoke-testing")
    clock.now += 9
    assert stage.longest == "a smoke-testing for 9 s"
    stage.step("nobody", "not of this stage")


def test_many_failed_hosts_are_counted():
    names = [f"web{number * number}" for number in range(100)]
    stage = Stage("x", names)
    for name in names:
        stage.begin(name, "changing")
        stage.end(name, "failed")
    assert lines(stage)[-1].startswith("  failed: web0, web1, ")
    counts = [int(word) for word in lines(stage)[-1].split() if word.isdigit()]
    assert len(counts) == 1
    assert counts[0] + lines(stage)[-1].count("web") == 100


def test_one_line_for_the_patient(clock):
    stage = Stage("changing a, b", ["a", "b"], clock=clock)
    stage.begin("a", "changing")
    clock.now += 60
    assert stage.still() == (
        "still changing a, b after 1:00: 1 waiting, 1 changing; longest: a changing for 1:00"
    )


STEPS = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(["begin", "changed", "done", "failed"]))
)


@given(STEPS)
def test_every_host_is_counted_once(steps):
    stage = Stage("x", "abcde")
    for name, step in steps:
        if step == "begin":
            stage.begin(name, "looking")
        else:
            stage.end(name, step)
        states = ("waiting", "looking", "changed", "done", "failed")
        assert sum(map(stage.count, states)) == 5


def test_work_is_seen_and_its_result_judged():
    told = []
    stage = Stage("x", ["good", "bad", "broken"])
    stage.ended = lambda name, verdict: told.append((name, verdict))

    def work(name):
        assert stage.count("looking") == 1
        if name == "broken":
            raise HostError(name, "it broke")
        return name.upper()

    one = stage.watched(work, "looking", lambda name, result: (
        "failed" if (name, result) == ("bad", "BAD") else "done"))  # fmt: skip
    assert one("good") == "GOOD"
    assert one("bad") == "BAD"
    with pytest.raises(HostError):
        one("broken")
    assert told == [("good", "done"), ("bad", "failed"), ("broken", "failed")]
    assert (stage.count("done"), stage.count("failed"), stage.count("looking")) == (1, 2, 0)


def test_a_host_that_is_to_be_tested_yet_has_not_ended():
    told = []
    stage = Stage("x", ["a"])
    stage.ended = lambda name, verdict: told.append((name, verdict))
    stage.begin("a", "changing")
    stage.end("a", "changed")
    assert told == []


class Shown:
    """Notes what it is shown."""

    def __init__(self):
        self.noted = []

    @contextmanager
    def during(self, stage):
        self.noted.append(f"begin {stage.title}")
        try:
            yield
        finally:
            self.noted.append(f"end {stage.title}")


def test_steps_go_to_the_stage_at_work(clock):
    shown = Shown()
    progress = Progress(shown)
    progress.step("a", "nowhere to go")
    with progress.during(Stage("one", ["a"], clock=clock)) as stage:
        stage.begin("a", "changing")
        progress.step("a", "sending x")
        clock.now += 4
        assert stage.longest.endswith("(sending x)")
    clock.now += 100  # somebody thinks about a question

    def fail():
        with progress.during(Stage("two", ["a"], clock=clock)):
            clock.now += 1
            raise HostError("a", "it broke")

    with pytest.raises(HostError):
        fail()
    assert progress.stage is None
    assert progress.seconds == 5
    assert shown.noted == ["begin one", "end one", "begin two", "end two"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (102, "1:42"), (3723, "1:02:03")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "of", "names", "said"),
    [
        (1, 1, ["a"], "changing a"),
        (1, 3, ["a"], "wave 1 of 3: changing a"),
        (2, 3, ["a", "b"], "wave 2 of 3: changing a, b"),
        (3, 3, [f"w{n}" for n in range(20)], "wave 3 of 3: changing w[0:19] (20 hosts)"),
    ],
)
def test_titles_of_waves(number, of, names, said):
    assert wave_title(number, of, names) == said


@pytest.mark.parametrize(
    ("count", "failed", "said"),
    [(0, 0, ""), (1, 0, "1 host before"), (20, 3, "20 hosts before, 3 failed")],
)
def test_what_is_behind(count, failed, said):
    assert behind(count, failed) == said
    opening = Stage("x", ["a"], behind(count, failed)).opening
    assert opening == (f"x ({said})" if said else "x")


@pytest.mark.parametrize(
    ("far", "said"),
    [
        (HowFar("listing"), "looking at what is there"),
        (HowFar("listing", 1, 2, 3, 4), "looking at what is there"),
        (HowFar("reading", 3, 7), "3 of 7 blobs read"),
        (HowFar("tags", 3, 7, 1_200_000), "3 of 7 tags compared and copied, 1.2 MB"),
        (
            HowFar("copying", 120, 1530, 1_200_000_000, 48_200_000_000),
            "120 of 1530 blobs copied, 1.2 GB of 48.2 GB",
        ),
    ],
)
def test_how_far_a_host_is(far, said):
    assert words_of(far) == said


def test_all_that_a_host_may_say_has_words():
    assert all(words_of(HowFar(each)) for each in WORKS)


def test_a_panel_shows_what_several_hosts_say(clock):
    names = list("abcdefgh")
    stage = Stage("backing up on 8 hosts", names, clock=clock)
    progress = Progress(Shown())
    with progress.during(stage):
        for name in names:
            stage.begin(name, "changing")
        for name in names[:-1]:
            progress.heard(name, HowFar("reading", 3, 7))
        clock.now += 4
        assert lines(stage)[2:] == [
            "  longest: a changing for 4 s (3 of 7 blobs read)",
            *(f"  {name}: 3 of 7 blobs read" for name in "bcde"),
        ]
        assert stage.still().endswith("longest: a changing for 4 s (3 of 7 blobs read)")
