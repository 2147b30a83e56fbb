"""Files of ours that are not code, found in an installed package as in the source tree."""

from __future__ import annotations

from pathlib import Path

from regfleet.errors import RegfleetError

_PACKAGE = Path(__file__).parent
_SOURCE = {"fleet.schema.json": "schema", "host-image.sh": "vagrant"}


def path(name: str) -> Path:
    """Where a file of ours is on this machine.

    Args:
        name: `fleet.schema.json` or `host-image.sh`.

    Returns:
        The copy inside the installed package, or else the one at the top of the source tree
        (pyproject's `force-include` turns the second into the first).

    Raises:
        KeyError: no such file ships with regfleet.
        RegfleetError: the installation lacks it.
    """
    bundled = _PACKAGE / "_bundled" / name
    source = _PACKAGE.parents[1] / _SOURCE[name] / name
    for candidate in (bundled, source):
        if candidate.is_file():
            return candidate
    raise RegfleetError(
        f"this installation of regfleet lacks its file {name} (looked for {bundled} and {source})",
        "install regfleet again",
    )
