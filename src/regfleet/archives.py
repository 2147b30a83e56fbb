"""Computes the digests of image archives on this machine. Only this module reads archives."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from regfleet import state_paths
from regfleet.fleet.model import Fleet
from regfleet.state import StateDirectory

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_known: dict[str, str] = {}  # digests by `mark_of`


def digests(fleet: Fleet, state: StateDirectory | None, *, save: bool) -> dict[Path, str]:
    """The SHA-256 of each image archive that a fleet names, hexadecimal, by its path.

    An unchanged file is not read again: the state directory keeps its digest.

    Args:
        state: keeps the digests; None to neither read nor keep them.
        save: whether to keep the digests for the next run.
    """
    given = [registry.image_archive for registry in fleet.registries.values()]
    given += [each.gateway.image_archive for each in fleet.registries.values() if each.gateway]
    paths = [path for path in dict.fromkeys((*given, fleet.smoke.image_archive)) if path]
    before = _parse_digests(state.read_text(state_paths.ARCHIVES)) if state else {}
    _known.update(before)
    now = {mark_of(path): digest(path) for path in paths}
    if state and save and now != before:
        state.write_text(state_paths.ARCHIVES, json.dumps(now, indent=1) + "\n")
    return {path: digest(path) for path in paths}


def digest(archive: Path) -> str:
    """SHA-256 of an archive, hexadecimal; the archive is read at most once in a run."""
    mark = mark_of(archive)
    if mark not in _known:
        running = hashlib.sha256()
        with archive.open("rb") as file:
            while chunk := file.read(1 << 20):
                running.update(chunk)
        _known[mark] = running.hexdigest()
    return _known[mark]


def mark_of(archive: Path) -> str:
    """A text from an archive's inode that changes when the file is replaced or written to.

    It includes the inode's last change, which no program can set back (stat(2), st_ctime).
    """
    found = archive.stat()
    return f"{archive} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def _parse_digests(text: str | None) -> dict[str, str]:
    """Digests by mark from the kept JSON; entries that are not valid are left out."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return {}
    return {
        mark: digest
        for mark, digest in found.items()
        if isinstance(digest, str) and _DIGEST.fullmatch(digest)
    }
