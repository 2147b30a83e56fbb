"""Open files that a fleet file or a configuration names, without waiting for anybody."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import BinaryIO

# What a shell hands over, by `<(…)` or as standard input: somebody writes there already.
_OF_SHELLS = ("/dev/fd/", "/dev/stdin", "/proc/")


def open_given(path: Path | str) -> BinaryIO:
    """Open a file for reading.

    A pipe in a directory is refused: opening one waits for whoever writes to it (fifo(7)), without
    an end, and in a run it would be read more than once.

    Raises:
        OSError: it cannot be opened, or is a pipe.
    """
    place = Path(path)
    if stat.S_ISFIFO(place.stat().st_mode) and not str(path).startswith(_OF_SHELLS):
        raise OSError("it is a pipe, and not a plain file")
    return place.open("rb")
