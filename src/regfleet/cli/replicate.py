"""The command `replicate`: runs copies now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from regfleet.cli.inspect import reading
from regfleet.cli.options import file_and_name
from regfleet.errors import EXIT_FAILED, EXIT_OK
from regfleet.fleet.copies import Copy
from regfleet.fleet.load import load
from regfleet.fleet.selection import select
from regfleet.model.names import counted
from regfleet.report import replication_json, replication_text
from regfleet.run import known, replicating
from regfleet.state import StateDirectory
from regfleet.terminal import streams
from regfleet.terminal.console import beside_document

_EVERY = 5.0  # seconds between lines of progress


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
    last = [time.monotonic()]

    def tell(copy: Copy, counts: Mapping[str, int]) -> None:
        if time.monotonic() - last[0] >= _EVERY:
            last[0] = time.monotonic()
            streams.say_beside(replication_text.progress(copy, counts), as_json=as_json)

    with reading(fleet, parallel, verbose, as_json=as_json) as session:
        streams.say_beside(f"copying: {counted(len(chosen), 'copy', 'copies')}", as_json=as_json)
        results = replicating.replicate(chosen, about, session, state, dry=dry_run, tell=tell)
    replication_text.render(results, beside_document(as_json=as_json), dry=dry_run)
    if as_json:
        streams.print_document(replication_json.document(fleet.name, results, dry=dry_run))
    return EXIT_OK if all(each.ok for each in results) else EXIT_FAILED
