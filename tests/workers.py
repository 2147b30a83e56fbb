"""How the files of a run are spread over workers; see conftest.py for what a test may rely on."""

import fcntl
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

HEAD_START = 2.0  # seconds for those who want to be alone
SOAK = "REGFLEET_SOAK" in os.environ
_DIRECTORY = pytest.StashKey[TemporaryDirectory]()
_SOMEBODY_ALONE = pytest.StashKey[bool]()
_STARTED = pytest.StashKey[bool]()


def is_worker(config):
    """Whether this process was started for a part of the tests; pytest itself is none."""
    return hasattr(config, "workerinput")


def shared_directory(config):
    """A directory that this run's processes share; it goes with the run."""
    return Path(
        config.workerinput["shared_directory"]
        if is_worker(config)
        else config.stash[_DIRECTORY].name
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: no other test runs at the same time")
    config.addinivalue_line("markers", "long: the file takes minutes and is begun early")
    config.addinivalue_line("markers", "soak: takes long, or repeats another: in `make soak` alone")
    if not is_worker(config):
        config.stash[_DIRECTORY] = TemporaryDirectory(prefix="regfleet-tests-")
        return
    # A run in the background ignores these, and so would the commands that tests interrupt
    # (POSIX, Shell Command Language: asynchronous lists; nohup(1)).
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    if not is_worker(config):
        config.stash[_DIRECTORY].cleanup()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["shared_directory"] = str(shared_directory(node.config))


def pytest_collection_modifyitems(config, items):
    """Long files come first: short ones fill the gaps, and workers end together.

    Where there are no workers, pytest's own order stays.
    """
    if not is_worker(config):
        return
    turns = {}
    for item in items:
        turns[item.path] = min(_turn(item), turns.get(item.path, _turn(item)))
    items.sort(key=lambda item: turns[item.path])
    config.stash[_SOMEBODY_ALONE] = 0 in turns.values()


def _turn(item):
    if item.get_closest_marker("alone"):
        return 0
    if item.get_closest_marker("long"):
        return 1
    return 2 if "engine" in item.fixturenames else 3


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.get_closest_marker("soak") and not SOAK:
        pytest.skip("in `make soak`")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """A test with its fixtures, the hosts that it boots included, has a place to run in."""
    config = item.config
    if not config.stash.get(_SOMEBODY_ALONE, False):
        return (yield)
    alone = item.get_closest_marker("alone") is not None
    if not alone and not config.stash.get(_STARTED, False):
        time.sleep(HEAD_START)
    config.stash[_STARTED] = True
    with _place(shared_directory(config), alone=alone):
        return (yield)


@contextmanager
def _place(directory, *, alone):
    """A place that is shared with others, or all places.

    Whoever waits to be alone stands in the door, so that nobody else comes in before. The locks
    of a process end with it, however it ends (flock(2)).
    """
    with (directory / "door").open("w") as door, (directory / "room").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
