"""One command and its answer: text from bytes, and bounds that hold on this machine too."""

import subprocess
import sys

import pytest

from regfleet.errors import HostError
from regfleet.ssh import exchange


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"a\r\nb\x0bc\n", ["a\r", "b\x0bc"]),
        ("ä€😀\n".encode(), ["ä€😀"]),
        (b"\xffa\n", ["\ufffda"]),
        (b"a\xff\n", ["a\ufffd"]),
        # Cut by bytes: half a character at the end of a line goes, also where more lines follow.
        ("€".encode()[:2] + b"\nb\n", ["", "b"]),
        ("x😀".encode()[:3], ["x"]),
        ("\ufffd\n".encode(), ["\ufffd"]),
    ],
)
def test_bytes_become_lines_of_text(content, lines):
    assert exchange._lines(content) == lines


def test_a_command_here_gets_its_input_and_says_all():
    text = ["a" * 300_000, "\n", "end\n"]
    assert exchange.here("cat; echo complaint >&2", text) == ["a" * 300_000, "end", "complaint"]


def test_it_is_heard_while_it_runs(tmp_path):
    heard, place = [], tmp_path / "heard"
    # It ends only after what it said was heard: the listener makes the file that it waits for.
    said = exchange.here(
        f"echo begun; until [ -e {place} ]; do sleep 0.01; done; echo ended",
        [],
        lambda piece: (heard.append(piece), place.touch()),
    )
    assert said == ["begun", "ended"]
    assert heard[0] == b"begun\n"


def test_a_command_that_reads_nothing_says_what_it_says():
    assert exchange.here("echo said", ["x" * 3_000_000]) == ["said"]


def test_input_that_cannot_be_read_is_an_error():
    def broken():
        yield "a"
        raise FileNotFoundError(2, "gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        exchange.here("cat", broken())


def test_more_than_an_answer_may_be_is_refused():
    with pytest.raises(exchange.TooMuchError):
        exchange.here("yes", [])


SLEEPS = """
from gevent import monkey
monkey.patch_all()
from regfleet.errors import HostError
from regfleet.ssh.exchange import here, within
try:
    with within(0.2, HostError("a", "too late")):
        here({command!r}, ["x" * 3_000_000])
except HostError as error:
    print(error.message)
"""


@pytest.mark.parametrize(
    "command", ["sleep 30", "exec >&-; sleep 30", "cat >/dev/null; sleep 30; echo"]
)
def test_a_deadline_is_over_all_of_it(command):
    done = subprocess.run(
        [sys.executable, "-c", SLEEPS.format(command=command)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("too late\n", "")


def test_another_deadline_is_left_to_its_owner():
    with (
        pytest.raises(HostError, match="outer"),
        exchange.within(0.05, HostError("a", "outer")),
        exchange.within(30, HostError("a", "inner")),
    ):
        exchange.here("sleep 30", [])
