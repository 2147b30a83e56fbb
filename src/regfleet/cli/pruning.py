"""The command `prune`."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from regfleet import image_work
from regfleet.cli.deletion import INTERRUPTED
from regfleet.cli.inspect import reading
from regfleet.cli.options import file_and_name
from regfleet.cli.runs import confirm
from regfleet.errors import EXIT_FAILED, EXIT_OK
from regfleet.fleet.load import load
from regfleet.report import deletion_text, pruning_json, pruning_text
from regfleet.report.lines import show_text
from regfleet.run import known, pruning
from regfleet.state import StateDirectory
from regfleet.terminal import streams
from regfleet.terminal.console import beside_document, people


def prune(
    *,
    file: Path,
    registry: str,
    yes: bool,
    dry_run: bool,
    state_dir: Path | None,
    as_json: bool,
    verbose: int,
) -> int:
    """Delete the tags that the rules of retention do not keep."""
    file, registry = file_and_name(file, registry)
    fleet = load(file)
    registries = pruning.chosen(fleet, registry)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    now = datetime.now(timezone.utc)
    about = known.read(fleet, state, now)
    console = beside_document(as_json=as_json)
    with reading(fleet, None, verbose, as_json=as_json, interrupted=INTERRUPTED) as session:
        pruner = pruning.Pruner(fleet, about, session, now.timestamp())
        found = [pruner.plan(each) for each in registries]
        going = any(each.deletions.planned for each in found)
        asks = going and not yes and not dry_run
        pruning_text.show_plan(found, people(stderr=True) if asks else console)
        if going and not dry_run:
            confirm(yes, pruning_text.question(found))
            count, deleted = 0, 0
            with image_work.noted(state, "prune") as note:
                for one in (one for each in found for one in pruner.delete(each)):
                    count += 1
                    if one.error:
                        note.failed(f"{one.image}: {one.error}")
                        deletion_text.show_error(one, console)
                    else:
                        deleted += 1
                        note.did(f"deleted {one.image}")
            show_text(console, f"{deleted} of {count} deleted; `regfleet gc` frees the space")
    if as_json:
        streams.print_document(pruning_json.document(fleet.name, found, dry_run=dry_run))
    return EXIT_OK if all(each.ok for each in found) else EXIT_FAILED
