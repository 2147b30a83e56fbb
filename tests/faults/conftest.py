"""Faults on real hosts. The fixtures that boot hosts are those of tests/fleet."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _of_the_fleet_tests():
    # Neither directory is a package, and pytest takes plugins from the top directory alone.
    place = ROOT / "tests/fleet/conftest.py"
    spec = importlib.util.spec_from_file_location("fleet_fixtures", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_fleet = _of_the_fleet_tests()
engine = _fleet.engine
images = _fleet.images
host_image = _fleet.host_image
seeds = _fleet.seeds
boot = _fleet.boot
boot_for_module = _fleet.boot_for_module
write_fleet = _fleet.write_fleet
regfleet = _fleet.regfleet
counted = _fleet.counted
ssh = _fleet.ssh


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


@pytest.fixture(scope="session")
def tally():
    """`tally(fault, tried, survived)` keeps a count; all are printed at the end of the run.

    REGFLEET_TALLY names a file that gets them as JSON.
    """
    counts = {}

    def note(fault, tried, survived):
        before = counts.get(fault, (0, 0))
        counts[fault] = (before[0] + tried, before[1] + survived)

    yield note
    _TALLIES.update(counts)
    if path := os.environ.get("REGFLEET_TALLY"):
        rows = {fault: {"tried": t, "survived": s} for fault, (t, s) in counts.items()}
        Path(path).write_text(json.dumps(rows, indent=2) + "\n")


_TALLIES = {}


def pytest_terminal_summary(terminalreporter):
    if _TALLIES:
        terminalreporter.section("faults: survived of tried")
        for fault, (tried, survived) in _TALLIES.items():
            terminalreporter.write_line(f"{survived:5} of {tried:<5} {fault}")
