"""A whole rehearsal: from a machine without the twin to one without it again, or with it kept."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from regfleet.fleet.model import Fleet
from regfleet.rehearse import differences, fleet_file, hosts, stand_ins
from regfleet.rehearse.casting import Cast
from regfleet.rehearse.engine import Engine
from regfleet.rehearse.likeness import Likeness, StandIns, in_play, likeness, settled
from regfleet.rehearse.rehearsal import Progress, Rehearsal, Result, staged
from regfleet.rehearse.twin import Twin
from regfleet.rehearse.venue import Venue
from regfleet.state import StateDirectory


@dataclass(slots=True)
class Production:
    """What is rehearsed, where, and what comes of it.

    Attributes:
        cast: who plays.
        keep: whether the hosts stay up at the end, the fleet applied.
        closing: called when all is about to be taken down: from then on, nothing may interrupt.
        kept: whether there are hosts that were left up.
    """

    fleet: Fleet
    cast: Cast
    venue: Venue
    result: Result
    progress: Progress
    keep: bool
    parallel: int | None
    closing: Callable[[], None]
    kept: bool = False

    def run(self) -> None:
        """All of it; whatever happens, what was begun is ended.

        Raises:
            RegfleetError: the twin cannot be had, or cannot be made like the fleet.
        """
        with self.venue.occupied(), self.venue.twin() as (twin, engine):
            try:
                self._play(twin, engine)
            except KeyboardInterrupt:
                self.keep = False
                raise
            finally:
                self.closing()
                self.kept = self.keep and bool(twin.hosts)
                if not self.kept:
                    with staged(self.result, self.progress, "away") as stage:
                        twin.stop()
                        self.venue.forget()
                        stage.said = "all hosts are taken down"

    def _play(self, twin: Twin, engine: Engine) -> None:
        played = in_play(self.fleet, self.cast)
        state = StateDirectory.beside(self.venue.directory / "fleet.toml", self.fleet.name)
        with staged(self.result, self.progress, "images") as stage:
            lacking = stand_ins.find(played, state, twin.images.seeds, _now())
            alike = likeness(self.fleet, self.cast, lacking, _login_name())
            self.result.suites = {part.name: part.spec.suite for part in alike.parts}
            for kind in dict.fromkeys((part.spec.suite, part.spec.variant) for part in alike.parts):
                twin.images.host(*kind)
            stage.said = _of_images(alike, lacking, engine)
        with staged(self.result, self.progress, "hosts") as stage:
            twin.boot([part.spec for part in alike.parts])
            hosts.prepare(twin, alike.parts, alike.away)
            stage.said = f"{len(twin.hosts)} are up"
        fleet = settled(
            alike.fleet,
            {name: host.address for name, host in twin.hosts.items()},
            key=twin.key,
            known_hosts=twin.known_hosts,
            upstreams={part.name: part.upstream_port for part in alike.parts},
        )
        fleet.path.write_text(fleet_file.render(fleet), "utf-8")
        rehearsal = Rehearsal(
            fleet, twin, alike.parts, state, self.result, self.progress, self.parallel
        )
        try:
            rehearsal.run()
            if self.keep and self.result.ok:
                rehearsal.apply("to keep")
        finally:
            self._tell_differences(alike, lacking)

    def _tell_differences(self, alike: Likeness, lacking: StandIns) -> None:
        engines = {
            part.name: f"{part.engine} {version} on {part.spec.suite}"
            for part in alike.parts
            if (version := self.result.engines.get(part.name))
        }
        kernel = f"{platform.release()} for {platform.machine()}"
        self.result.differences = (
            *differences.of_this_fleet(self.fleet, self.cast, lacking, alike),
            *differences.of_any_fleet(engines, kernel),
        )


def _of_images(alike: Likeness, lacking: StandIns, engine: Engine) -> str:
    kinds = dict.fromkeys(f"{part.spec.suite} ({part.spec.variant})" for part in alike.parts)
    carried = "an engine of our own" if engine.own else f"the engine at {engine.docker.host}"
    seeds = {image.image for image in lacking.images.values() if image.archive}
    made = f"; {', '.join(sorted(seeds))} from packages" if seeds else ""
    return f"hosts of {', '.join(kinds)} on {carried}{made}"


def _login_name() -> str:
    """Who calls: the login name where the fleet file and SSH's own configuration have none."""
    with suppress(KeyError, OSError):
        return os.environ.get("SUDO_USER") or getpass.getuser()
    return "root"


def _now() -> datetime:
    return datetime.now(timezone.utc)
