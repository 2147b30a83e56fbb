"""The docker client, bound to one engine: the only place that runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from regfleet.errors import RegfleetError

Completed = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Docker:
    """One engine, as the docker client sees it.

    Attributes:
        host: the engine's address, as in `DOCKER_HOST`.
    """

    host: str

    def environment(self) -> dict[str, str]:
        """The environment for a client of this engine; the user's own contexts are left out."""
        kept = {name: value for name, value in os.environ.items() if name != "DOCKER_CONTEXT"}
        return {**kept, "DOCKER_HOST": self.host}

    def try_run(self, *arguments: str, stdin: str = "", timeout: float | None = None) -> Completed:
        """Run `docker ARGUMENTS`, feeding it `stdin`; the caller looks at the return code.

        Raises:
            RegfleetError: there is no docker client, or `timeout` seconds went by.
        """
        if shutil.which("docker") is None:
            raise RegfleetError(
                "the docker client is not installed",
                "install it with the engine: apt-get install docker.io",
            )
        try:
            return subprocess.run(
                ["docker", *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                env=self.environment(),
                timeout=timeout,
                check=False,
                # Ctrl-C at a terminal is for us alone, who may still have to clean up with it.
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise RegfleetError(
                f"`docker {arguments[0]}` gave no answer within {timeout:.0f} seconds",
                f"see whether the engine at {self.host} is well: docker info",
            ) from None

    def run(self, *arguments: str, stdin: str = "", timeout: float | None = None) -> str:
        """Run `docker ARGUMENTS` and return its standard output, stripped.

        Raises:
            RegfleetError: it failed; the message has what it wrote to standard error.
        """
        done = self.try_run(*arguments, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
            raise RegfleetError(
                f"`docker {' '.join(arguments[:2])}` failed: {said}", f"engine: {self.host}"
            )
        return done.stdout.strip()

    def answers(self) -> bool:
        """Whether the engine is there."""
        try:
            return (
                self.try_run("version", "--format", "{{.Server.Version}}", timeout=20).returncode
                == 0
            )
        except RegfleetError:
            return False

    def listing(self, *arguments: str) -> Sequence[str]:
        """The lines that `docker ARGUMENTS` prints (identifiers, mostly)."""
        return self.run(*arguments).split()
