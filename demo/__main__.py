"""`make demo` and `make clean`: a throwaway fleet, provisioned by the command line as users run it.

python demo up                                   boot, write a fleet file, apply twice
python demo hosts DIR NAME[:SUITE[:VARIANT]]...  boot hosts for development
python demo down DIR                             remove those
python demo stop                                 end the engine, if it is ours
python demo clean                                remove all that was made under the build directory
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click

from regfleet import state_paths
from regfleet.errors import RegfleetError
from regfleet.rehearse import engine
from regfleet.rehearse.images import LABEL, Images
from regfleet.rehearse.twin import HostSpec, Twin, remove
from regfleet.terminal import streams

ENDPOINT = "registry.demo:5000"
REGISTRY = HostSpec("reg1", aliases=("registry.demo",))
CLIENTS = (HostSpec("client1"), HostSpec("client2"))

FLEET = """\
version = 1
name = "demo"

[ssh]
user = "root"
key = "id_ed25519"
known_hosts = "known_hosts"

[registry.main]
hosts = [{{ name = "reg1", address = "{reg1}" }}]
endpoint = "{endpoint}"
image_archive = "{registry}"

[registry.main.users]
alice = {{ password = "generate" }}

[client.build]
hosts = [
  {{ name = "client1", address = "{client1}" }},
  {{ name = "client2", address = "{client2}" }},
]
registries = ["main"]
login = {{ main = "alice" }}

[smoke]
image_archive = "{busybox}"
"""


def say(line: str) -> None:
    """A line of progress, for people."""
    streams.say(line)


@click.group()
@click.option(
    "--build",
    type=click.Path(path_type=Path),
    default=Path(".build"),
    help="Where everything goes.",
)
@click.pass_context
def cli(context: click.Context, build: Path) -> None:
    """Throwaway fleets in containers on this machine."""
    context.obj = build.resolve()


@cli.command()
@click.pass_obj
def up(build: Path) -> None:
    """Boot one registry host and two clients, apply a fleet file, apply it again."""
    place = build / "demo"
    say("[3/6] Engine and images (the first time takes about a minute)")
    images = _images(build)
    seeds = images.seeds()
    images.host(REGISTRY.suite, REGISTRY.variant)
    say("[4/6] Three hosts boot: reg1, client1, client2")
    shutil.rmtree(place, ignore_errors=True)
    twin = Twin("demo", images, place)
    twin.boot([REGISTRY, *CLIENTS])
    fleet = place / "fleet.toml"
    fleet.write_text(
        FLEET.format(
            endpoint=ENDPOINT,
            registry=os.path.relpath(seeds.registry, place),
            busybox=os.path.relpath(seeds.busybox, place),
            **{name: host.address for name, host in twin.hosts.items()},
        )
    )
    say(f"[5/6] regfleet apply {_short(fleet)} --yes")
    _regfleet("apply", str(fleet), "--yes")
    say(f"[6/6] regfleet apply {_short(fleet)} --yes   (again: finds nothing to do)")
    _regfleet("apply", str(fleet), "--yes")
    _give_to_caller(place)
    _closing_words(twin, fleet)


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def hosts(build: Path, directory: Path, names: tuple[str, ...]) -> None:
    """Boot hosts for development: DIRECTORY gets key and known_hosts, its name names the network.

    NAMES are NAME[:SUITE[:VARIANT]], and further names of the host after `=`, comma-separated:
    reg1:bookworm:docker=registry.example.com
    """
    images = _images(build)
    seeds = images.seeds()
    twin = Twin(directory.resolve().name, images, directory.resolve())
    twin.boot([_spec(name) for name in names])
    for host in twin.hosts.values():
        streams.out(f"{host.name} {host.address} (container {host.container})")
    for path in (twin.key, twin.known_hosts, seeds.registry, seeds.busybox):
        streams.out(str(path))
    streams.out(f"DOCKER_HOST={twin.docker.host}")


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.pass_obj
def down(build: Path, directory: Path) -> None:
    """Remove the hosts that `hosts DIRECTORY` booted."""
    Twin(directory.resolve().name, _images(build), directory.resolve()).stop()


@cli.command()
@click.pass_obj
def stop(build: Path) -> None:
    """End the engine that was started for the hosts, and the hosts with it."""
    engine.OwnEngine(build / "engine").stop()


@cli.command()
@click.pass_obj
def clean(build: Path) -> None:
    """Remove hosts, networks, images and engine that belong to the build directory."""
    own = engine.OwnEngine(build / "engine")
    own.remove()
    docker = engine.machine_engine()
    if docker is None:
        return
    label = f"{LABEL}={build}"
    remove(docker, label)
    images = docker.listing("images", "--quiet", "--filter", f"label={label}")
    if images:
        docker.run("rmi", "--force", *dict.fromkeys(images))


def _images(build: Path) -> Images:
    return Images(engine.connect(build / "engine", say).docker, build / "images", say)


def _spec(text: str) -> HostSpec:
    described, _, aliases = text.partition("=")
    name, suite, variant = [*described.split(":"), "", ""][:3]
    return HostSpec(
        name, suite or "bookworm", variant or "docker", tuple(filter(None, aliases.split(",")))
    )


def _regfleet(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "regfleet", *arguments], check=False)
    if done.returncode != 0:
        raise RegfleetError(
            f"`regfleet {shlex.join(arguments)}` ended with exit code {done.returncode}",
            "the hosts are still up; `make clean` removes them",
        )


def _give_to_caller(place: Path) -> None:
    """Under sudo, what lies in `place` belongs to whoever called it."""
    owner = os.environ.get("SUDO_UID")
    if owner is None:
        return
    for path in (place, *place.rglob("*")):
        os.chown(path, int(owner), int(os.environ.get("SUDO_GID", owner)), follow_symlinks=False)


def _closing_words(twin: Twin, fleet: Path) -> None:
    state = fleet.parent / state_paths.HOME / "demo"
    ssh = f"ssh -F {_short(twin.ssh_config)}"
    seeds = twin.images.seeds()
    say(
        f"""
The fleet is up: a registry with TLS and one user on reg1, used by client1 and client2.

What was declared, and what regfleet keeps (CA, generated password, reports):
  {_short(fleet)}
  {_short(state)}/

Use the registry from a client, which trusts it and is logged in:
  {ssh} client1 docker load <{_short(seeds.busybox)}
  {ssh} client1 docker tag busybox {ENDPOINT}/hello
  {ssh} client1 docker push {ENDPOINT}/hello
  {ssh} client2 docker run --rm {ENDPOINT}/hello echo hello

Change a host by hand and see it found and put right:
  {ssh} client2 rm -r /etc/docker/certs.d
  {_short(Path(sys.executable).with_name("regfleet"))} plan {_short(fleet)}

`make clean` removes all of it."""
    )


def _short(path: Path) -> str:
    """The path as one types it here: relative where it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def main() -> None:
    """Run, and show errors as the `regfleet` command does."""
    try:
        cli(standalone_mode=True)
    except RegfleetError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
