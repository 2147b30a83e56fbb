"""The engine that carries twin hosts: the machine's own, or one that is started for them.

An engine of ours keeps everything under two directories, listens on a socket and has a bridge of
its own; it reads no configuration of the machine's, and leaves nothing behind when it is stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from regfleet.errors import RegfleetError
from regfleet.rehearse import firewall
from regfleet.rehearse.docker import Docker
from regfleet.rehearse.images import Progress, silent

MACHINE_SOCKET = Path("/var/run/docker.sock")
START_SECONDS = 60.0
STOP_SECONDS = 60.0

# Twin networks are /24s out of the first of these that the machine has no route into.
POOLS = ("10.213.0.0/16", "10.214.0.0/16", "172.30.0.0/16", "192.168.192.0/20")


@dataclass(frozen=True, slots=True)
class OwnEngine:
    """A dockerd that we start and stop.

    Attributes:
        directory: gets the images' and containers' data, the log and the settings. Links in its
            path are resolved: runc takes no root file system behind one.
    """

    directory: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "directory", self.directory.resolve())

    @property
    def runtime(self) -> Path:
        """Sockets and mounts; short, because a socket's path has 107 bytes (unix(7))."""
        return Path("/run", f"regfleet-{self._digest}")

    @property
    def bridge(self) -> str:
        """The default bridge. With `none`, dockerd would delete docker0, whoever's it is."""
        return f"rf{self._digest}"

    @property
    def docker(self) -> Docker:
        """The client for it."""
        return Docker(f"unix://{self.runtime}/docker.sock")

    @property
    def log(self) -> Path:
        """What dockerd writes."""
        return self.directory / "dockerd.log"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(str(self.directory).encode()).hexdigest()[:8]

    @property
    def _pidfile(self) -> Path:
        return self.directory / "docker.pid"

    @property
    def _rules_before(self) -> Path:
        return self.directory / "firewall-before.json"

    def pid(self) -> int | None:
        """The process id of this very engine, if it runs."""
        try:
            pid = int(self._pidfile.read_text())
            command = Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self._pidfile).encode() in command else None

    def start(self) -> None:
        """Start dockerd and return when it answers; nothing when it does already.

        Raises:
            RegfleetError: another engine uses the directory, not root, dockerd is missing, or it
                does not come up (the end of its log is in the message).
        """
        if self.pid() is not None and self.docker.answers():
            return
        self.stop()
        if os.geteuid() != 0:
            raise RegfleetError(
                "no Docker engine answers, and starting one for the test hosts needs root",
                "run it with sudo, or set DOCKER_HOST to an engine on this machine",
            )
        if shutil.which("dockerd") is None:
            raise RegfleetError(
                "no Docker engine answers, and dockerd is not installed",
                "apt-get install docker.io iptables",
            )
        self.directory.mkdir(parents=True, exist_ok=True)
        self.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._rules_before.write_text(json.dumps(firewall.snapshot(self._path())))
        # dockerd deletes docker0, whoever's it is, where it finds a default bridge of its own from
        # before and has address pools (moby, daemon_unix.go, removeDefaultBridgeInterface).
        shutil.rmtree(self.directory / "data" / "network", ignore_errors=True)
        pool = free_pool(Path("/proc/net/route").read_text())
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("address", "add", f"{_gateway(pool)}/24", "dev", self.bridge)
        settings = self.directory / "daemon.json"
        settings.write_text(json.dumps(self._settings(pool), indent=2))
        # In the background and in a session of its own, so that it outlives this process.
        launched = subprocess.run(
            [
                *("sh", "-c", '"$@" >>"$0" 2>&1 </dev/null & echo $!', str(self.log)),
                *("setsid", "dockerd", "--config-file", str(settings)),
                *("--pidfile", str(self._pidfile)),
            ],
            capture_output=True,
            text=True,
            cwd="/",
            env={**os.environ, "PATH": self._path()},
            check=True,
        )
        self._await(int(launched.stdout))

    def stop(self) -> None:
        """End this engine with all its containers and networks; its images stay for the next time.

        What it did to the machine's packet filter is taken back.

        Raises:
            RegfleetError: it does not stop, or another engine uses the directory.
        """
        pid = self.pid()
        if pid is None and self._is_in_use():
            raise RegfleetError(
                f"another Docker engine uses {self.directory}/data: nothing was touched there",
                "stop that engine, or give another directory",
            )
        if pid is not None:
            self._empty()
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while _is_alive(pid):
                if time.monotonic() > deadline:
                    raise RegfleetError(
                        f"the engine for the test hosts (process {pid}) does not stop",
                        f"look at {self.log}",
                    )
                time.sleep(0.1)
        if self._rules_before.exists():
            # An engine of the machine's that came up meanwhile has taken the same chains over.
            if machine_engine() is None:
                before = json.loads(self._rules_before.read_text())
                firewall.restore(before, self.bridge, self._path())
            self._rules_before.unlink()
        if Path("/sys/class/net", self.bridge).exists():
            _ip("link", "delete", self.bridge)
        self._pidfile.unlink(missing_ok=True)
        shutil.rmtree(self.runtime, ignore_errors=True)

    def remove(self) -> None:
        """Stop it and delete all its data."""
        self.stop()
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def _is_in_use(self) -> bool:
        """Whether an engine has its data here, by whatever path and under whatever settings.

        dockerd locks its list of volumes while it runs (flock(2) by bbolt; seen in /proc/locks).
        """
        try:
            with (self.directory / "data" / "volumes" / "metadata.db").open("rb") as volumes:
                fcntl.flock(volumes, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _empty(self) -> None:
        if not self.docker.answers():
            return
        if containers := self.docker.listing("ps", "--all", "--quiet"):
            self.docker.run("rm", "--force", "--volumes", *containers)
        if networks := self.docker.listing("network", "ls", "--quiet", "--filter", "type=custom"):
            self.docker.run("network", "rm", *networks)

    def _path(self) -> str:
        return firewall.path_with_working_iptables(self.directory / "bin")

    def _settings(self, pool: str) -> dict[str, object]:
        return {
            "data-root": str(self.directory / "data"),
            "exec-root": str(self.runtime),
            "hosts": [self.docker.host],
            "bridge": self.bridge,
            "default-address-pools": [{"base": pool, "size": 24}],
            "ip6tables": False,
            "live-restore": False,
            "log-opts": {"max-size": "10m"},
        }

    def _await(self, pid: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.docker.answers():
            if not _is_alive(pid) or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace").strip().splitlines()[-6:]
                self.stop()
                raise RegfleetError(
                    "the engine for the test hosts did not start:\n" + "\n".join(said),
                    f"its whole log: {self.log}",
                )
            time.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine to use.

    Attributes:
        docker: the client for it.
        own: ours to stop, or None where the machine's is used.
    """

    docker: Docker
    own: OwnEngine | None


def machine_engine() -> Docker | None:
    """The engine of `DOCKER_HOST`, or else the machine's; None where neither answers."""
    named = os.environ.get("DOCKER_HOST")
    candidates = (
        [named] if named else [f"unix://{MACHINE_SOCKET}"] if MACHINE_SOCKET.exists() else []
    )
    return next((docker for docker in map(Docker, candidates) if docker.answers()), None)


def connect(directory: Path, progress: Progress = silent) -> Engine:
    """The machine's engine where it answers; otherwise one of ours under `directory`, started.

    Raises:
        RegfleetError: `DOCKER_HOST` is set and does not answer, or ours cannot be started.
    """
    docker = machine_engine()
    if docker is not None:
        return Engine(docker, None)
    if named := os.environ.get("DOCKER_HOST"):
        raise RegfleetError(
            f"the engine that DOCKER_HOST names does not answer: {named}",
            "start it, or unset DOCKER_HOST to have one started for the test hosts",
        )
    own = OwnEngine(directory)
    if own.pid() is None:
        progress("starting an engine for the test hosts (the machine's own is left alone)")
    own.start()
    return Engine(own.docker, own)


def free_pool(routes: str) -> str:
    """The first pool that overlaps no route of this machine but the default one.

    Args:
        routes: the text of /proc/net/route (proc_net(5)).

    Raises:
        RegfleetError: each overlaps one.
    """
    fields = [line.split() for line in routes.splitlines()[1:]]
    networks = [
        ipaddress.ip_network(f"{_address(destination)}/{_address(mask)}")
        for _, destination, *_, mask in (line[:8] for line in fields)
        if mask != "00000000"
    ]
    for pool in POOLS:
        if not any(ipaddress.ip_network(pool).overlaps(network) for network in networks):
            return pool
    raise RegfleetError(
        f"this machine has routes into each of {', '.join(POOLS)}; no address range is left",
        "set DOCKER_HOST to an engine on this machine that has one",
    )


def _gateway(pool: str) -> str:
    """The default bridge's address, in the last /24: networks are given out from the first."""
    *_, last = ipaddress.ip_network(pool).subnets(new_prefix=24)
    return str(last[1])


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RegfleetError(
            f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}",
            "the engine for the test hosts needs a network bridge of its own",
        )


def _address(word: str) -> ipaddress.IPv4Address:
    """An address as /proc/net/route has it: eight hex digits, least significant byte first."""
    return ipaddress.IPv4Address(bytes.fromhex(word)[::-1])


def _is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be collected does not."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
