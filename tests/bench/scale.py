"""Many hosts against one stub SSH server: wall clock, processor time, memory, and their growth."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import timing
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from regfleet.desired.resolve import resolve
from regfleet.fleet.load import load
from regfleet.look import request
from regfleet.materials import gather
from regfleet.rehearse.twin import Twin
from regfleet.shell.command import shell_command
from regfleet.state import StateDirectory

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PER_BLOCK = 250  # hosts in each of 127.1.0.0/24, 127.1.1.0/24, ...

HEAD = """\
version = 1
name = "{fleet}"

[ssh]
user = "root"
port = {port}
key = "{key}"
known_hosts = "{known_hosts}"
sudo = false

"""


@dataclass(frozen=True, slots=True)
class Recording:
    """A look that a real host was asked for, and its answer.

    Attributes:
        program: what went to the host's `sh -s`.
        answer: all that came back, the line with its exit status included.
        fleet: the name of the fleet that asked.
        body: its fleet file behind `[ssh]`, with `$hosts` for the client group's hosts.
        state: its state directory: the same CA, password and salt make the same look.
    """

    program: str
    answer: str
    fleet: str
    body: str
    state: Path


@dataclass(frozen=True, slots=True)
class Scale:
    """One apply of a fleet of `hosts` hosts with nothing to do.

    Attributes:
        counts: what the server counted: `connections`, `commands`, `refused`.
        document: regfleet's own `--json`.
    """

    hosts: int
    timing: timing.Timing
    counts: dict[str, int]
    document: dict[str, dict[str, dict[str, object]]] = field(repr=False)

    @property
    def unchanged(self) -> int:
        """Hosts that regfleet found as declared."""
        found = self.document["hosts"].values()
        return sum(host["status"] == "unchanged" for host in found)


MARK = "run-ffffffffffff-1"  # as long as those of runs; the stub puts each run's own in its place


def record(twin: Twin, name: str, fleet_file: Path, body: str) -> Recording:
    """Look at a real host that is as its fleet file declares, over OpenSSH.

    Args:
        twin: where it is.
        name: the host: in the one client group, and running no registry.
        fleet_file: the fleet file that has been applied.
        body: the same file behind `[ssh]`, with `$hosts` for the client group's hosts.
    """
    fleet = load(fleet_file)
    state = StateDirectory.beside(fleet.path, fleet.name)
    materials = gather(fleet, state, save=False)
    program = request.render(resolve(fleet, materials)[name], materials.salt, MARK)
    done = subprocess.run(
        ["ssh", "-F", twin.ssh_config, name, shell_command("sh -s", sudo=False)],
        input=program,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return Recording(program, done.stdout, fleet.name, body, state.path)


@contextmanager
def stub(recording: Recording, directory: Path) -> Iterator[tuple[int, dict[str, int]]]:
    """A running stub server: its port, and its counts once it has ended."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "program").write_text(recording.program)
    (directory / "answer").write_text(recording.answer)
    for name in ("host_key", "client_key"):
        _key(directory / name)
    public = (directory / "client_key.pub").read_text()
    (directory / "authorized_keys").write_text(public)
    process = subprocess.Popen(
        [sys.executable, HERE / "stub_server.py", directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    counts: dict[str, int] = {}
    try:
        port = int(process.stdout.readline() if process.stdout else "")
        yield port, counts
    finally:
        said, _ = process.communicate(timeout=60)
        counts.update(json.loads(said or "{}"))


def apply(recording: Recording, hosts: int, directory: Path, *, files: int = 0) -> Scale:
    """`regfleet apply` of as many hosts, each as the recorded one; strict host keys.

    Args:
        files: how many it may have open; 0 for as many as we may.
    """
    limit = ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh") if files else ()
    # A copy: these hosts are not to be missed by later runs of the fleet that was recorded.
    state = directory / "state"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(recording.state, state, symlinks=True)
    with stub(recording, directory) as (port, counts):
        file = write_fleet(recording, hosts, port, directory)
        took = timing.timed(
            [
                *limit,
                *(sys.executable, "-m", "regfleet", "apply", file, "--yes", "--json"),
                *("--limit", "clients", "--state-dir", state),
            ],
            environment={"PYTHONPATH": str(ROOT / "src")},
        )
    document = json.loads(took.output[took.output.index("{") : took.output.rindex("}") + 1])
    return Scale(hosts, took, counts, document)


def write_fleet(recording: Recording, hosts: int, port: int, directory: Path) -> Path:
    """A fleet of as many hosts at addresses of this machine, and its known_hosts, unhashed."""
    key = (directory / "host_key.pub").read_text().strip()
    addresses = [f"127.1.{number // PER_BLOCK}.{number % PER_BLOCK + 1}" for number in range(hosts)]
    known = "".join(f"[{address}]:{port} {key}\n" for address in addresses)
    (directory / "known_hosts").write_text(known)
    declared = ",\n  ".join(
        f'{{ name = "host{number:05}", address = "{address}" }}'
        for number, address in enumerate(addresses)
    )
    file = directory / "fleet.toml"
    head = HEAD.format(
        fleet=recording.fleet,
        port=port,
        key=directory / "client_key",
        known_hosts=directory / "known_hosts",
    )
    file.write_text(head + Template(recording.body).substitute(hosts=f"[\n  {declared}\n]"))
    return file


def _key(path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    path.with_suffix(".pub").write_bytes(public + b"\n")
