"""Progress as it is shown: a panel at a terminal, lines elsewhere, nothing beside JSON."""

import io
import os
import pty
import re
import sys

import gevent
import pytest
from rich.console import Console

from regfleet.cli import watch
from regfleet.cli.watch import Lines, Panel, Silent, watching
from regfleet.run.progress import Stage

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"


QUICKLY = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(watch, "REFRESH_SECONDS", 0.001)
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.001)


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)


@QUICKLY
def test_a_panel_is_drawn_anew_and_leaves_one_line(console):
    stage = Stage("changing a, b", ["a", "b"])
    with Panel(console).during(stage):
        stage.begin("a", "changing")
        gevent.sleep(0.05)
        stage.end("a", "done")
        gevent.sleep(0.05)
        drawn = console.file.getvalue()
    assert "1 waiting, 1 changing" in drawn
    assert "1 waiting, 1 done" in drawn
    rest = console.file.getvalue().removeprefix(drawn)
    assert re.search(r"changing a, b: 1 waiting, 1 done, \d+ s$", rest.splitlines()[-1])
    assert rest.count(SHOWN) == console.file.getvalue().count(HIDDEN) == 1


@QUICKLY
def test_what_is_said_meanwhile_stands_above_the_panel(console):
    panel, stage = Panel(console), Stage("changing a", ["a"])
    with panel.during(stage):
        before = console.file.getvalue()
        panel.say("interrupted: [the] hosts")
        assert console.file.getvalue() == before, "a signal handler must not draw"
        gevent.sleep(0.05)
        assert "interrupted: [the] hosts\n" in console.file.getvalue()
        panel.say("at the last moment")
    assert "at the last moment\n" in console.file.getvalue()


def test_between_stages_it_is_said_at_once(console):
    Panel(console).say("a line")
    assert console.file.getvalue() == "a line\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@QUICKLY
def test_the_cursor_comes_back_whatever_happens(console, error):
    def interrupted():
        with Panel(console).during(Stage("changing a", ["a"])):
            raise error

    with pytest.raises(error):
        interrupted()
    assert console.file.getvalue().rindex(SHOWN) > console.file.getvalue().rindex(HIDDEN)
    assert "changing a: 1 waiting" in console.file.getvalue().splitlines()[-1]


@QUICKLY
def test_nothing_is_drawn_afterwards(console):
    with Panel(console).during(Stage("changing a", ["a"])):
        pass
    after = console.file.getvalue()
    gevent.sleep(0.02)
    assert console.file.getvalue() == after


def test_lines_are_calm(capsys):
    stage = Stage("changing a, b", ["a", "b"], "3 hosts before")
    with Lines().during(stage):
        for name in ("a", "b"):
            stage.begin(name, "changing")
            stage.end(name, "done")
    assert capsys.readouterr().err == "changing a, b (3 hosts before)\n"


@QUICKLY
def test_lines_say_who_is_waited_for(capsys):
    stage = Stage("changing a", ["a"])
    with Lines().during(stage):
        stage.begin("a", "changing")
        gevent.sleep(0.05)
    first, still, *_ = capsys.readouterr().err.splitlines()
    assert first == "changing a"
    assert re.fullmatch(r"still changing a after \d+ s: 1 changing", still)
    gevent.sleep(0.02)
    assert capsys.readouterr().err == "", "not when it is over"


def test_each_host_where_that_is_asked_for(capsys):
    stage = Stage("changing a, b", ["a", "b"])
    with Lines(every=True).during(stage):
        stage.begin("a", "changing")
        stage.end("a", "changed")
        stage.begin("b", "changing")
        stage.end("b", "failed")
        stage.begin("a", "smoke-testing")
        stage.end("a", "done")
    assert capsys.readouterr().err.splitlines() == ["changing a, b", "b: failed", "a: done"]


def test_nothing_beside_json(capsys):
    silent = watching(quiet=True, verbose=0)
    with silent.during(Stage("changing a", ["a"])):
        assert capsys.readouterr() == ("", "")
        silent.say("interrupted")
    assert capsys.readouterr() == ("", "interrupted\n")


@pytest.mark.parametrize(
    ("environment", "verbose", "kind"),
    [
        ({}, 0, Panel),
        ({"NO_COLOR": "1"}, 0, Panel),
        ({}, 1, Panel),
        ({}, 2, Lines),
        ({"TERM": "dumb"}, 0, Lines),
    ],
)
def test_at_a_terminal(monkeypatch, environment, verbose, kind):
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    outer, inner = pty.openpty()
    with os.fdopen(inner, "w") as stream, os.fdopen(outer):
        monkeypatch.setattr(sys, "stderr", stream)
        assert type(watching(quiet=False, verbose=verbose)) is kind
        assert type(watching(quiet=True, verbose=verbose)) is Silent


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}])
def test_into_a_pipe(monkeypatch, environment):
    """FORCE_COLOR asks for colours, not for a cursor that moves."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert type(watching(quiet=False, verbose=0)) is Lines
