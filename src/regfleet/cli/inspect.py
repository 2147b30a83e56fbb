"""Commands that read and change nothing: `status` and `images`."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import click
from rich.console import Console

from regfleet.cli.runs import Common
from regfleet.errors import EXIT_FAILED, EXIT_OK
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.report import images_json, images_text, status_json, status_text
from regfleet.run import early, known
from regfleet.run import images as registry_images
from regfleet.run.selection import select
from regfleet.run.session import Session
from regfleet.run.survey import survey
from regfleet.state import StateDirectory


def status(**options: object) -> int:
    """How the fleet is: hosts, drift, certificates, registries."""
    common = Common(**options)  # type: ignore[arg-type] # click has checked the types
    fleet = load(common.file)
    names = select(fleet, common.limit, common.exclude)
    state = StateDirectory.beside(fleet.path, fleet.name, common.state_dir)
    with reading(fleet, common.parallel, common.verbose) as session:
        click.echo(f"looking at {len(names)} host{'' if len(names) == 1 else 's'}", err=True)
        found = survey(fleet, state, session, names)
    status_text.render(found, common.console(), file=str(common.file), verbose=bool(common.verbose))
    if common.as_json:
        click.echo(status_json.document(found))
    return EXIT_OK if found.ok else EXIT_FAILED


def images(*, file: Path, what: str, state_dir: Path | None, as_json: bool, verbose: int) -> int:
    """What registries hold: repositories, tags, digests, sizes, platforms."""
    fleet = load(file)
    registries, repository = registry_images.chosen(fleet, what)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    about = known.read(fleet, state, datetime.now(timezone.utc))
    with reading(fleet, None, verbose) as session:
        found = [
            registry_images.of_registry(registry, repository, about, session)
            for registry in registries
        ]
    console = Console(stderr=as_json, highlight=False)
    images_text.render(found, console, verbose=bool(verbose))
    if as_json:
        click.echo(images_json.document(fleet.name, found))
    return EXIT_FAILED if any(each.error for each in found) else EXIT_OK


@contextmanager
def reading(fleet: Fleet, parallel: int | None, verbose: int) -> Iterator[Session]:
    """Connections to read by. Ctrl-C ends it at once: there is nothing to finish."""
    if verbose > 1:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        logging.getLogger("paramiko").setLevel(logging.INFO)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    session = early.session(fleet, parallel)
    try:
        yield session
    finally:
        session.close()
