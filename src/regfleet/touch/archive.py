"""Image archives travel ahead of a touch: one command each, streamed, checked, loaded or kept."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote

from regfleet.desired.model import Image
from regfleet.record import DIRECTORY

CHUNK = 57 * 1024  # a multiple of three, so that base64 pieces join without padding
_known: dict[str, str] = {}  # digests by mark


def spool_path(image: Image) -> str:
    """Where an archive waits on the host for an engine that is not there yet."""
    return f"{DIRECTORY}/spool/{image.archive_digest[:32]}.tar"


def digest(archive: Path) -> str:
    """SHA-256 of an archive, hexadecimal; read once a run."""
    mark = mark_of(archive)
    if mark not in _known:
        running = hashlib.sha256()
        with archive.open("rb") as file:
            while chunk := file.read(1 << 20):
                running.update(chunk)
        _known[mark] = running.hexdigest()
    return _known[mark]


def mark_of(archive: Path) -> str:
    """What the file system says of an archive: another when the file is another, or written to.

    Nobody sets the time of the last change of an inode to what it was (stat(2), st_ctime).
    """
    found = archive.stat()
    return f"{archive} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def recall(digests: Mapping[str, str]) -> None:
    """Take over digests by mark, as an earlier run found them."""
    _known.update(digests)


def receive(image: Image, *, load: str) -> str:
    """The command that takes an archive from standard input (base64 in lines).

    Args:
        load: shell command that loads the file whose path follows it into the engine at once;
            where it is empty the archive waits in the spool for the touch.
    """
    path = quote(spool_path(image))
    directory = quote(f"{DIRECTORY}/spool")
    check = f"echo '{image.archive_digest}  '{path} | sha256sum -c - >/dev/null"
    then = f"{load} {path} && rm -f {path} && rmdir {directory}" if load else ":"
    return (
        f"umask 077; mkdir -p {directory} && base64 -d >{path} && {check} && {then} "
        f"|| {{ rm -f {path}; exit 1; }}"
    )


class Chunks(list[str]):
    """An archive as base64 lines, read as it is iterated: pyinfra takes a list for stdin.

    A list by type and an iterator by behaviour, so that an image of gigabytes is never held in
    memory whole (pyinfra.connectors.util.write_stdin iterates lists and reads everything else).
    """

    def __init__(self, archive: Path) -> None:
        super().__init__()
        self._archive = archive

    def __iter__(self) -> Iterator[str]:
        with self._archive.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield base64.b64encode(chunk).decode() + "\n"

    def __bool__(self) -> bool:
        return True
