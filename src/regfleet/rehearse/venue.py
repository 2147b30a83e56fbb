"""Where a fleet is rehearsed: a cache for all fleets, and for each a directory and a twin."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from regfleet.errors import RegfleetError, StateError
from regfleet.fleet.model import Fleet
from regfleet.rehearse import engine
from regfleet.rehearse.images import Images, Progress
from regfleet.rehearse.twin import TWIN_LABEL, Twin, remove

MANY_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Venue:
    """The place of one fleet's rehearsals.

    Attributes:
        cache: host images, seed images, and the data of an engine of our own.
        name: the twin's; the same for the same fleet file, so that what is left can be found.
        progress: told in a line what takes time.
    """

    cache: Path
    name: str
    progress: Progress

    @classmethod
    def of(cls, fleet: Fleet, cache: Path, progress: Progress) -> Venue:
        """A fleet's."""
        digest = hashlib.sha256(str(fleet.path).encode()).hexdigest()[:8]
        return cls(cache, f"{fleet.name[:MANY_CHARACTERS]}-{digest}", progress)

    @property
    def directory(self) -> Path:
        """The twin's key, known hosts, fleet file and state."""
        return self.cache / "twins" / self.name

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Hold the place for one rehearsal at a time; never waits.

        Raises:
            RegfleetError: the fleet is being rehearsed, or the cache cannot be written.
        """
        with _explained(self.cache):
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.cache / "twins" / f"{self.name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RegfleetError(
                "this fleet is being rehearsed already", "wait until that has ended"
            ) from None
        except OSError as error:
            raise _unwritable(self.cache, error) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def twin(self) -> Iterator[tuple[Twin, engine.Engine]]:
        """An engine, and a twin on it that has no hosts yet; what was left of one is taken away.

        An engine of our own is stopped at the end, unless it carries hosts or another rehearsal
        uses it. The hosts are the caller's to stop.

        Raises:
            RegfleetError: there is no engine, or none can be started.
        """
        with self._engine() as found:
            images = Images(found.docker, self.cache / "images", self.progress)
            twin = Twin(self.name, images, self.directory)
            twin.stop()
            self.make_directory()
            yield twin, found

    def make_directory(self) -> None:
        """Have an empty directory, for nobody else to read: keys and passwords go there."""
        with _explained(self.directory):
            self.forget()
            self.directory.mkdir(mode=0o700)

    def forget(self) -> None:
        """Remove the directory, with the key and all that regfleet made for the twin."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def take_down(self) -> bool:
        """Remove the hosts that were kept, the directory and, if nothing uses it, our engine.

        Returns:
            Whether there was anything.
        """
        found = self.directory.exists()
        own = engine.OwnEngine(self.cache / "engine")
        docker = engine.machine_engine() or (own.docker if own.pid() is not None else None)
        if docker:
            with self._using(own):
                label = f"{TWIN_LABEL}={self.name}"
                found = bool(docker.listing("ps", "-aq", "--filter", f"label={label}")) or found
                remove(docker, label)
        self.forget()
        return found

    @contextmanager
    def _engine(self) -> Iterator[engine.Engine]:
        own = engine.OwnEngine(self.cache / "engine")
        with self._using(own):
            with FileLock(self.cache / "engine.lock"):
                if engine.machine_engine() is None and own.pid() is None:
                    self._started.touch()
                found = engine.connect(own.directory, self.progress)
            yield found

    @contextmanager
    def _using(self, own: engine.OwnEngine) -> Iterator[None]:
        """Counted in among those who use our engine.

        The last one stops it, where a rehearsal has started it and it carries no hosts.
        """
        with _explained(self.cache):
            self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / "engine.users").open("a") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                yield
            finally:
                with FileLock(self.cache / "engine.lock"), suppress(BlockingIOError):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if self._started.exists() and not _carries_hosts(own):
                        own.stop()
                        self._started.unlink()

    @property
    def _started(self) -> Path:
        return self.cache / "engine.started"


def default_cache() -> Path:
    """Root's is the system's (FHS 3.0, 5.5), a user's the one of the XDG Base Directory."""
    if os.geteuid() == 0:
        return Path("/var/cache/regfleet")
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "regfleet"


def _carries_hosts(own: engine.OwnEngine) -> bool:
    return own.pid() is not None and bool(
        own.docker.listing("ps", "-q", "--filter", f"label={TWIN_LABEL}")
    )


@contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unwritable(place, error) from error


def _unwritable(place: Path, error: OSError) -> StateError:
    return StateError(
        f"{place} cannot be written: {error.strerror}",
        "name another place with --cache, or run it as the user who owns this one",
    )
