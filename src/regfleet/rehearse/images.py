"""The images that twin hosts need: host images by suite and variant, and the seed archives.

Both are made once and kept under a cache directory; a host image's name carries the digest of
the recipe that made it, so that a changed recipe makes a new image.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock

from regfleet import resources
from regfleet.errors import RegfleetError, UsageError
from regfleet.rehearse.docker import Docker
from regfleet.seed import Seed, build_busybox, build_nginx, build_registry

SUITES = ("bookworm", "trixie", "sid")  # the first is the default
VARIANTS = ("docker", "bare", "sysv", "openrc", "light")
FALLBACK = "bare"  # has no engine: for those that are installed from the distribution
LABEL = "regfleet.build"

# What a variant is made of (see vagrant/host-image.sh): to extend one takes a third of the time.
_BASES = {"docker": "bare", "bare": "light", "sysv": "light", "openrc": "light"}

# The variant that has a client engine; those not here are installed on the fallback.
_VARIANT_OF_ENGINE = {"docker": "docker", "docker-sysconfig": "docker"}
# Client engines that a rehearsal cannot set up a package of, or that no host has from the start.
NOT_TO_BE_HAD = frozenset({"buildkit", "cri-o", "docker-rootless", "k3s", "rke2"})

Progress = Callable[[str], None]


def silent(_line: str) -> None:
    """A progress listener that says nothing."""


def variant_for(engine: str) -> str:
    """The variant of the host image for hosts with a client engine, as the fleet file names it."""
    return _VARIANT_OF_ENGINE.get(engine, FALLBACK)


@dataclass(frozen=True, slots=True)
class Seeds:
    """docker-archives of the images that fleets need (see `regfleet.seed`)."""

    registry: Path
    busybox: Path
    nginx: Path


@dataclass(frozen=True, slots=True)
class Images:
    """Images for one engine.

    Attributes:
        docker: the engine that gets the host images.
        cache: directory for root filesystems and archives, made when missing.
        progress: told in a line what takes time.
    """

    docker: Docker
    cache: Path
    progress: Progress = silent

    def host(self, suite: str, variant: str) -> str:
        """The name of the host image for `suite` and `variant`, built and imported when missing.

        Raises:
            RegfleetError: mmdebstrap is missing or fails (its own words are in the message).
        """
        if variant not in VARIANTS:
            raise UsageError(f"no host variant {variant!r}", f"one of: {', '.join(VARIANTS)}")
        tag, tar = self.tag(suite, variant), self.root_filesystem(suite, variant)
        self.cache.mkdir(parents=True, exist_ok=True)
        with self._lock(suite, variant):
            if self._imported(tag):
                return tag
            self._build(suite, variant)
            self.progress(f"importing the {suite} host image ({variant})")
            boot, label = 'CMD ["/sbin/regfleet-boot"]', f'LABEL {LABEL}="{self.cache.parent}"'
            self.docker.run("import", "--change", boot, "--change", label, str(tar), tag)
        return tag

    def _build(self, suite: str, variant: str) -> None:
        tar = self.root_filesystem(suite, variant)
        if tar.exists():
            return
        base = None
        if variant in _BASES:
            base = self.root_filesystem(suite, _BASES[variant])
            with self._lock(suite, _BASES[variant]):
                self._build(suite, _BASES[variant])
        self.progress(
            f"building the {suite} host image ({variant}), about "
            f"{'a quarter of a minute' if base else 'half a minute'}"
        )
        _bootstrap(suite, variant, tar, base)

    def has(self, suite: str, variant: str) -> bool:
        """Whether `host` would have nothing to build."""
        there = self.root_filesystem(suite, variant).exists()
        return there or self._imported(self.tag(suite, variant))

    def root_filesystem(self, suite: str, variant: str) -> Path:
        """Where the root filesystem of a host image is kept, once it is built."""
        return self.cache / f"{_kind(suite, variant)}.tar"

    def tag(self, suite: str, variant: str) -> str:
        """The name that a host image has in the engine."""
        return f"regfleet-host:{_kind(suite, variant)}"

    def _lock(self, suite: str, variant: str) -> BaseFileLock:
        return FileLock(self.cache / f"{suite}-{variant}.lock")

    def _imported(self, tag: str) -> bool:
        return self.docker.try_run("image", "inspect", tag).returncode == 0

    def seeds(self) -> Seeds:
        """The archives of registry, busybox and nginx, built when missing."""
        self.cache.mkdir(parents=True, exist_ok=True)
        made: tuple[tuple[str, str, Callable[[Path], Seed]], ...] = (
            ("registry", "registry:2", build_registry),
            ("busybox", "busybox", build_busybox),
            # Not `nginx`, which an earlier version made without the module stream.
            ("nginx-stream", "nginx with njs", build_nginx),
        )
        seeds = Seeds(*(self.cache / f"{name}.tar" for name, _, _ in made))
        with FileLock(self.cache / "seeds.lock"):
            for name, what, build in made:
                path = self.cache / f"{name}.tar"
                if not path.exists():
                    self.progress(f"packing {what} from the distribution's packages")
                    build(path)
        return seeds


def _kind(suite: str, variant: str) -> str:
    digest = hashlib.sha256(_recipe().read_bytes()).hexdigest()[:12]
    return f"{suite}-{variant}-{digest}"


def _recipe() -> Path:
    return resources.path("host-image.sh")


def _bootstrap(suite: str, variant: str, tar: Path, base: Path | None) -> None:
    if shutil.which("mmdebstrap") is None:
        raise RegfleetError(
            "mmdebstrap is not installed; host images are built with it",
            "apt-get install mmdebstrap",
        )
    if os.geteuid() != 0:
        raise RegfleetError("building a host image needs root", "run it with sudo")
    # In a session and with a temporary directory of its own: an interrupted mmdebstrap leaves both
    # processes and files. It changes to the user _apt on the way, who has to see what is in it.
    temporary = Path(tempfile.mkdtemp(prefix="regfleet-host-image-"))
    temporary.chmod(0o755)
    try:
        with subprocess.Popen(
            ["sh", str(_recipe()), suite, variant, str(tar), *([str(base)] if base else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        ) as building:
            try:
                _, errors = building.communicate()
            except BaseException:
                _end_session(building)
                tar.with_name(f"{tar.name}.part").unlink(missing_ok=True)
                raise
    finally:
        # What is mounted there, if anything is, is not ours to remove.
        subprocess.run(["rm", "-rf", "--one-file-system", str(temporary)], check=False)
    if building.returncode != 0:
        said = "\n".join(errors.strip().splitlines()[-12:])
        raise RegfleetError(
            f"the {suite} host image ({variant}) could not be built:\n{said}",
            "see whether this machine's package sources can be reached: apt-get update",
        )


def _end_session(leader: subprocess.Popen[str]) -> None:
    """End all processes of the session that was started for this one; return when they are gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(50):
            leader.poll()
            try:
                os.killpg(leader.pid, number)
            except ProcessLookupError:
                return
            time.sleep(0.1)
