"""Twin hosts: containers that boot like machines, on a network of their own.

Each has its own first process, sshd, host key and, by variant, engine; they resolve each other
by name. They are reached from this machine by address.

    twin = Twin("demo", images, directory)
    twin.boot([HostSpec("reg1", aliases=("registry.demo",)), HostSpec("client1")])
    twin.hosts["reg1"].address, twin.key, twin.known_hosts
    twin.stop()
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from regfleet.errors import HostError, RegfleetError
from regfleet.rehearse.docker import Completed, Docker
from regfleet.rehearse.images import LABEL, Images
from regfleet.rehearse.isolation import run_options

TWIN_LABEL = "regfleet.twin"
BOOT_SECONDS = 90.0
MANY_HOSTS = 15
LONGEST_HOSTNAME = 64
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_WANTED = 1024

SSH_CONFIG = """\
Host *
    User root
    IdentityFile "{twin.key}"
    IdentitiesOnly yes
    UserKnownHostsFile "{twin.known_hosts}"
    StrictHostKeyChecking yes
"""


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A host to boot.

    Attributes:
        name: its host name, which the others resolve.
        suite: Debian or Ubuntu suite.
        variant: `docker`, `bare`, `sysv`, `openrc` or `light` (see vagrant/host-image.sh).
        aliases: further names that resolve to it.
        volumes: what it shares with other hosts of the twin: names and where each is mounted.
    """

    name: str
    suite: str = "bookworm"
    variant: str = "docker"
    aliases: tuple[str, ...] = ()
    volumes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TwinHost:
    """A host that is up.

    Attributes:
        spec: what was asked for.
        container: its container's name.
        address: its IPv4 address, reachable from this machine.
        host_key: its public host key, `ssh-ed25519 AAAA...`.
    """

    spec: HostSpec
    docker: Docker
    container: str
    address: str
    host_key: str

    @property
    def name(self) -> str:
        """The host's name."""
        return self.spec.name

    def run(self, script: str, stdin: str = "", timeout: float | None = 120) -> Completed:
        """Run a shell script on the host as root, out of band: no SSH is involved.

        Raises:
            RegfleetError: `timeout` seconds went by.
        """
        command = ("exec", "-i", self.container, "sh", "-c", script)
        return self.docker.try_run(*command, stdin=stdin, timeout=timeout)

    def read(self, script: str) -> str:
        """Run a shell script like `run` and return its output, stripped.

        Raises:
            HostError: it failed.
        """
        done = self.run(script)
        if done.returncode != 0:
            raise HostError(self.name, f"{self.name}: `{script}` failed: {done.stderr.strip()}")
        return done.stdout.strip()


@dataclass(slots=True)
class Twin:
    """A network of hosts and what is needed to reach them.

    Attributes:
        name: names the network and prefixes the containers; one twin of a name at a time.
        images: the engine and its images.
        directory: gets `id_ed25519`, `id_ed25519.pub`, `known_hosts` and `ssh_config`.
        hosts: the hosts that are up, by name.
    """

    name: str
    images: Images
    directory: Path
    hosts: dict[str, TwinHost] = field(default_factory=dict)
    host_type: ClassVar[type[TwinHost]] = TwinHost
    _given_up: bool = False

    @property
    def docker(self) -> Docker:
        """The engine that carries the hosts."""
        return self.images.docker

    @property
    def network(self) -> str:
        """The Docker network's name."""
        return f"regfleet-{self.name}"

    @property
    def key(self) -> Path:
        """The private key that root, ops and vagrant accept on each host."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Each host's key, under its name and its address, unhashed."""
        return self.directory / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """For people: `ssh -F SSH_CONFIG NAME`."""
        return self.directory / "ssh_config"

    def boot(self, specs: Iterable[HostSpec]) -> None:
        """Boot hosts, and return when each is up and answers SSH.

        May be called again to add hosts. Leftovers of an earlier twin of the same name go first.

        Raises:
            RegfleetError: an image cannot be built, or a host does not come up.
        """
        wanted = list(specs)
        tags = {
            kind: self.images.host(*kind)
            for kind in dict.fromkeys((spec.suite, spec.variant) for spec in wanted)
        }
        if not self.hosts:
            self.stop()
        self.prepare(len(wanted))
        self._ensure_key()
        for name in dict.fromkeys(name for spec in wanted for name, _ in spec.volumes):
            self.docker.run("volume", "create", *self._labels(), self._volume(name))
        with ThreadPoolExecutor(max_workers=4) as pool:
            containers = list(
                pool.map(lambda spec: self._start(spec, tags[spec.suite, spec.variant]), wanted)
            )
        # Waiting costs nothing: each host gets its own thread.
        with ThreadPoolExecutor(max_workers=max(1, len(wanted))) as pool:
            try:
                up = list(pool.map(self._await, wanted, containers))
            except BaseException:
                self._given_up = True  # or the other threads would be waited for
                raise
        self.hosts.update({host.name: host for host in up})
        self._write_ssh_files()

    def prepare(self, count: int) -> None:
        """See to the network where it is missing, and to room for `count` more hosts.

        For who runs the containers without `boot`, which does this by itself.

        Raises:
            RegfleetError: this machine has no room for them, or the engine refuses.
        """
        if self.docker.try_run("network", "inspect", self.network).returncode != 0:
            self._create_network()
        self._raise_inotify(count)

    def container(self, spec: HostSpec) -> str:
        """The name of a host's container."""
        return f"{self.network}-{spec.name}"

    def options(self, spec: HostSpec) -> tuple[str, ...]:
        """The options of `docker run` for a host, its names and its network among them."""
        aliases = (f"--network-alias={alias}" for alias in (spec.name, *spec.aliases))
        return (
            *("--name", self.container(spec), "--hostname", _hostname(spec.name)),
            *("--network", self.network),
            *aliases,
            *(f"--volume={self._volume(name)}:{path}" for name, path in spec.volumes),
            *self._labels(),
            *run_options(self.docker.host, spec.variant),
        )

    def stop(self) -> None:
        """Remove every host of this twin, their volumes and the network; nothing else."""
        remove(self.docker, f"{TWIN_LABEL}={self.name}")
        self.hosts.clear()

    def _labels(self) -> Sequence[str]:
        build = f"{LABEL}={self.images.cache.parent}"
        return ("--label", f"{TWIN_LABEL}={self.name}", "--label", build)

    def _create_network(self) -> None:
        # A bridge that sends larger frames than the way out takes stalls on downloads.
        mtu = f"com.docker.network.driver.mtu={_outgoing_mtu()}"
        self.docker.run("network", "create", *self._labels(), "--opt", mtu, self.network)

    def _raise_inotify(self, count: int) -> None:
        running = len(self.docker.listing("ps", "-q", "--filter", f"label={TWIN_LABEL}"))
        if running + count <= MANY_HOSTS or int(INOTIFY.read_text()) >= INOTIFY_WANTED:
            return
        self.images.progress(
            f"raising fs.inotify.max_user_instances to {INOTIFY_WANTED} for more than "
            f"{MANY_HOSTS} hosts"
        )
        try:
            INOTIFY.write_text(str(INOTIFY_WANTED))
        except OSError as error:
            raise RegfleetError(
                f"more than {MANY_HOSTS} hosts need fs.inotify.max_user_instances={INOTIFY_WANTED},"
                f" and it cannot be set: {error.strerror}",
                f"sysctl fs.inotify.max_user_instances={INOTIFY_WANTED}",
            ) from error

    def _ensure_key(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.key.exists():
            return
        private = Ed25519PrivateKey.generate()
        self.key.touch(mode=0o600)
        self.key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
        )
        public = private.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        self.key.with_suffix(".pub").write_bytes(public + b" regfleet twin\n")

    def _volume(self, name: str) -> str:
        return f"{self.network}-{name}"

    def _start(self, spec: HostSpec, tag: str) -> str:
        self.docker.run("run", "--detach", *self.options(spec), tag)
        return self.container(spec)

    def _await(self, spec: HostSpec, container: str) -> TwinHost:
        deadline = time.monotonic() + BOOT_SECONDS
        authorize = _AUTHORIZE
        public = self.key.with_suffix(".pub").read_text()
        while True:
            done = self.docker.try_run(
                "exec", "-i", container, "sh", "-c", authorize, stdin=public, timeout=60
            )
            if done.returncode == 0:
                break
            late = self._given_up or time.monotonic() > deadline
            if late or not self._running(container):
                raise self._not_up(spec, container, done.stderr)
            time.sleep(0.2)
        address, host_key = done.stdout.strip().split(" ", 1)
        _await_sshd(spec.name, address, deadline)
        return self.host_type(spec, self.docker, container, address, host_key)

    def _running(self, container: str) -> bool:
        state = self.docker.try_run("inspect", "--format", "{{.State.Running}}", container)
        return state.stdout.strip() == "true"

    def _not_up(self, spec: HostSpec, container: str, said: str) -> HostError:
        logs = self.docker.try_run("logs", "--tail", "8", container)
        last = "\n".join(text.strip() for text in (said, logs.stdout, logs.stderr) if text.strip())
        return HostError(
            spec.name,
            f"{spec.name} ({spec.suite}, {spec.variant}) did not come up:\n{last}",
            f"look inside: DOCKER_HOST={self.docker.host} docker logs {container}",
        )

    def _write_ssh_files(self) -> None:
        hosts = self.hosts.values()
        known = [f"{host.name},{host.address} {host.host_key}\n" for host in hosts]
        self.known_hosts.write_text("".join(known))
        places = [f"Host {host.name}\n    HostName {host.address}\n" for host in hosts]
        self.ssh_config.write_text("".join(places) + SSH_CONFIG.format(twin=self))


# Fails until the host is up; then lets the key in and prints address and host key.
_AUTHORIZE = r"""
set -eu
if [ -x /lib/systemd/systemd ]; then
    state=$(systemctl is-system-running --wait 2>/dev/null) || [ "$state" = degraded ]
fi
if [ -x /usr/sbin/dockerd ]; then
    docker version >/dev/null
fi
key=$(cat)
for user in root ops vagrant; do
    home=$(getent passwd "$user" | cut -d: -f6)
    echo "$key" >"$home/.ssh/authorized_keys"
    chown "$user:" "$home/.ssh/authorized_keys"
    chmod 0600 "$home/.ssh/authorized_keys"
done
address=$(ip -4 -o address show dev eth0 | awk '{sub("/.*", "", $4); print $4; exit}')
host_key=$(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)
if [ -z "$address" ] || [ -z "$host_key" ]; then exit 1; fi
echo "$address $host_key"
"""


def remove(docker: Docker, label: str) -> None:
    """Remove the containers, volumes and networks that carry `label` (`KEY=VALUE`)."""
    chosen = ("--quiet", "--filter", f"label={label}")
    containers = docker.listing("ps", "--all", *chosen)
    if containers:
        docker.run("rm", "--force", "--volumes", *containers)
    volumes = docker.listing("volume", "ls", *chosen)
    if volumes:
        docker.run("volume", "rm", *volumes)
    networks = docker.listing("network", "ls", *chosen)
    if networks:
        docker.run("network", "rm", *networks)


def _hostname(name: str) -> str:
    """The name, or its first label where the kernel takes no longer one (gethostname(2))."""
    return name if len(name) <= LONGEST_HOSTNAME else name.partition(".")[0]


def _await_sshd(name: str, address: str, deadline: float) -> None:
    while True:
        try:
            with socket.create_connection((address, 22), timeout=3) as connection:
                if connection.recv(8).startswith(b"SSH-2.0"):
                    return
        except OSError as error:
            why = error.strerror or str(error)
        else:
            why = "no SSH banner"
        if time.monotonic() > deadline:
            raise HostError(
                name,
                f"{name} is up, but its SSH port at {address}:22 cannot be reached: {why}",
                "the engine must run on this machine itself, its bridge networks reachable",
            )
        time.sleep(0.2)


def _outgoing_mtu() -> int:
    """The MTU of the interface that carries the default route; 1500 where there is none."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        interface, destination = line.split()[:2]
        mtu = Path("/sys/class/net", interface, "mtu")
        if destination == "00000000" and os.access(mtu, os.R_OK):
            return int(mtu.read_text())
    return 1500
