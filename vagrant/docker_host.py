"""Makes ready what a host in a container needs, and prints how Vagrant is to run it.

    python3 docker_host.py FLEET NAME SUITE VARIANT [FURTHER-NAME...]

The host is one as `regfleet.rehearse` boots them: the same image, built here where it is missing,
the same options, a network of its fleet's own. The archives of the registry's image and of busybox
are made as well. Prints a JSON object of settings of Vagrant's docker provider.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

try:
    from filelock import FileLock

    from regfleet.errors import RegfleetError
    from regfleet.rehearse.docker import Docker
    from regfleet.rehearse.engine import MACHINE_SOCKET
    from regfleet.rehearse.images import Images
    from regfleet.rehearse.twin import HostSpec, Twin
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {sys.executable} has no module {error.name}\n"
        "  hint: python3 -m venv .venv && .venv/bin/pip install .   (or set REGFLEET_PYTHON)"
    )

BUILD = Path(__file__).resolve().parent.parent / ".build"


def say(line: str) -> None:
    """A line of progress; standard output is for Vagrant."""
    sys.stderr.write(f"{line}\n")


def main(fleet: str, name: str, suite: str, variant: str, *aliases: str) -> None:
    """Build and print, as above.

    Raises:
        RegfleetError: the image cannot be built, or the engine cannot carry it.
    """
    docker = Docker(os.environ.get("DOCKER_HOST") or f"unix://{MACHINE_SOCKET}")
    images = Images(docker, BUILD / "images", say)
    twin = Twin(fleet, images, BUILD / fleet)
    host = HostSpec(name, suite, variant, aliases)
    image = images.host(suite, variant)
    images.seeds()
    with FileLock(images.cache / "network.lock"):  # hosts come up at the same time
        twin.prepare(1)
    settings = {"image": image, "name": twin.container(host), "create_args": twin.options(host)}
    json.dump(settings, sys.stdout)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except RegfleetError as error:
        sys.exit(f"error: {error}")
