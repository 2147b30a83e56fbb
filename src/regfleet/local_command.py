"""Runs a command that a fleet file declares on this machine: for a password, or for hosts."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from pathlib import Path

ERROR_BYTES = 64 << 10  # of standard error, the last part


class LocalCommandError(Exception):
    """A command failed. `message` continues after the command's name; `hint` may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def run(command: str, *, seconds: float, limit: int, folder: Path | None = None) -> bytes:
    """The standard output of a shell command.

    The command has no standard input and no terminal. It runs in a process group of its own, so
    that a timeout ends all of its processes.

    Args:
        command: given to `sh -c`.
        seconds: how long it may take.
        limit: how many bytes it may write.
        folder: its working directory; by default this process's.

    Raises:
        LocalCommandError: it took too long, wrote too much, or ended with another code than 0.
    """
    with subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd=folder,
    ) as process:
        try:
            output, errors = _read_output(process, time.monotonic() + seconds, limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise LocalCommandError(
                f"has not finished in {seconds:.0f} s",
                "it has no standard input and no terminal, so it cannot ask for anything",
            ) from None
        except _TooMuchError:
            os.killpg(process.pid, signal.SIGKILL)
            size = f"{limit >> 10} KiB" if limit < 1 << 20 else f"{limit >> 20} MiB"
            raise LocalCommandError(f"writes more than {size}") from None
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        raise LocalCommandError(f"failed with exit code {process.returncode}{said}")
    return output


class _TooMuchError(Exception):
    """A command wrote more than it may."""


def _read_output(process: subprocess.Popen[bytes], end: float, limit: int) -> tuple[bytes, bytes]:
    """A command's whole standard output, and the last part of its standard error.

    Args:
        end: the deadline, by `time.monotonic`.
        limit: of the output, in bytes.

    Raises:
        _TooMuchError: the output is longer than `limit`.
        subprocess.TimeoutExpired: the command did not end before the deadline.
    """
    output, errors = process.stdout, process.stderr
    said = {output: bytearray(), errors: bytearray()}
    with selectors.DefaultSelector() as selector:
        for pipe in said:
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, pipe)
        while selector.get_map():
            ready = selector.select(max(end - time.monotonic(), 0))
            if not ready and time.monotonic() >= end:
                raise subprocess.TimeoutExpired(process.args, 0)
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                if not piece:
                    selector.unregister(key.fileobj)
                said[key.data] += piece
            if len(said[output]) > limit:
                raise _TooMuchError
            del said[errors][:-ERROR_BYTES]
    process.wait(max(end - time.monotonic(), 0))
    return bytes(said[output]), bytes(said[errors])
