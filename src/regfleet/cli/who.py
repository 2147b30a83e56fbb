"""The command `who`, on the fleet file alone."""

from __future__ import annotations

from pathlib import Path

from regfleet.cli.options import file_and_name
from regfleet.errors import EXIT_OK
from regfleet.fleet.load import load
from regfleet.report import who_json, who_text
from regfleet.report.who import parse_subject, unlikely
from regfleet.report.who import who as rights_of
from regfleet.terminal.console import beside_document
from regfleet.terminal.streams import print_document


def who(*, file: Path, what: str, as_json: bool) -> int:
    """Print who may do what in which repositories; contacts nothing."""
    file, what = file_and_name(file, what)
    fleet = load(file, files_needed=False, keys_needed=False)
    subject = parse_subject(fleet, what)
    found = rights_of(fleet, subject)
    hint = unlikely(fleet, subject)
    who_text.render(found, subject, beside_document(as_json=as_json), hint=hint)
    if as_json:
        print_document(who_json.document(fleet.name, subject, found))
    return EXIT_OK
