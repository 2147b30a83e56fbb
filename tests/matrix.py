"""The engines that a run has proven on hosts: collected over all workers, printed at the end."""

import pytest

from workers import is_worker

_ROWS = pytest.StashKey[set]()


def pytest_configure(config):
    config.stash[_ROWS] = set()


@pytest.fixture(scope="session")
def proven(pytestconfig):
    """`proven(engine, version, host, what)` adds a row to the matrix."""

    def note(*row):
        pytestconfig.stash[_ROWS].add(tuple(row))

    return note


def pytest_sessionfinish(session):
    if is_worker(session.config):
        session.config.workeroutput["matrix"] = sorted(map(list, session.config.stash[_ROWS]))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    rows = getattr(node, "workeroutput", {}).get("matrix", [])
    node.config.stash[_ROWS].update(map(tuple, rows))


def pytest_terminal_summary(terminalreporter, config):
    rows = sorted(config.stash[_ROWS])
    if not rows:
        return
    terminalreporter.section("engines: proven on real hosts")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())
