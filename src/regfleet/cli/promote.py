"""The commands `promote`, `demote` and `history --promotions`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from rich.filesize import decimal

from regfleet import image_work, promotions
from regfleet.cli.inspect import reading
from regfleet.cli.options import USUAL_FILE
from regfleet.cli.runs import confirm
from regfleet.cli.watch import repeating, watching
from regfleet.errors import EXIT_FAILED, EXIT_OK, RegfleetError, UsageError
from regfleet.fleet.load import load
from regfleet.fleet.model import Fleet
from regfleet.promotions import Gate
from regfleet.report import promotion_text
from regfleet.run import known, promoting
from regfleet.run.progress import Stage, Watch
from regfleet.run.promoting import Promoter, Subject
from regfleet.state import StateDirectory
from regfleet.terminal import interrupts, streams
from regfleet.terminal.console import beside_document

_EVERY = 1.0  # seconds


def promote(
    *,
    words: Sequence[str],
    yes: bool,
    approve: bool,
    dry_run: bool,
    state_dir: Path | None,
    as_json: bool,
    verbose: int,
) -> int:
    """Promote an image to a stage, or approve that."""
    file, stage_name, image = _words(words)
    fleet = load(file)
    stage = promoting.stage_of(fleet, stage_name)
    name, tag, digest = promoting.parse_image(image)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    about = known.read(fleet, state, datetime.now(timezone.utc))
    console = beside_document(as_json=as_json)
    with state.lock("promote"), reading(fleet, None, verbose, as_json=as_json) as session:
        promoter = Promoter(fleet, stage, about, session)
        subject = promoter.look(name, tag, digest)
        promotion_text.show_subject(console, subject)
        if not subject.digest:
            raise UsageError(
                f"{stage.source.registry} has no {subject.source}:{tag}",
                f"`regfleet images {file} {stage.source.registry}` lists what it has",
            )
        if approve:
            if promotions.user() not in stage.approve:
                raise UsageError(
                    f"{promotions.user()} is not in approve of promotion.{stage.name}",
                    f"there are {', '.join(stage.approve) or 'none'}",
                )
            promotions.add(
                state, {**subject.values, "action": "approved", "digest": subject.digest}
            )
            return _end(fleet, subject, (), "approved", as_json=as_json)
        if subject.there == subject.digest:
            return _end(fleet, subject, (), "unchanged", as_json=as_json)
        gates = promoter.gates(subject, promotions.read(state))
        promotion_text.show_gates(console, gates)
        values = {**subject.values, "digest": subject.digest, "replaced": subject.there}
        if promoting.failed(gates):
            if not dry_run:
                promotions.add(state, {**values, "action": "refused"}, gates)
            return _end(fleet, subject, gates, "refused", as_json=as_json)
        if dry_run:
            return _end(fleet, subject, gates, "planned", as_json=as_json)
        confirm(yes, f"Promote it to {stage.name}?")
        shown = _shown(promoter, subject, watching(quiet=as_json, verbose=verbose))
        with image_work.noted(state, "promote") as note:
            with shown:
                count = promoter.copy(subject)
            with interrupts.wait_for("the tag is being set"):
                promoter.promote(subject)
                promotions.add(state, {**values, "action": "promoted"}, gates)
                interrupts.end()
            note.did(f"promoted {_moved(subject)} at {subject.digest}")
            promoter.close()
    streams.say_beside(
        f"{count['manifests']} manifests, {count['mounted']} blobs mounted,"
        f" {count['blobs']} copied",
        as_json=as_json,
    )
    return _end(fleet, subject, gates, "promoted", as_json=as_json)


@contextmanager
def _shown(promoter: Promoter, subject: Subject, watch: Watch) -> Iterator[None]:
    """Show how much of an image came from the source."""
    name = f"{subject.target}:{subject.tag}"
    stage = Stage(f"copying {name}", [name])

    def tell() -> None:
        stage.step(name, f"{decimal(promoter.received)} from {subject.stage.source.registry}")

    with watch.during(stage), repeating(_EVERY, tell):
        stage.begin(name, "copying")
        try:
            yield
        except RegfleetError:
            stage.end(name, "failed")
            raise
        stage.end(name, "done")


def demote(
    *,
    words: Sequence[str],
    yes: bool,
    dry_run: bool,
    state_dir: Path | None,
    as_json: bool,
    verbose: int,
) -> int:
    """Set a tag back to the image that was promoted before."""
    file, stage_name, image = _words(words)
    fleet = load(file)
    stage = promoting.stage_of(fleet, stage_name)
    name, tag, digest = promoting.parse_image(image)
    state = StateDirectory.beside(fleet.path, fleet.name, state_dir)
    about = known.read(fleet, state, datetime.now(timezone.utc))
    console = beside_document(as_json=as_json)
    with state.lock("demote"), reading(fleet, None, verbose, as_json=as_json) as session:
        promoter = Promoter(fleet, stage, about, session)
        subject = promoter.look(name, tag, digest)
        promotion_text.show_subject(console, subject)
        if dry_run:
            return _end(fleet, subject, (), "planned", as_json=as_json)
        confirm(yes, f"Set it back in {stage.name}?")
        with image_work.noted(state, "demote") as note:
            log = promotions.read(state)
            logged = promotions.last_digest(log, subject.values["target"], subject.tag)
            with interrupts.wait_for("the tags are being set back"):
                now = promoter.demote(subject, logged)
                values = {**subject.values, "action": "demoted", "digest": now}
                promotions.add(state, {**values, "replaced": subject.there})
                interrupts.end()
            note.did(f"set {subject.values['target']}:{subject.values['tag']} back to {now}")
            promoter.close()
    return _end(fleet, subject, (), "demoted", as_json=as_json)


def show_history(fleet: Fleet, state: StateDirectory, *, as_json: bool) -> int:
    """Print the log of promotions; exit code 1 when its chain is broken."""
    log = promotions.read(state)
    promotion_text.show_log(beside_document(as_json=as_json), log)
    if as_json:
        streams.print_document(promotion_text.log_document(fleet.name, log))
    return EXIT_FAILED if log.broken else EXIT_OK


def _moved(subject: Subject) -> str:
    values = subject.values
    return f"{values['source']}:{values['tag']} to {values['target']}"


def _words(words: Sequence[str]) -> tuple[Path, str, str]:
    """File, stage and image: the file may be left out."""
    expected = ("FILE", "STAGE", "IMAGE:TAG")
    if len(words) == len(expected):
        return Path(words[0]), words[1], words[2]
    if len(words) == len(expected) - 1:
        return USUAL_FILE, words[0], words[1]
    raise UsageError(
        f"{len(words)} words instead of [FILE] STAGE IMAGE:TAG",
        "as in regfleet promote fleet.toml production web:1.2",
    )


def _end(
    fleet: Fleet, subject: Subject, gates: Sequence[Gate], result: str, *, as_json: bool
) -> int:
    streams.say_beside(f"{subject.stage.name}: {result}", as_json=as_json)
    if as_json:
        streams.print_document(promotion_text.document(fleet.name, subject, gates, result))
    return EXIT_FAILED if result == "refused" else EXIT_OK
