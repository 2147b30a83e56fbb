"""The shells that hosts have: dash (Debian), bash (Red Hat), busybox and its tools (Alpine)."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

COMMANDS = {"dash": ["dash", "-s"], "bash": ["bash", "-s"], "busybox": ["busybox", "sh", "-s"]}


def parameters():
    """Each shell as a pytest parameter, skipped where it is not installed."""
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed"),
        )
        for name in COMMANDS
    ]


@cache
def _busybox_tools():
    """A directory with busybox's own coreutils, and nobody else's."""
    folder = TemporaryDirectory(prefix="busybox-")
    Path(folder.name).chmod(0o755)  # for whatever account a program becomes
    subprocess.run(["busybox", "--install", "-s", folder.name], check=True)
    return folder  # kept by the cache: removed when the process ends


def run(shell, program, **environment):
    """Feed a program to a shell as a host gets it: on standard input."""
    command = [shutil.which(COMMANDS[shell][0]), *COMMANDS[shell][1:]]
    path = os.environ["PATH"] if shell != "busybox" else _busybox_tools().name
    return subprocess.run(
        command,
        input=program if isinstance(program, bytes) else program.encode(),
        capture_output=True,
        timeout=60,
        check=False,
        env={"PATH": path, "HOME": "/nonexistent", **environment},
    )


def lines(shell, program, **environment):
    """What it says; nothing may go to standard error."""
    done = run(shell, program, **environment)
    assert not done.stderr, done.stderr.decode(errors="replace")
    return done.stdout.decode().splitlines()
