"""Commands on the fleet file alone: `init` and `validate`."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path

from regfleet.errors import EXIT_OK, EXIT_USAGE, FleetFileError, UsageError
from regfleet.fleet.load import load
from regfleet.fleet.read import shown
from regfleet.fleet.template import render_template
from regfleet.model.names import counted
from regfleet.report.error_json import error_document
from regfleet.report.warnings_text import show_warnings
from regfleet.terminal.streams import out, print_document, say


def init(file: Path) -> int:
    """Write the template; an existing file is never overwritten."""
    name = "".join(char if char.isalnum() else "-" for char in file.resolve().parent.name.lower())
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(render_template(name.strip("-") or "fleet"))
    except FileExistsError as error:
        raise UsageError(f"{file} already exists", "give another name, or move it away") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    out(f"{file} is written. Edit its hosts, then: regfleet validate {shlex.quote(str(file))}")
    return EXIT_OK


def validate(file: Path, as_json: bool) -> int:
    """Check the file; with `--json`, print the mistakes as a document."""
    try:
        fleet = load(file)
    except FleetFileError as error:
        if not as_json:
            raise
        # `mistakes` is also at the top level, as before all commands shared one error document.
        say(f"error: {error}")
        document = json.loads(error_document(error))
        whole = {**document, "mistakes": document["error"]["mistakes"], "warnings": []}
        print_document(json.dumps(whole, indent=2))
        return EXIT_USAGE
    hosts = len(fleet.hosts())
    if as_json:
        print_document(
            json.dumps(
                {
                    "version": 1,
                    "ok": True,
                    "fleet": fleet.name,
                    "mistakes": [],
                    "warnings": [asdict(each) for each in fleet.warnings],
                },
                indent=2,
                ensure_ascii=False,
            )
        )
    else:
        show_warnings(fleet)
        out(
            f"{shown(file)} is valid: fleet {fleet.name}, "
            f"{counted(len(fleet.declared), 'registry', 'registries')}, "
            f"{counted(len(fleet.clients), 'client group')}, {counted(hosts)}"
        )
    return EXIT_OK
