"""`regfleet up`: a private registry on this machine with one command."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import click
from rich.console import Console

from regfleet import seed
from regfleet.cli import runs
from regfleet.errors import EXIT_OK, RegfleetError, UsageError
from regfleet.fleet.load import load

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
    """Write a fleet of this machine alone, apply it, say how to log in."""
    console = Console(highlight=False)
    file = directory / "fleet.toml"
    if file.exists():
        console.print(f"{file} is there already: it is applied as it is.")
    else:
        _write(file, endpoint or _own_endpoint(), user, console)
    fleet = load(file)
    code = runs.apply(
        yes=yes or not _disturbs(),
        smoke=True,
        diff=False,
        junit=None,
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
    state = directory / ".regfleet" / fleet.name
    password = shlex.quote(str(state / "passwords" / "main" / name))
    console.print(
        f"\nThe registry [bold]{registry.endpoint}[/] is up; this machine is logged in as {name}.\n"
        f"  here:      docker push {registry.endpoint}/NAME:TAG\n"
        f"  elsewhere: copy {state}/ca.crt to /etc/docker/certs.d/{registry.endpoint}/, then\n"
        f"             docker login {registry.endpoint} -u {name} --password-stdin < {password}\n"
        f"             (or add that machine to {file} and run: regfleet apply {file})\n"
        f"  away:      regfleet destroy {file}",
        soft_wrap=True,
    )
    return EXIT_OK


def _write(file: Path, endpoint: str, user: str, console: Console) -> None:
    seeds = file.parent.resolve() / "images"
    registry = _archive(REGISTRY_IMAGE, seeds / "registry.tar", console)
    smoke = _archive(SMOKE_IMAGE, seeds / "busybox.tar", console)
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
    console.print(f"{file} is written: the registry {endpoint}, the user {user}.")


def _archive(image: str, path: Path, console: Console) -> str:
    """An archive where the image cannot be pulled, relative to the fleet file; says which."""
    relative = f"{path.parent.name}/{path.name}"
    if path.is_file():
        console.print(f"{image}: from the archive {path}")
        return relative
    if _present(image):
        console.print(f"{image}: the one that this machine has")
        return ""
    if seed.hub_reachable():
        console.print(f"{image}: from Docker Hub")
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
    console.print(
        f"{image}: Docker Hub cannot be reached; made of this distribution's packages: {made}",
        soft_wrap=True,
    )
    return relative


def _present(image: str) -> bool:
    if not shutil.which("docker"):
        return False
    found = subprocess.run(
        ["docker", "image", "inspect", image],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return found.returncode == 0


def _disturbs() -> bool:
    """Whether containers run here that a restart of the engine could stop: then it is asked."""
    if not shutil.which("docker"):
        return False
    found = subprocess.run(
        ["docker", "ps", "-q"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return bool(found.stdout.strip())


def _own_endpoint() -> str:
    """The name or address under which this machine is reached, and port 5000.

    The full name where it resolves to an address that is not this machine's loopback, else the
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
        click.echo("no network: the registry will be reached from this machine alone", err=True)
        return f"localhost:{PORT}"
    finally:
        probe.close()


def _loopback(name: str) -> bool:
    try:
        found = socket.getaddrinfo(name, PORT, proto=socket.IPPROTO_TCP)
    except OSError:
        return True
    return any(str(entry[4][0]).startswith(("127.", "::1")) for entry in found)
