"""`regfleet up`: a private registry on this machine with one command."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

from rich.console import Console

from regfleet import seed
from regfleet.cli import runs
from regfleet.errors import EXIT_OK, RegfleetError, UsageError
from regfleet.fleet.load import load
from regfleet.report.lines import show_text, show_whole
from regfleet.terminal.console import people
from regfleet.terminal.streams import say

REGISTRY_IMAGE, SMOKE_IMAGE = "registry:2", "busybox:latest"
PORT = 5000

FLEET = """\
# Written by `regfleet up`. It is yours now: `regfleet plan` and `regfleet apply` take it from here.
version = 1
name = "up"

[ssh]
sudo = {sudo}

[registry.main]
hosts = ["@local"]  # this machine
endpoint = "{endpoint}"
image = "{image}"{registry_archive}

[registry.main.users]
{user} = {{ password = "generate" }}

[client.local]
hosts = ["@local"]
install = true
registries = ["main"]
login = {{ main = "{user}" }}

[smoke]
image = "{smoke_image}"{smoke_archive}
"""


def up(*, endpoint: str | None, user: str, directory: Path, yes: bool, verbose: int) -> int:
    """Write a fleet of only this machine, apply it, print how to log in."""
    console = people()
    file = directory / "fleet.toml"
    if file.exists():
        show_text(console, f"{file} already exists: it is applied unchanged.")
    else:
        _write(file, endpoint or _own_endpoint(), user, console)
    fleet = load(file)
    code = runs.apply(
        yes=yes or not _has_running_containers(),
        smoke=True,
        diff=False,
        junit=None,
        how_to_log_in=True,
        file=file,
        limit=(),
        exclude=(),
        parallel=None,
        state_dir=None,
        as_json=False,
        verbose=verbose,
    )
    if code != EXIT_OK:
        return code
    registry = fleet.registries["main"]
    name = registry.users[0].name
    show_text(console, f"This machine is logged in as {name}.")
    show_text(console, f"To add another one, name it in {file}, and:")
    show_whole(console, f"  {shlex.join(['regfleet', 'apply', str(file)])}")
    show_text(console, "To take it all away:")
    show_whole(console, f"  {shlex.join(['regfleet', 'destroy', str(file)])}")
    return EXIT_OK


def _write(file: Path, endpoint: str, user: str, console: Console) -> None:
    seeds = file.parent.resolve() / "images"
    registry = _image_archive(REGISTRY_IMAGE, seeds / "registry.tar", console)
    smoke = _image_archive(SMOKE_IMAGE, seeds / "busybox.tar", console)
    text = FLEET.format(
        sudo="false" if os.geteuid() == 0 else "true",
        endpoint=endpoint,
        image=REGISTRY_IMAGE,
        registry_archive=f'\nimage_archive = "{registry}"' if registry else "",
        user=user,
        smoke_image=SMOKE_IMAGE,
        smoke_archive=f'\nimage_archive = "{smoke}"' if smoke else "",
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    show_text(console, f"{file} is written: the registry {endpoint}, the user {user}.")


def _image_archive(image: str, path: Path, console: Console) -> str:
    """The image's archive, relative to the fleet file; empty if the image can be pulled."""
    relative = f"{path.parent.name}/{path.name}"
    if path.is_file():
        show_text(console, f"{image}: from the archive {path}")
        return relative
    if _has_image(image):
        show_text(console, f"{image}: the one that this machine has")
        return ""
    if seed.hub_reachable():
        show_text(console, f"{image}: from Docker Hub")
        return ""
    path.parent.mkdir(parents=True, exist_ok=True)
    build = seed.build_registry if image == REGISTRY_IMAGE else seed.build_busybox
    try:
        made = build(path)
    except RegfleetError as error:
        raise UsageError(
            f"Docker Hub cannot be reached, and {image} cannot be made here: {error.message}",
            f"put an archive of it (`docker save {image}`) at {path}, then run this again",
        ) from error
    show_text(
        console,
        f"{image}: Docker Hub cannot be reached; made of this distribution's packages: {made}",
    )
    return relative


def _has_image(image: str) -> bool:
    if not shutil.which("docker"):
        return False
    found = subprocess.run(
        ["docker", "image", "inspect", image],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return found.returncode == 0


def _has_running_containers() -> bool:
    """Whether containers run here that a restart of the engine could stop."""
    if not shutil.which("docker"):
        return False
    found = subprocess.run(
        ["docker", "ps", "-q"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return bool(found.stdout.strip())


def _own_endpoint() -> str:
    """This machine's name or address, and port 5000.

    The full name if it resolves to an address other than loopback, else the
    address of the interface that leads outside, else the host name.
    """
    name = socket.getfqdn()
    if "." in name and not _loopback(name):
        return f"{name.lower()}:{PORT}"
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737); connecting UDP sends nothing
        return f"{probe.getsockname()[0]}:{PORT}"
    except OSError:
        say("no network: the registry will be reached from this machine alone")
        return f"localhost:{PORT}"
    finally:
        probe.close()


def _loopback(name: str) -> bool:
    try:
        found = socket.getaddrinfo(name, PORT, proto=socket.IPPROTO_TCP)
    except OSError:
        return True
    return any(str(entry[4][0]).startswith(("127.", "::1")) for entry in found)
