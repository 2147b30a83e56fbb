"""What Ctrl-C does: nothing once the result of a command is known, so that its exit code says that.

Until then it ends the process by the signal, or raises KeyboardInterrupt, as a command has it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from regfleet.terminal.cleaning import clean, escape_json

_SHOW_CURSOR = b"\x1b[?25h\n"  # DECTCEM (ECMA-48 private mode 25), and a line of its own


class _Process:
    """The state of this process.

    Attributes:
        ended: its result is known, so that Ctrl-C changes nothing any more.
        pressed: Ctrl-C came since then.
    """

    ended = False
    pressed = False


def begin() -> None:
    """Raise KeyboardInterrupt at Ctrl-C until `end`; not where the signal is ignored (nohup)."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupted)


def end() -> None:
    """Make Ctrl-C do nothing from here on: the result is known, and the rest takes moments."""
    _Process.ended = True
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, _interrupted)


def ended() -> bool:
    """Whether `end` was called: handlers of SIGINT do nothing then.

    At the second Ctrl-C the process ends: something hangs, such as who reads its output.
    """
    if _Process.ended and _Process.pressed:
        _die(signal.SIGINT)
    _Process.pressed = _Process.ended
    return _Process.ended


def _die(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _interrupted(number: int, frame: FrameType | None) -> None:
    if not ended():
        signal.default_int_handler(number, frame)


def die(document: str) -> None:
    """Make Ctrl-C end the process at once by that signal, as shells expect.

    Args:
        document: printed first; empty for none.
    """

    def interrupted(number: int, frame: FrameType | None) -> None:
        del frame
        if ended():
            return
        if document:
            os.write(1, f"{escape_json(document)}\n".encode())
        elif sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
            os.write(2, _SHOW_CURSOR)  # a panel has hidden it
        _die(number)

    at_once = document or sys.stderr.isatty()
    signal.signal(signal.SIGINT, interrupted if at_once else signal.SIG_DFL)


@contextmanager
def later() -> Iterator[None]:
    """Let Ctrl-C wait while modules are imported and patched; a second one does not.

    Raised there it would be lost in a callback of Python's own, or leave a module half imported,
    or half patched by gevent: then Python waits for a thread that never ends.
    """
    waiting = False

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal waiting
        if waiting:
            signal.default_int_handler(number, frame)
        waiting = True

    with _handled_by(interrupted):
        yield
    if waiting:
        raise KeyboardInterrupt


@contextmanager
def wait_for(what: str) -> Iterator[None]:
    """Let Ctrl-C wait for what takes moments and is not to be cut in two; a second one does not.

    Args:
        what: as in `the tag is being set`.
    """
    before = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: FrameType | None) -> None:
        del number, frame
        if ended():
            return
        words = clean(f"interrupted: {what}; again to leave it half done")
        os.write(2, f"{words}\n".encode())
        signal.signal(signal.SIGINT, before)

    with _handled_by(interrupted):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have a handler for Ctrl-C, if that is not ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if _Process.ended:  # by what was done meanwhile: before may be Python's default
            end()
