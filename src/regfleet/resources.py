"""Finds regfleet's own data files, in an installed package or in the source tree."""

from __future__ import annotations

from pathlib import Path

from regfleet.errors import RegfleetError

_PACKAGE = Path(__file__).parent
_SOURCE = {"fleet.schema.json": "schema", "host-image.sh": "vagrant"}


def path(name: str) -> Path:
    """The path of one of regfleet's data files on this machine.

    Args:
        name: `fleet.schema.json` or `host-image.sh`.

    Returns:
        The copy inside the installed package, else the file in the source tree (pyproject's
        `force-include` copies it into the package).

    Raises:
        KeyError: regfleet has no such file.
        RegfleetError: the file is missing from the installation.
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
