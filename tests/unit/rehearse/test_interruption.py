"""A rehearsal that is interrupted: what was begun is ended, and once."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
from gevent.monkey import patch_all
patch_all()
import os, signal, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from regfleet.cli.rehearse import interruptible
from regfleet.errors import RegfleetError

def me(name):
    os.kill(os.getpid(), getattr(signal, name))

try:
    with interruptible() as closing:
        try:
            {work}
        finally:
            closing()
            {closing}
            print("taken down")
    print("went on")
except RegfleetError as error:
    print(error.message)
"""
WAIT = "time.sleep(30)"
ENDED = "taken down\nthe rehearsal was interrupted; nothing of it is left\n"
CHILD = "['sh', '-c', 'kill -s $1 $PPID; exec sleep 30', '-', name.removeprefix('SIG')]"


def run(work, closing="pass", ignored=()):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(work=work, closing=closing)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: [signal.signal(each, signal.SIG_IGN) for each in ignored],
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    "work",
    [
        f"me(name); {WAIT}",
        f"ThreadPoolExecutor(2).submit(me, name); {WAIT}",
        f"subprocess.run({CHILD})",
    ],
    ids=["main", "worker", "child"],
)
def test_it_is_taken_down(name, work):
    done = run(f"name = {name!r}; {work}")
    assert (done.stdout, done.returncode) == (ENDED, 0), done.stderr
    assert done.stderr == "interrupted: the twin is taken down\n"


def test_who_is_impatient_is_told_to_wait():
    done = run(f"me('SIGINT'); {WAIT}", "me('SIGINT'); time.sleep(0.1)")
    assert done.stdout == ENDED
    assert done.stderr.count("\n") == 2
    assert "is being taken down: this takes a few seconds" in done.stderr


def test_what_ends_by_itself_is_taken_down_to_the_end():
    done = run("pass", "me('SIGINT'); time.sleep(0.1)")
    assert done.stdout == "taken down\nwent on\n"
    assert "being taken down" in done.stderr


def test_nohup_is_heeded():
    done = run("me('SIGHUP'); time.sleep(0.1)", ignored=[signal.SIGHUP])
    assert (done.stdout, done.stderr) == ("taken down\nwent on\n", "")


def test_an_error_that_an_interrupt_brought_about_is_the_interrupt():
    done = run("me('SIGINT'); raise RegfleetError('docker exec failed')")
    assert done.stdout == ENDED
