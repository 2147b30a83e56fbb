"""Faults on real hosts: commands that are interfered with while they run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def begin():
    """`begin("apply", path, "--yes", hook=...)` starts the command line; gives the process.

    Its output is read by `communicate`. What still runs when the test ends is killed.
    """
    running = []

    def start(*arguments, hook="", stdin=subprocess.DEVNULL, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "regfleet", *map(str, arguments)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "src"),
                "REGFLEET_TOUCH_HOOK": hook,
                **environment,
            },
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
