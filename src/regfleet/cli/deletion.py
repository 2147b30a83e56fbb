"""The command `delete`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from regfleet import image_work
from regfleet.cli.inspect import reading
from regfleet.cli.options import file_and_names
from regfleet.cli.runs import confirm
from regfleet.errors import EXIT_FAILED, EXIT_OK, InterruptedCommandError
from regfleet.fleet.load import load
from regfleet.report import deletion_json, deletion_text
from regfleet.report.lines import show_text
from regfleet.run import deletion, known
from regfleet.run.asking import Asking
from regfleet.state import StateDirectory
from regfleet.terminal import streams
from regfleet.terminal.console import beside_document, people

INTERRUPTED = InterruptedCommandError(
    "interrupted: what was not deleted yet is still there", "the same command deletes the rest"
)


def delete(
    *,
    file: Path,
    images: Sequence[str],
    yes: bool,
    dry_run: bool,
    state_dir: Path | None,
    as_json: bool,
    verbose: int,
) -> int:
    """Delete tags or digests, after they were shown and confirmed."""
    file, images = file_and_names(file, images)
    fleet = load(file)
    asked = deletion.named(fleet, images)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    about = known.read(fleet, state, datetime.now(timezone.utc))
    console = beside_document(as_json=as_json)
    with reading(fleet, None, verbose, as_json=as_json, interrupted=INTERRUPTED) as session:
        asking = Asking(about.registries, session)
        found = deletion.plan(fleet, asked, asking)
        found.dry_run = dry_run
        asks = not yes and not dry_run and bool(found.planned)
        deletion_text.show_plan(found, people(stderr=True) if asks else console)
        if not dry_run and found.planned:
            confirm(yes, deletion_text.question(found))
            with image_work.noted(state, "delete") as note:
                for each in deletion.delete(fleet, found, asking):
                    if each.error:
                        note.failed(f"{each.image}: {each.error}")
                        deletion_text.show_error(each, console)
                    else:
                        note.did(f"deleted {each.image}")
                        show_text(console, f"deleted {each.image}")
    if as_json:
        streams.print_document(deletion_json.document(found))
    return EXIT_OK if found.ok else EXIT_FAILED
