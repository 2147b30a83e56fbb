"""What the look, the touch and the smoke test have in common on a host: `common.sh`.

Each of them is its own `.sh` files behind this one; nothing else is sent.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def program(package: str, *names: str) -> str:
    """The common functions and the named files of a package, one after the other."""
    own = files(package)
    parts = [files("regfleet.shell").joinpath("common.sh"), *(own.joinpath(name) for name in names)]
    return "\n".join(part.read_text() for part in parts)
