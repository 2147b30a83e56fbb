"""The `regfleet` command: an error becomes a message, an exit code and, with `--json`, JSON."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from regfleet.cli.app import cli
from regfleet.errors import EXIT_FAILED, InterruptedCommandError, RegfleetError, UsageError
from regfleet.terminal import interrupts, streams


def main() -> None:
    """Run the command line and exit; only defects of regfleet show a traceback."""
    streams.guard()
    interrupts.begin()
    try:
        sys.exit(_run(sys.argv[1:]))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of the output is gone
        sys.exit(EXIT_FAILED)
    finally:
        # Not `interrupts.end`: Python takes handlers that are functions away before its own end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(arguments: Sequence[str]) -> int:
    as_json = asks_for_json(arguments)
    try:
        code = cli.main(list(arguments), prog_name="regfleet", standalone_mode=False)
    except RegfleetError as error:
        _show(error, as_json=as_json)
        return error.exit_code
    except click.ClickException as usage:
        _show_usage(usage, as_json=as_json)
        return usage.exit_code
    except (click.Abort, KeyboardInterrupt):  # the second: in click, before or behind a command
        interrupted = InterruptedCommandError("interrupted before anything was changed")
        _show(interrupted, as_json=as_json)
        return interrupted.exit_code
    except Exception as fault:  # a defect of regfleet: Python prints its traceback
        if as_json:
            _print_document(RegfleetError(f"a defect of regfleet: {type(fault).__name__}: {fault}"))
        raise
    return code if isinstance(code, int) else 0


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether `--json` is on a command line; it may be one that click cannot parse."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    return "--json" in words[:end]


def _show(error: RegfleetError, *, as_json: bool) -> None:
    interrupts.end()
    # Imported here: most runs have no error, and completion has to be quick.
    show_text = import_module("regfleet.report.lines").show_text
    console = import_module("regfleet.terminal.console").people(stderr=True)
    show_text(console, f"{error.label}{error}")
    if as_json:
        _print_document(error)


def _show_usage(error: click.ClickException, *, as_json: bool) -> None:
    """Print click's own message; it may quote the command line and file names."""
    interrupts.end()
    said = io.StringIO()
    error.show(said)
    streams.say(said.getvalue().rstrip("\n"))
    if as_json:
        usage = UsageError(error.format_message(), "regfleet --help names commands and options")
        _print_document(usage)


def _print_document(error: RegfleetError) -> None:
    if not streams.document_printed():
        streams.print_document(import_module("regfleet.report.error_json").error_document(error))
