"""Writes the test fleet's inventory from what `vagrant ssh-config` prints.

    vagrant ssh-config | python3 inventory.py [FLEET.toml]
    python3 inventory.py --remove [FLEET.toml]

Beside the fleet file (inventories/vagrant.toml) come the hosts' keys, `NAME.known_hosts`, and
`@vagrant.json`, which has for pyinfra's connector of that name what Vagrant does not know. Where
reg1 does not run there is nothing to declare, and all three are removed. The Vagrantfile runs this
whenever hosts have come or gone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ARCHIVES = ROOT / ".build" / "images"  # made by docker_host.py and by `make demo`
REGISTRY = "reg1"
ENDPOINT = "registry.vagrant.test:5000"
ENGINES = {"podman": "podman", "containerd": "containerd"}  # of kinds of hosts; docker is the rest

HEAD = """\
#:schema {schema}
# Written by vagrant/inventory.py when hosts of the test fleet come or go; changes would be lost.
version = 1
name = "vagrant"

[ssh]
user = {user}
known_hosts = {known_hosts}

[registry.main]
hosts = [
{hosts}]
endpoint = {endpoint}
"""

USERS = """
[registry.main.users]
ci = { password = "generate" }
"""

CLIENT = """
[client.{kind}]
hosts = [
{hosts}]
"""

USES = """\
registries = ["main"]
login = { main = "ci" }
"""


class Host(NamedTuple):
    """A host that runs: how to reach it, and its keys as lines of a known_hosts file."""

    name: str
    address: str
    port: int
    user: str
    key: Path
    host_keys: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What kind of host it is, and so the group that it is in: `trixie2` is a `trixie`."""
        return self.name.rstrip("0123456789")

    @property
    def place(self) -> str:
        """Its name in a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"  # noqa: PLR2004


def parse(config: str) -> list[Host]:
    """The hosts of an OpenSSH client's configuration, as `vagrant ssh-config` prints it.

    Raises:
        KeyError: a host lacks what Vagrant always prints.
    """
    blocks: list[dict[str, str]] = []
    for line in config.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword == "Host":
            blocks.append({})
        if blocks and keyword:
            blocks[-1].setdefault(keyword, value.strip().strip('"'))
    return [
        Host(
            block["Host"],
            block["HostName"],
            int(block["Port"]),
            block["User"],
            Path(block["IdentityFile"]),
        )
        for block in blocks
    ]


def ask_for_keys(host: Host) -> Host:
    """The host with its keys, asked of itself; without any where it does not answer.

    They are taken on trust, as Vagrant takes them: over this machine's own networks.
    """
    scanned = subprocess.run(
        ["ssh-keyscan", "-T", "5", "-p", str(host.port), host.address],
        capture_output=True,
        text=True,
        check=False,
    )
    keys = (line.split()[1:3] for line in scanned.stdout.splitlines() if line[:1] != "#")
    return host._replace(host_keys=tuple(f"{host.place} {' '.join(key)}\n" for key in sorted(keys)))


def fleet(hosts: Iterable[Host], beside: Path, known_hosts: str) -> str:
    """The fleet file's text.

    Args:
        hosts: the hosts, one of them called `reg1`.
        beside: the directory that the file will be in.
        known_hosts: the name of the file with their keys.
    """
    groups: defaultdict[str, list[Host]] = defaultdict(list)
    for host in hosts:
        groups[host.kind].append(host)
    registry = next(host for host in groups.pop("reg") if host.name == REGISTRY)
    text = HEAD.format(
        schema=os.path.relpath(ROOT / "schema" / "fleet.schema.json", beside),
        user=_quoted(registry.user),
        known_hosts=_quoted(known_hosts),
        hosts=_entries([registry], beside),
        endpoint=_quoted(ENDPOINT),
    )
    text += _archive("registry.tar", beside) + USERS
    for kind, members in groups.items():
        text += CLIENT.format(kind=kind, hosts=_entries(members, beside))
        if kind in ENGINES:
            text += f"engine = {_quoted(ENGINES[kind])}\n"
        text += USES
    if archive := _archive("busybox.tar", beside):
        text += f"\n[smoke]\n{archive}"
    return text


def connector(hosts: Iterable[Host], fleet_file: Path, known_hosts: Path) -> Mapping[str, object]:
    """What `@vagrant.json` says: groups and data by host (pyinfra, connectors/vagrant.py)."""
    data = {
        "regfleet_fleet": str(fleet_file),
        "ssh_known_hosts_file": str(known_hosts),
        "ssh_strict_host_key_checking": "yes",
    }
    groups = {
        host.name: (
            ["registry_main", "registries"]
            if host.name == REGISTRY
            else [f"client_{host.kind}", "clients"]
        )
        for host in hosts
    }
    return {"groups": groups, "data": dict.fromkeys(groups, data)}


def write(config: str, fleet_file: Path) -> None:
    """Write the three files for the hosts of `config` that answer; without reg1, remove them."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        asked = pool.map(ask_for_keys, parse(config))
    hosts = sorted((host for host in asked if host.host_keys), key=_order)
    shown = _short(fleet_file, Path.cwd())
    if REGISTRY not in {host.name for host in hosts}:
        remove(fleet_file)
        _say(f"{shown}: none, since {REGISTRY} does not answer")
        return
    known_hosts, groups = _beside(fleet_file)
    fleet_file.parent.mkdir(parents=True, exist_ok=True)
    _replace(known_hosts, "".join(key for host in hosts for key in host.host_keys))
    _replace(groups, json.dumps(connector(hosts, fleet_file, known_hosts), indent=2) + "\n")
    _replace(fleet_file, fleet(hosts, fleet_file.parent, known_hosts.name))
    _say(f"{shown}: {', '.join(host.name for host in hosts)}")


def remove(fleet_file: Path) -> None:
    """Remove the three files."""
    for path in (fleet_file, *_beside(fleet_file)):
        path.unlink(missing_ok=True)


def _beside(fleet_file: Path) -> tuple[Path, Path]:
    return fleet_file.with_suffix(".known_hosts"), fleet_file.with_name("@vagrant.json")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _order(host: Host) -> tuple[bool, str, int]:
    return host.name != REGISTRY, host.kind, int(re.sub(r"\D", "", host.name) or 0)


def _entries(hosts: Sequence[Host], beside: Path) -> str:
    return "".join(
        f"  {{ name = {_quoted(host.name)}, address = {_quoted(host.address)},"
        f" ssh = {{ port = {host.port}, key = {_quoted(_short(host.key, beside))} }} }},\n"
        for host in hosts
    )


def _archive(name: str, beside: Path) -> str:
    """A line that names an archive of an image, where there is one."""
    path = ARCHIVES / name
    return f"image_archive = {_quoted(_short(path, beside))}\n" if path.exists() else ""


def _short(path: Path, beside: Path) -> str:
    """The path as seen from `beside` where both are in this tree, absolute elsewhere."""
    inside = path.is_relative_to(ROOT) and beside.is_relative_to(ROOT)
    return os.path.relpath(path, beside) if inside else str(path)


def _quoted(text: str) -> str:
    # A basic string of TOML is JSON's, but for DEL, and for what JSON writes as two escapes.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(path: Path, text: str) -> None:
    """Write a file whole: whoever reads it meanwhile has the old one."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8")
    part.replace(path)


def main(*arguments: str) -> None:
    """Do what the command line says."""
    given = [argument for argument in arguments if argument != "--remove"]
    fleet_file = Path(given[0]).absolute() if given else ROOT / "inventories" / "vagrant.toml"
    if given != list(arguments):
        remove(fleet_file)
    elif config := sys.stdin.read():
        write(config, fleet_file)
    else:  # `vagrant ssh-config` failed, and has said why
        sys.exit("error: no hosts on standard input")


if __name__ == "__main__":
    main(*sys.argv[1:])
