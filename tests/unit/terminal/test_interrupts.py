"""Ctrl-C in a command that changes no host: it dies of the signal; a terminal shows its cursor.

Once the result of any command is known, Ctrl-C does nothing: the exit code is that of the result.
"""

import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

SCRIPT = """
import signal, sys
from regfleet.terminal import interrupts, streams
interrupts.die(sys.argv[1])
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


def ended(script, *words):
    process = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False
    )
    return process.returncode, process.stdout, process.stderr


# Also where whoever runs the tests ignores the signal.
ME = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
me = lambda: os.kill(os.getpid(), signal.SIGINT)
"""
FLEET = """
version = 1
name = "acme"
[registry.main]
hosts = ["127.0.0.9"]
endpoint = "registry.example.com:5000"
"""
RESULT = '{"ok": true}'


@pytest.mark.parametrize("document", ["", '{"ok": false}'])
def test_not_once_the_result_is_printed(document):
    script = f"""{ME}
from regfleet.terminal import interrupts, streams
interrupts.die(sys.argv[1])
streams.print_document('{RESULT}')
me()
"""
    assert ended(script, document) == (0, f"{RESULT}\n", "")


def test_no_run_is_interrupted_once_its_result_is_known():
    script = f"""{ME}
from types import SimpleNamespace
from regfleet.cli import runs
from regfleet.terminal import interrupts, streams
session = SimpleNamespace(stopped=True)
with runs._interruptible(session, print):
    interrupts.end()
    me()
"""
    assert ended(script) == (0, "", "")


@pytest.mark.parametrize("words", [["--version"], ["plan", "nothing.toml"], ["plan", "--nothing"]])
def test_no_exit_is_interrupted(words):
    script = f"{ME}import atexit; from regfleet.cli import main\natexit.register(me)\nmain()"
    code, out, errors = ended(script, *words)
    assert "Traceback" not in errors
    assert (code, bool(out)) == ((0, True) if words == ["--version"] else (2, False))


@pytest.mark.parametrize(("signals", "code"), [(1, 0), (2, -signal.SIGINT)])
def test_what_is_not_to_be_cut_in_two_is_ended_first(signals, code):
    script = f"""{ME}
from regfleet.terminal import interrupts, streams
interrupts.die("")
with interrupts.wait_for("the tag is being set"):
    for _ in range({signals}):
        me()
    print("it is set")
"""
    found, out, errors = ended(script)
    assert (found, out) == (code, "" if code else "it is set\n")
    assert errors == "interrupted: the tag is being set; again to leave it half done\n"


def test_what_was_ended_first_may_be_the_result():
    script = f"""{ME}
from regfleet.terminal import interrupts, streams
interrupts.die("")
with interrupts.wait_for("the tag is being set"):
    interrupts.end()
me()
me() if len(sys.argv) > 1 else None
print("noted")
"""
    assert ended(script) == (0, "noted\n", "")
    # Something hangs, for whoever presses it twice.
    assert ended(script, "again") == (-signal.SIGINT, "", "")


@pytest.mark.parametrize(
    ("module", "early"),
    [
        ("click", True),
        ("regfleet.cli.app", True),
        ("rich.console", False),
        ("regfleet.cli.runs", False),
    ],
)
def test_an_import_that_is_interrupted_prints_no_traceback(tmp_path, module, early):
    script = f"""{ME}
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            me()
sys.meta_path.insert(0, Finder())
from regfleet.__main__ import main
main()
"""
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    code, out, errors = ended(script, "plan", str(file), "--json")
    if early:
        assert (code, out, errors) == (-signal.SIGINT, "", "")
    else:
        assert (code, json.loads(out)["error"]["kind"]) == (1, "interrupted")
        assert errors.strip() == "error: interrupted before anything was changed"
