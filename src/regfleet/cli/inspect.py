"""The commands `status` and `images`, which only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path

from regfleet.cli.options import file_and_name
from regfleet.cli.runs import Common
from regfleet.errors import EXIT_FAILED, EXIT_OK, InterruptedCommandError, UsageError
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.fleet.selection import select
from regfleet.model.names import counted
from regfleet.model.status import FleetStatus
from regfleet.report import images_json, images_text, status_json, status_text
from regfleet.report.error_json import error_document
from regfleet.run import images as registry_images
from regfleet.run import known
from regfleet.run.survey import survey
from regfleet.ssh import early
from regfleet.ssh.session import Session
from regfleet.state import StateDirectory
from regfleet.terminal import interrupts, streams
from regfleet.terminal.console import beside_document

INTERRUPTED = InterruptedCommandError("interrupted; nothing was changed")


def status(*, metrics: Path | None = None, **options: object) -> int:
    """Show the state of the fleet: hosts, drift, certificates, registries."""
    common = Common.of(options)
    fleet = load(common.file)
    # A fleet of external registries has no hosts: only the registries are asked.
    chosen = fleet.hosts() or common.limit or common.exclude
    names = select(fleet, common.limit, common.exclude) if chosen else []
    state = StateDirectory.beside(fleet.path, fleet.name, common.state_dir)
    with reading(fleet, common.parallel, common.verbose, as_json=common.as_json) as session:
        streams.say_beside(f"looking at {counted(len(names))}", as_json=common.as_json)
        found = survey(fleet, state, session, names)
    status_text.render(found, common.console(), file=str(common.file), verbose=bool(common.verbose))
    if common.as_json:
        streams.print_document(status_json.document(found))
    if metrics:
        _write_metrics(found, metrics)
    return EXIT_OK if found.ok else EXIT_FAILED


def _write_metrics(found: FleetStatus, path: Path) -> None:
    # Imported where it is asked for: a tenth of a second.
    module = import_module("regfleet.report.metrics")
    try:
        module.write(found, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def images(
    *,
    file: Path,
    what: str,
    every: bool,
    state_dir: Path | None,
    as_json: bool,
    verbose: int,
) -> int:
    """List the content of registries: repositories, tags, digests, sizes, platforms."""
    file, what = file_and_name(file, what)
    fleet = load(file)
    registries, repository = registry_images.chosen(fleet, what)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    about = known.read(fleet, state, datetime.now(timezone.utc))
    with reading(fleet, None, verbose, as_json=as_json) as session:
        found = [
            registry_images.of_registry(registry, repository, about, session, every=every)
            for registry in registries
        ]
    console = beside_document(as_json=as_json)
    images_text.render(found, console, verbose=bool(verbose))
    if as_json:
        streams.print_document(images_json.document(fleet.name, found))
    return EXIT_FAILED if any(each.error for each in found) else EXIT_OK


@contextmanager
def reading(
    fleet: Fleet,
    parallel: int | None,
    verbose: int,
    *,
    as_json: bool,
    interrupted: InterruptedCommandError = INTERRUPTED,
) -> Iterator[Session]:
    """A session for commands that change no host. Ctrl-C ends it at once: nothing has to finish.

    Args:
        interrupted: what to print then.
    """
    if verbose > 1:
        streams.log()
    interrupts.die(error_document(interrupted) if as_json else "")
    session = early.session(fleet, parallel)
    try:
        yield session
    finally:
        session.close()
