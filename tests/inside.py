"""Twin hosts for tests, with shells that stay inside: a script costs a tenth of a `docker exec`.

`docker exec` starts a client, and runc twice: some 50 ms of processor time for each script. Here
that is paid once for a shell, which then takes one script after the other.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Timer
from typing import IO, NamedTuple

from regfleet.errors import RegfleetError
from regfleet.rehearse.docker import Completed, Docker
from regfleet.rehearse.twin import Twin, TwinHost

SSHD_LOG = "/var/log/sshd.log"
SESSION = re.compile(r"Starting session: (command|subsystem '[^']*'|shell)")

# What runs inside. It is asked with two sizes, says that it is there, gets a script and its
# standard input, and answers with a status, two sizes, output and complaints. Each script is a
# session of its own, as under `docker exec`. Neither read nor head(1) takes more out of a pipe
# than it was asked for.
_LOOP = r"""
umask 077
place=$(mktemp -d /run/inside.XXXXXX) && cd "$place" || exit
trap 'rm -rf "$place"' EXIT
exec 2>/dev/null
while read -r script input; do
    echo here
    head -c "$script" >script
    head -c "$input" >input
    (umask 022 && cd / && exec setsid --wait sh -c "$(cat "$place/script")") \
        <input >output 2>complaints
    echo "$? $(wc -c <output) $(wc -c <complaints)"
    cat output complaints
done
"""
GONE = 137  # what `docker exec` ends with when its container is stopped: 128 and SIGKILL
DAY = 86400.0


class Answer(NamedTuple):
    status: int
    output: str
    complaints: str


class _Shell:
    def __init__(self, docker: Docker, container: str) -> None:
        self._process = subprocess.Popen(
            ["docker", "exec", "-i", container, "sh", "-c", _LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=docker.environment(),
        )

    def run(self, script: bytes, stdin: bytes, timeout: float) -> Answer | None:
        """Run a script; None where the shell was gone before it took it.

        Raises:
            TimeoutError: after `timeout` seconds.
        """
        begun = False
        with self._killed_after(timeout):
            try:
                self._write(b"%d %d\n" % (len(script), len(stdin)))
                begun = self._line() == b"here"
                self._write(script + stdin)
                status, *sizes = map(int, self._line().split())
                texts = [
                    _open(self._process.stdout).read(size).decode(errors="replace")
                    for size in sizes
                ]
            except BrokenPipeError:
                return Answer(GONE, "", "the container went away\n") if begun else None
        return Answer(status, *texts)

    @contextmanager
    def _killed_after(self, seconds: float) -> Iterator[None]:
        late = Event()

        def kill() -> None:
            late.set()
            self._process.kill()

        timer = Timer(seconds, kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if late.is_set():
                self.close()
                raise TimeoutError

    def close(self) -> Answer:
        """End it; what the docker client said in the end."""
        with suppress(OSError):
            _open(self._process.stdin).close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        with _open(self._process.stdout), _open(self._process.stderr) as complaints:
            said = complaints.read().decode(errors="replace")
        return Answer(self._process.wait(), "", said)

    def _write(self, content: bytes) -> None:
        pipe = _open(self._process.stdin)
        pipe.write(content)
        pipe.flush()

    def _line(self) -> bytes:
        line = _open(self._process.stdout).readline()
        if not line.endswith(b"\n"):
            raise BrokenPipeError
        return line.strip()


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise BrokenPipeError
    return pipe


@dataclass(frozen=True, slots=True)
class Inside:
    """The shells inside one container: one for each script that runs at the same time.

    Attributes:
        docker: the client of the container's engine.
        container: its name.
    """

    docker: Docker
    container: str
    _idle: list[_Shell] = field(default_factory=list, compare=False, repr=False)

    def run(self, script: str, stdin: str = "", timeout: float | None = None) -> Completed:
        """Run a shell script as root with `stdin`; the caller looks at the return code.

        It is that of `docker exec` where the container does not run, or stops meanwhile.

        Raises:
            RegfleetError: `timeout` seconds went by.
        """
        answer = None
        while answer is None:
            shell, is_new = self._take()
            try:
                answer = shell.run(script.encode(), stdin.encode(), timeout or DAY)
            except TimeoutError:
                raise RegfleetError(
                    f"a script gave no answer within {timeout} seconds: {script}",
                    f"see whether {self.container} is well: docker logs {self.container}",
                ) from None
            if answer is not None:
                self._idle.append(shell)
            elif is_new:
                answer = shell.close()
            else:
                shell.close()
        return subprocess.CompletedProcess(
            ["sh", "-c", script], answer.status, answer.output, answer.complaints
        )

    def close(self) -> None:
        """End the shells that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> tuple[_Shell, bool]:
        try:
            return self._idle.pop(), False
        except IndexError:
            return _Shell(self.docker, self.container), True


@dataclass(frozen=True, slots=True)
class InsideHost(TwinHost):
    """A host that is up.

    Attributes:
        inside: shells in it.
    """

    inside: Inside = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inside", Inside(self.docker, self.container))

    def run(self, script: str, stdin: str = "", timeout: float | None = 120) -> Completed:
        """As `TwinHost.run`, in a shell that stays."""
        return self.inside.run(script, stdin, timeout)

    def sessions(self) -> list[str]:
        """What sshd has been asked to start since boot: `command`, `subsystem 'sftp'`, `shell`."""
        return SESSION.findall(self.read(f"cat {SSHD_LOG}"))

    def copy_in(self, source: Path, target: str) -> None:
        """Copy a file of this machine into the host."""
        self.docker.run("cp", str(source), f"{self.container}:{target}")

    def copy_out(self, source: str, target: Path) -> None:
        """Copy a file of the host out of it."""
        self.docker.run("cp", f"{self.container}:{source}", str(target))


class InsideTwin(Twin):
    """A twin of such hosts."""

    host_type = InsideHost

    def stop(self) -> None:
        """As `Twin.stop`."""
        hosts = list(self.hosts.values())
        super().stop()
        for host in hosts:
            host.inside.close()
