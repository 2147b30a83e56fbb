"""All cross-checks of a document, in one list."""

from __future__ import annotations

from pathlib import Path

from regfleet.fleet.check import clients, files, hosts, registries
from regfleet.fleet.findings import Finding, Table


def check(document: Table, folder: Path, *, files_needed: bool = True) -> list[Finding]:
    """Everything that the schema cannot see.

    Args:
        document: as `validate.without` leaves it.
        folder: the fleet file's, which relative paths begin at.
        files_needed: whether files that it names have to be there.
    """
    claims, found = hosts.claims(document)
    if document.get("registry", {}) == {} and document.get("client", {}) == {}:
        hint = "write a [registry.NAME] or a [client.NAME]; regfleet init shows how"
        found.append(Finding((), "declares neither a registry nor a client", hint))
    found += registries.check(document, claims)
    found += clients.check(document, claims)
    found += files.check(document, folder, needed=files_needed)
    return list(dict.fromkeys(found))
