"""What goes through rich, and through the log, is cleaned; what rich adds is not."""

import io
import subprocess
import sys

import pytest
from rich.live import Live
from rich.table import Table
from rich.text import Text

from regfleet.report import tables
from regfleet.report.lines import show, show_text, show_whole
from regfleet.terminal import streams
from regfleet.terminal.console import beside_document, people

EVIL = "26.1\x1b]0;owned\x07\x1b[2J\x9b1A\u202e[bold]\n:smile: all is well\u2028\r"


@pytest.fixture
def terminal(monkeypatch):
    """A console at a terminal that keeps what was printed; `file` as of rich."""
    monkeypatch.setenv("TERM", "xterm")
    console = people()
    console.file = io.StringIO()
    console._force_terminal = True
    console._color_system = None
    console.is_interactive = True
    return console


def as_table(console):
    table = Table(box=None)
    table.add_column("version")
    table.add_row(Text(EVIL))
    tables.show(console, table)


def as_live(console):
    with Live(Text(EVIL), console=console, auto_refresh=False, transient=True) as live:
        live.refresh()


@pytest.mark.parametrize(
    "way",
    [
        lambda console: show(console, Text(EVIL, "bold"), EVIL),
        lambda console: show(console, EVIL, Text(EVIL), words=False),
        lambda console: show_text(console, EVIL),
        lambda console: show_whole(console, EVIL),
        lambda console: console.print(EVIL),
        lambda console: console.print(Text(EVIL)),
        lambda console: console.out(EVIL),
        as_table,
        as_live,
    ],
)
def test_every_way_to_print_is_clean(terminal, way):
    way(terminal)
    said = terminal.file.getvalue()
    assert "26.1" in said
    assert "[b" in said, "hosts' brackets are no markup"
    assert ":smi" in said
    for own in ("\x1b[?25l", "\x1b[?25h", "\x1b[1A", "\x1b[2K", "\x1b[1m", "\x1b[0m", "\r\x1b[2K"):
        said = said.replace(own, "")
    assert not set(said.replace("\r\n", "\n")) & set("\x1b\x07\x9b\u202e\u2028"), said


def test_a_line_stays_one_line(terminal):
    show(terminal, "engine ", "26.1\nAll is well.")
    assert terminal.file.getvalue() == "engine 26.1 All is well.\n"


def test_the_log_is_clean_and_no_line_of_a_host_looks_like_a_record():
    program = (
        "import logging\n"
        "from regfleet.terminal import streams\n"
        "streams.log()\n"
        f"logging.getLogger('pyinfra').info('said: %s', {EVIL!r} + '\\nERROR:root:well')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stderr
    assert done.stderr.startswith("INFO:pyinfra:said: 26.1")
    assert f"\n{streams.INDENT}ERROR:root:well\n" in done.stderr


def test_a_traceback_is_clean():
    program = (
        f"from regfleet.terminal import streams\nstreams.guard()\nraise ValueError({EVIL!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ValueError: 26.1" in done.stderr
    assert "owned" in done.stderr
    assert "\x1b]" not in done.stderr.replace(repr(EVIL), "")


def test_plain_streams_are_clean(capsys):
    streams.say(EVIL)
    streams.out(EVIL)
    streams.FaultStream().write(EVIL)
    said = "".join(capsys.readouterr())
    assert said.count("26.1") == 3
    assert not set(said) & set("\x1b\x07\x9b\u202e\u2028\r")


@pytest.mark.parametrize(
    ("as_json", "terminal", "told"),
    [(False, True, True), (False, False, True), (True, False, True), (True, True, False)],
)
def test_people_are_told_nothing_beside_json_at_a_terminal(monkeypatch, as_json, terminal, told):
    err = io.StringIO()
    err.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", err)
    console = beside_document(as_json=as_json)
    assert console.stderr is as_json
    streams.say_beside("looking", as_json=as_json)
    assert bool(err.getvalue()) is told
    assert console.quiet is not told
