"""`regfleet doctor`: find faults, say what they mean and which commands fix them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from rich.console import Console

from regfleet.cli.inspect import reading
from regfleet.cli.options import USUAL_FILE
from regfleet.doctor.causes import explain as causes_of
from regfleet.doctor.diagnose import diagnose
from regfleet.doctor.examine import examine
from regfleet.doctor.finding import of_registry
from regfleet.engines import REGISTRY_ENGINE
from regfleet.errors import EXIT_FAILED, EXIT_OK, RegfleetError, UsageError
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.fleet.selection import select
from regfleet.model.names import counted
from regfleet.report import doctor_json, doctor_text
from regfleet.report.lines import show_text, show_whole
from regfleet.state import StateDirectory
from regfleet.terminal import streams
from regfleet.terminal.console import beside_document

PIPED = "-"  # read the error text from standard input
_NOTHING = "there is nothing to examine or to explain"
_WHAT_TO_GIVE = (
    f"name the fleet file (there is no {USUAL_FILE} here), or give an error text: "
    "--explain 'TEXT', or piped: `docker pull NAME 2>&1 | regfleet doctor`"
)
_MOST_TEXT = 1024 * 1024  # bytes of an error text


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
    console = beside_document(as_json=as_json)
    if explain is None and file is None:
        explain = _piped_text()
        file = None if explain else USUAL_FILE
    if explain is not None or file is None:
        return _explain(explain, file, console, as_json=as_json)
    fleet = load(file)
    names = select(fleet, limit, exclude)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    with reading(fleet, parallel, verbose, as_json=as_json) as session:
        streams.say_beside(f"examining {counted(len(names))}", as_json=as_json)
        case = examine(fleet, state, session, names)
    found = diagnose(case, shlex.quote(str(file)))
    doctor_text.render(found, console, verbose=bool(verbose))
    if as_json:
        streams.print_document(doctor_json.document(found))
    return EXIT_OK if found.ok else EXIT_FAILED


def _explain(given: str | None, file: Path | None, console: Console, *, as_json: bool) -> int:
    text = _piped(given) if given == PIPED else str(given)
    if not text.strip():
        raise UsageError(_NOTHING, _WHAT_TO_GIVE)
    found = causes_of(text)
    path = shlex.quote(str(file or "fleet.toml"))
    values = {"file": path, "limit": "", "service": REGISTRY_ENGINE}
    fleet = _fleet(file)
    if fleet is not None and found:
        endpoint = found[0].values.get("endpoint")
        named = (each.name for each in fleet.registries.values() if each.endpoint == endpoint)
        values |= of_registry(fleet, next(named, ""))
    if as_json:
        streams.print_document(doctor_json.explanation(found, values))
    if found:
        doctor_text.explanation(found, values, console)
        return EXIT_OK
    show_text(console, "This text matches no known failure. Examine the fleet itself:")
    show_whole(console, f"  regfleet doctor {path}")
    return EXIT_FAILED


def _piped_text() -> str | None:
    """The text piped in if neither a file nor a text is given; None if there is none.

    Raises:
        UsageError: there is neither such a text nor a ./fleet.toml.
    """
    text = "" if streams.answers_can_be_had() else _piped(None)
    if not text.strip() and not USUAL_FILE.exists():
        raise UsageError(_NOTHING, _WHAT_TO_GIVE)
    return text if text.strip() else None


def _fleet(file: Path | None) -> Fleet | None:
    """The fleet, only for the names of its registries; without it they stay placeholders."""
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
        streams.say("paste the error, then Ctrl-D:")
    return sys.stdin.buffer.read(_MOST_TEXT).decode(errors="replace")
