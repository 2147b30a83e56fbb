"""Commands that only deal with the fleet file: `init` and `validate`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from regfleet.errors import EXIT_OK, EXIT_USAGE, FleetFileError, UsageError
from regfleet.fleet.load import load
from regfleet.fleet.template import render_template


def init(file: Path) -> int:
    """Write the template; an existing file is never overwritten."""
    name = "".join(char if char.isalnum() else "-" for char in file.resolve().parent.name.lower())
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(render_template(name.strip("-") or "fleet"))
    except FileExistsError as error:
        raise UsageError(
            f"{file} is there already", "give another name, or move it away"
        ) from error
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{file} is written. Edit the hosts, then: regfleet validate {file}")
    return EXIT_OK


def validate(file: Path, as_json: bool) -> int:
    """Check the file; with `--json` the mistakes as a document."""
    try:
        fleet = load(file)
    except FleetFileError as error:
        if not as_json:
            raise
        click.echo(
            json.dumps(
                {
                    "version": 1,
                    "ok": False,
                    "mistakes": [
                        {
                            "path": each.path,
                            "line": each.line,
                            "message": each.message,
                            "hint": each.hint,
                        }
                        for each in error.mistakes
                    ],
                },
                indent=2,
                ensure_ascii=False,
            )
        )
        return EXIT_USAGE
    hosts = len(fleet.hosts())
    if as_json:
        click.echo(
            json.dumps({"version": 1, "ok": True, "fleet": fleet.name, "mistakes": []}, indent=2)
        )
    else:
        click.echo(
            f"{file} is well: fleet {fleet.name}, {len(fleet.registries)} registries, "
            f"{len(fleet.clients)} client groups, {hosts} hosts"
        )
    return EXIT_OK
