"""Ctrl-C in a command that changes no host: it dies of the signal; a terminal shows its cursor."""

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

SCRIPT = """
import signal, sys
from regfleet.terminal import streams
streams.die_of_interrupt(sys.argv[1])
print("ready", flush=True)
signal.pause()
"""
SHOWN = b"\x1b[?25h"


@pytest.mark.parametrize(
    ("term", "document", "shown"),
    [("xterm", "", True), ("dumb", "", False), ("xterm", '{"ok": false}', False)],
)
def test_at_a_terminal(term, document, shown):
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, document],
        stdout=subprocess.PIPE,
        stderr=inner,
        env={**os.environ, "TERM": term},
    )
    os.close(inner)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    seen = b""
    with suppress(OSError):  # nobody has the other side open any more
        seen = os.read(outer, 1000)
    os.close(outer)
    assert (SHOWN in seen) is shown
    assert said.decode().strip() == document
