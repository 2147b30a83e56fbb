"""How far a program is: what is heard of its output, and what is not."""

import pytest
import shells

from regfleet.shell.how_far import WORKS, Ear, HowFar, parse
from regfleet.touch.protocol import call, program

MARK = "run-1-7"


def ear():
    told = []
    return Ear(MARK, told.append), told


@pytest.mark.parametrize(
    ("line", "far"),
    [
        (b"@progress listing", HowFar("listing")),
        (b"@progress tags 3 7", HowFar("tags", 3, 7)),
        (b"@progress copying 3 7 1000 48000", HowFar("copying", 3, 7, 1000, 48000)),
        (b"@progress copying 3 7 1000 48000\r", HowFar("copying", 3, 7, 1000, 48000)),
        (b"@progress", None),
        (b"@progress ", None),
        (b"progress listing", None),
        (b"@progress formatting", None),
        (b"@progress listing listing", None),
        (b"@progress copying 3", None),
        (b"@progress copying 3 7 1000", None),
        (b"@progress copying 3 7 1000 48000 1", None),
        (b"@progress copying -3 7", None),
        (b"@progress copying 3 1e9", None),
        (b"@progress copying 3  7", None),
        (b"@progress copying 3 " + b"7" * 19, None),
        (b"@progress copying 3 \xd9\xa3", None),  # a digit, but none of ASCII
        (b"@progress copying \x1b[31m 7", None),
        (b"@progress " + b"copying " * 1000, None),
    ],
)
def test_lines(line, far):
    assert parse(line) == far


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_pieces_of_any_size(size):
    heard, told = ear()
    output = f"@progress tags 1 9\n@begin {MARK}\n@progress tags 2 9\nnoise\n@progress tags 3 9\n"
    whole = output.encode()
    for start in range(0, len(whole), size):
        heard.hear(whole[start : start + size])
    assert told[-1] == HowFar("tags", 3, 9)
    assert HowFar("tags", 1, 9) not in told, "that was before the program began"


def test_a_flood_costs_little():
    heard, told = ear()
    heard.hear(f"@begin {MARK}\n".encode())
    for _ in range(1000):
        heard.hear(b"x" * 32_768)  # a line without an end
    assert len(heard._rest) < 200
    heard.hear(b"\n" + b"@progress tags 2 9\n" * 10_000)
    assert told == [HowFar("tags", 2, 9)], "one for a piece"


@pytest.mark.parametrize("shell", shells.parameters())
def test_a_host_says_it_to_who_listens_alone(shell):
    lines = "\n".join(call("progress", each, "1", "2", "3", "4") for each in WORKS)
    said = shells.lines(shell, f"{program('docker')}\n{lines}\nheard=yes\n{lines}\n")
    assert [parse(each.encode()) for each in said] == [HowFar(each, 1, 2, 3, 4) for each in WORKS]
