"""What a touch said, and what is made of a touch that said nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.touch.outcome import Outcome, parse

MARK = "run-1-7"
AGAIN = "run it again: it looks first and does only what is left to do"


def whole(*lines):
    return ("", f"@begin {MARK}", *lines, f"@end {MARK}")


def cut_off(said, *notes):
    error = f"the connection ended before the host said how it went ({said})"
    return Outcome("failed", error, AGAIN, notes, cut=True)


SAID = {
    "done": (["@generation 3", "@outcome changed", "@exit 0"], Outcome("changed")),
    "nothing to go back to": (["@outcome unchanged"], Outcome("unchanged")),
    "with a note": (
        ["@note the engine is restarted", "@outcome changed"],
        Outcome("changed", notes=("the engine is restarted",)),
    ),
    "taken back": (
        ["@failed the port 5000 is taken", "@hint stop what listens", "@outcome rolled-back"],
        Outcome("rolled-back", "the port 5000 is taken", "stop what listens"),
    ),
    "with the engine's words": (
        ["@failed no answer", "@engine level=fatal a", "@engine failed b", "@outcome rolled-back"],
        Outcome("rolled-back", "no answer -- the engine said: level=fatal a | failed b"),
    ),
    "could not be put back": (
        ["@failed a", "@failed putting things back did not succeed: b", "@outcome failed"],
        Outcome("failed", "a; putting things back did not succeed: b"),
    ),
    "stray output": (
        ["warning: x", "", "@outcome changed", "@unknown y"], Outcome("changed"),
    ),
    "nothing": (
        [], cut_off("no output"),
    ),
    "no word of the end": (
        ["@generation 1", "@note n", "Killed", "@exit 137"],
        cut_off("Killed", "n"),
    ),
    "failed, and no word of the end": (
        ["@failed the disk is full"], Outcome("failed", "the disk is full", AGAIN, cut=True),
    ),
    "many stray lines": (
        ["a", "b", "c", "d"],
        cut_off("b; c; d"),
    ),
    "cut off within the end": (
        ["@generation 1", "@outcome chan"],
        cut_off("no output"),
    ),
    "failed without at": (
        ["failed x", "@outcome changed"], Outcome("changed"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_outcomes(name):
    lines, expected = SAID[name]
    assert parse(whole(*lines), MARK) == expected


@given(st.lists(st.text("@ afhilnoteducm", max_size=15)))
def test_only_what_says_so_is_done(lines):
    done = "@outcome changed" in lines
    assert parse(whole(*lines), MARK).result == "failed" or done


NOISE = ("@failed the motd", "@outcome changed", "hello", "@end run-1-1")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (NOISE, cut_off("hello")),
        ((*NOISE, f"@begin {MARK}", "@outcome rolled-back"), cut_off("hello")),
        ((*NOISE, *whole("@outcome rolled-back"), *NOISE), Outcome("rolled-back")),
        ((f"\033]0;root@web1\007@begin {MARK}", "@outcome changed", f"@end {MARK}"), None),
        (("@begin run-1-2", "@outcome changed", "@end run-1-2"), cut_off("no output")),
        (("@outcome changed",), cut_off("no output")),
    ],
)
def test_what_stands_outside_the_frame_is_noise(lines, expected):
    """A greeting, a terminal title without a newline, another touch's answer."""
    found = parse(lines, MARK)
    assert found == expected if expected else found.cut


def test_an_answer_that_lacks_its_end_is_asked_for_again():
    assert parse(whole("@outcome changed")[:-1], MARK).cut
