"""What fault injection tried and what survived: counted over all workers, printed in the end."""

import json
import os
from pathlib import Path

import pytest

from workers import is_worker

_COUNTS = pytest.StashKey[dict]()


def pytest_configure(config):
    config.stash[_COUNTS] = {}


@pytest.fixture(scope="session")
def tally(pytestconfig):
    """`tally(fault, tried, survived)` keeps a count; all are printed at the end of the run.

    REGFLEET_TALLY names a file that gets them as JSON.
    """

    def note(fault, tried, survived):
        _add(pytestconfig, {fault: (tried, survived)})

    return note


def _add(config, counts):
    kept = config.stash[_COUNTS]
    for fault, (tried, survived) in counts.items():
        before = kept.get(fault, (0, 0))
        kept[fault] = (before[0] + tried, before[1] + survived)


def pytest_sessionfinish(session):
    if is_worker(session.config):
        session.config.workeroutput["tally"] = session.config.stash[_COUNTS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    _add(node.config, getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_terminal_summary(terminalreporter, config):
    counts = dict(sorted(config.stash[_COUNTS].items()))
    if not counts:
        return
    terminalreporter.section("faults: survived of tried")
    for fault, (tried, survived) in counts.items():
        terminalreporter.write_line(f"{survived:5} of {tried:<5} {fault}")
    if path := os.environ.get("REGFLEET_TALLY"):
        rows = {fault: {"tried": t, "survived": s} for fault, (t, s) in counts.items()}
        Path(path).write_text(json.dumps(rows, indent=2) + "\n")
