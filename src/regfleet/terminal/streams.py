"""Prints lines and documents and asks questions, without rich: quick to import."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from types import TracebackType

import click

from regfleet.terminal import interrupts
from regfleet.terminal.cleaning import clean, clean_lines, escape_json

INDENT = "  | "  # before a log record's further lines, so that none looks like a record


class _Printed:
    """Records whether this process has printed its one document."""

    document = False


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
    _Printed.document = True
    interrupts.end()
    click.echo(escape_json(text))


def document_printed() -> bool:
    """Whether `print_document` was called."""
    return _Printed.document


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
    """Clean tracebacks before they are printed: they may quote text from hosts."""
    sys.excepthook = _print_traceback


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
