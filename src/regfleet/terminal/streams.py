"""Prints lines and documents and asks questions, without rich: quick to import."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

import click

from regfleet.terminal.cleaning import clean, clean_lines, escape_json

_SHOW_CURSOR = b"\x1b[?25h\n"  # DECTCEM (ECMA-48 private mode 25), and a line of its own
INDENT = "  | "  # before a log record's further lines, so that none looks like a record


class _Process:
    """The state of this process.

    Attributes:
        printed: it has printed its one document.
        ended: its result is known, so that Ctrl-C changes nothing any more.
        pressed: Ctrl-C came since then.
    """

    printed = False
    ended = False
    pressed = False


def out(text: str) -> None:
    """Print a text and a line end on standard output."""
    click.echo(clean_lines(text))


def say(text: str) -> None:
    """Print lines for people on standard error."""
    click.echo(clean_lines(text), err=True)


def say_beside(text: str, *, as_json: bool) -> None:
    """As `say`, but print nothing beside a document at a terminal."""
    if people_are_shown(as_json=as_json):
        say(text)


def people_are_shown(*, as_json: bool) -> bool:
    """Whether to print more than errors for people.

    Not with `--json` at a terminal: the user asked for the document, and both streams are often
    the same screen. A standard error that goes elsewhere is a log and gets the lines.
    """
    return not (as_json and is_terminal())


def is_terminal() -> bool:
    """Whether standard error is a terminal; FORCE_COLOR does not count, unlike in rich."""
    return sys.stderr.isatty()


def print_document(text: str) -> None:
    """Print the one document of `--json` on standard output.

    Letters of any script stay as they are; characters that act on a terminal are escaped.
    From here on Ctrl-C does nothing: the exit code is to be that of the document.
    """
    _Process.printed = True
    end_interrupts()
    click.echo(escape_json(text))


def document_printed() -> bool:
    """Whether `print_document` was called."""
    return _Process.printed


def ask(question: str) -> bool | None:
    """Ask a yes-or-no question at the terminal; None when the user pressed Ctrl-C or Ctrl-D."""
    try:
        return click.confirm(clean(question), err=True)
    except click.Abort:
        click.echo(err=True)  # end the question's line
        return None


def ask_secret(question: str) -> str | None:
    """Ask for a line at the terminal without showing it; None after Ctrl-C or Ctrl-D."""
    try:
        answer: str = click.prompt(clean(question), hide_input=True, err=True)
    except click.Abort:
        click.echo(err=True)
        return None
    return answer


def answers_can_be_had() -> bool:
    """Whether standard input is a terminal, so that a question can be answered."""
    return sys.stdin.isatty()


def end_interrupts() -> None:
    """Make Ctrl-C do nothing from here on: the result is known, and the rest takes moments."""
    _Process.ended = True
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, _interrupted)


def interrupts_ended() -> bool:
    """Whether `end_interrupts` was called: handlers of SIGINT do nothing then.

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
    if not interrupts_ended():
        signal.default_int_handler(number, frame)


def die_of_interrupt(document: str) -> None:
    """Make Ctrl-C end the process at once by that signal, as shells expect.

    Args:
        document: printed first, unless the process has printed one; empty for none.
    """

    def interrupted(number: int, frame: FrameType | None) -> None:
        del frame
        if interrupts_ended():
            return
        if document:
            os.write(1, f"{escape_json(document)}\n".encode())
        elif is_terminal() and os.environ.get("TERM") not in ("dumb", "unknown"):
            os.write(2, _SHOW_CURSOR)  # a panel has hidden it
        _die(number)

    at_once = document or is_terminal()
    signal.signal(signal.SIGINT, interrupted if at_once else signal.SIG_DFL)


@contextmanager
def interrupts_later() -> Iterator[None]:
    """Let Ctrl-C wait while modules are imported; a second one does not.

    Raised there it would be lost in a callback of Python's own, or leave a module half imported.
    """
    before, waiting = signal.getsignal(signal.SIGINT), False

    def interrupted(number: int, frame: FrameType | None) -> None:
        nonlocal waiting
        if waiting:
            signal.default_int_handler(number, frame)
        waiting = True

    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        raise KeyboardInterrupt


@contextmanager
def ended_first(what: str) -> Iterator[None]:
    """Let Ctrl-C wait for what takes moments and is not to be cut in two; a second one does not.

    Args:
        what: as in `the tag is being set`.
    """
    before = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: FrameType | None) -> None:
        del number, frame
        if interrupts_ended():
            return
        say_at_once(f"interrupted: {what}; again to leave it half done")
        signal.signal(signal.SIGINT, before)

    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if _Process.ended:  # by what was done meanwhile: before may be Python's default
            end_interrupts()


class _CleanFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        first, *more = super().format(record).split("\n")
        return "\n".join([clean(first), *(f"{INDENT}{clean(line)}" for line in more)])


def log() -> None:
    """Send Python's log, with pyinfra's and paramiko's records, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_CleanFormatter(logging.BASIC_FORMAT))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler])
    logging.getLogger("paramiko").setLevel(logging.INFO)


def guard() -> None:
    """Clean tracebacks before they are printed, for they may quote text from hosts.

    And let Ctrl-C do nothing once the result is known (`end_interrupts`).
    """
    sys.excepthook = _print_traceback
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupted)


def say_at_once(text: str) -> None:
    """Print a line from a signal handler, which may not wait for anything."""
    os.write(2, f"{clean(text)}\n".encode())


def _print_traceback(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    lines = "".join(traceback.format_exception(kind, error, where))
    say(lines.rstrip("\n"))


class FaultStream:
    """Prints gevent's reports of greenlets that raised: its `Hub.exception_stream`."""

    def write(self, text: str) -> int:
        """Print it, cleaned."""
        sys.stderr.write(clean_lines(text))
        return len(text)

    def flush(self) -> None:
        """Flush standard error."""
        sys.stderr.flush()
