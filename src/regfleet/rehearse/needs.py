"""What this machine has to have for a rehearsal, looked at before anything is begun."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from regfleet.errors import RegfleetError
from regfleet.rehearse import engine
from regfleet.rehearse.docker import Docker
from regfleet.rehearse.images import Images

# Program and Debian package. The client was part of docker.io up to Debian 12.
_CLIENT = ("docker", "docker-cli")
_ENGINE = (("dockerd", "docker.io"), ("iptables", "iptables"), ("ip", "iproute2"))
_BUILDER = ("mmdebstrap", "mmdebstrap")
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def check(cache: Path, kinds: Iterable[tuple[str, str]], path: str | None = None) -> None:
    """Refuse, with all that is missing at once.

    Args:
        cache: of images.
        kinds: suites and variants of the hosts that are wanted.
        path: where programs are looked for; the search path and the system's by default.

    Raises:
        RegfleetError: programs are missing, or we are not root where that is needed.
    """
    path = path or os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM])

    def has(program: str) -> bool:
        return shutil.which(program, path=path) is not None

    running = engine.machine_engine() if has(_CLIENT[0]) else None
    to_build = not all(_there(running, cache, *kind) for kind in set(kinds))
    wanted = [_CLIENT, *(() if running else _ENGINE), *([_BUILDER] if to_build else ())]
    missing = [pair for pair in wanted if not has(pair[0])]
    if missing:
        raise RegfleetError(
            f"a rehearsal boots hosts in containers, and {_and([each for each, _ in missing])} "
            f"{'is' if len(missing) == 1 else 'are'} not installed here",
            _how_to_install([package for _, package in missing], apt=has("apt-get")),
        )
    if os.geteuid() != 0 and (to_build or not running):
        what = "building host images" if running else "starting a Docker engine for the hosts"
        raise RegfleetError(
            f"{what} needs root",
            "run it with sudo, and -E where passwords are in the environment; or make the Docker "
            "of this machine usable for you"
            if not running
            else "run it with sudo once",
        )


def _there(running: Docker | None, cache: Path, suite: str, variant: str) -> bool:
    """Whether a host image need not be built; one in an engine that is yet to start counts not."""
    if running:
        return Images(running, cache).has(suite, variant)
    return Images(Docker(""), cache).root_filesystem(suite, variant).exists()


def _how_to_install(packages: list[str], *, apt: bool) -> str:
    if not apt:
        return f"install it with this system's own tools (Debian's packages: {', '.join(packages)})"
    known = [each for each in packages if each != _CLIENT[1] or _is_package(each)]
    if len(known) < len(packages) and "docker.io" not in known:
        known.insert(0, "docker.io")
    return f"apt-get install {' '.join(known)}"


def _is_package(name: str) -> bool:
    found = subprocess.run(["apt-cache", "show", name], capture_output=True, check=False)
    return found.returncode == 0


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
