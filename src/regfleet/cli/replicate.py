"""The command `replicate`: runs copies now."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from regfleet.cli.inspect import reading
from regfleet.cli.options import file_and_name
from regfleet.cli.watch import watching
from regfleet.errors import EXIT_FAILED, EXIT_OK
from regfleet.fleet.load import load
from regfleet.fleet.selection import select
from regfleet.model.names import counted
from regfleet.report import replication_json, replication_text
from regfleet.run import known, replicating
from regfleet.run.progress import Progress, Stage
from regfleet.state import StateDirectory
from regfleet.terminal import streams
from regfleet.terminal.console import beside_document


def replicate(
    *,
    file: Path,
    name: str,
    dry_run: bool,
    limit: tuple[str, ...],
    exclude: tuple[str, ...],
    parallel: int | None,
    state_dir: Path | None,
    as_json: bool,
    verbose: int,
) -> int:
    """Run copies now; see `run.replicating`."""
    file, name = file_and_name(file, name)
    fleet = load(file)
    names = select(fleet, limit, exclude) if limit or exclude else None
    chosen = replicating.chosen(fleet, name, names)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    about = known.read(fleet, state, datetime.now(timezone.utc))
    progress = Progress(watching(quiet=as_json, verbose=verbose))
    stage = Stage(f"copying: {counted(len(chosen), 'copy', 'copies')}", [c.name for c in chosen])
    with reading(fleet, parallel, verbose, as_json=as_json) as session, progress.during(stage):
        results = replicating.Copying(about, session, state, stage, dry_run).all(chosen)
    replication_text.render(results, beside_document(as_json=as_json), dry=dry_run)
    if as_json:
        streams.print_document(replication_json.document(fleet.name, results, dry=dry_run))
    return EXIT_OK if all(each.ok for each in results) else EXIT_FAILED
