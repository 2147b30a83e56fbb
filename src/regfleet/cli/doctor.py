"""`regfleet doctor`: what is wrong, what it means, what to type."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click
from rich.console import Console

from regfleet.cli.inspect import reading
from regfleet.doctor.causes import explain as causes_of
from regfleet.doctor.diagnose import diagnose
from regfleet.doctor.examine import examine
from regfleet.doctor.finding import of_registry
from regfleet.errors import EXIT_FAILED, EXIT_OK, RegfleetError, UsageError
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.report import doctor_json, doctor_text
from regfleet.run.selection import select
from regfleet.state import StateDirectory

PIPED = "-"  # the error text comes on standard input
_MOST_TEXT = 1024 * 1024  # of it


def doctor(
    *,
    file: Path | None,
    explain: str | None,
    limit: tuple[str, ...],
    exclude: tuple[str, ...],
    parallel: int | None,
    state_dir: Path | None,
    as_json: bool,
    verbose: int,
) -> int:
    """Examine a fleet, or explain an error text."""
    console = Console(stderr=as_json, highlight=False)
    if explain is not None or file is None:
        return _explain(explain, file, console, as_json=as_json)
    fleet = load(file)
    names = select(fleet, limit, exclude)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    with reading(fleet, parallel, verbose) as session:
        click.echo(f"examining {len(names)} host{'' if len(names) == 1 else 's'}", err=True)
        case = examine(fleet, state, session, names)
    found = diagnose(case, shlex.quote(str(file)))
    doctor_text.render(found, console, verbose=bool(verbose))
    if as_json:
        click.echo(doctor_json.document(found))
    return EXIT_OK if found.ok else EXIT_FAILED


def _explain(given: str | None, file: Path | None, console: Console, *, as_json: bool) -> int:
    text = _piped(given) if given in (None, PIPED) else str(given)
    if not text.strip():
        raise UsageError(
            "there is nothing to examine or to explain",
            "name the fleet file, or give an error text: --explain 'TEXT', or piped: "
            "`docker pull NAME 2>&1 | regfleet doctor`",
        )
    found = causes_of(text)
    path = shlex.quote(str(file or "fleet.toml"))
    values = {"file": path, "limit": "", "service": "docker"}
    fleet = _fleet(file)
    if fleet is not None and found:
        endpoint = found[0].values.get("endpoint")
        named = (each.name for each in fleet.registries.values() if each.endpoint == endpoint)
        values |= of_registry(fleet, next(named, ""))
    if as_json:
        click.echo(doctor_json.explanation(found, values))
    if found:
        doctor_text.explanation(found, values, console)
        return EXIT_OK
    console.print(
        "None of the known failures has these words. Examine the fleet itself: "
        f"`regfleet doctor {path}`",
        soft_wrap=True,
    )
    return EXIT_FAILED


def _fleet(file: Path | None) -> Fleet | None:
    """The fleet, for the names of its registries alone: without it they stand in capitals."""
    if file is None:
        return None
    try:
        return load(file)
    except RegfleetError:
        return None


def _piped(given: str | None) -> str:
    if sys.stdin.isatty():
        if given is None:
            return ""
        click.echo("paste the error, then Ctrl-D:", err=True)
    return sys.stdin.buffer.read(_MOST_TEXT).decode(errors="replace")
