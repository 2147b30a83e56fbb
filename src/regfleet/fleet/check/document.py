"""Runs all cross-checks of a document."""

from __future__ import annotations

from pathlib import Path

from regfleet.fleet.check import (
    authority,
    backups,
    before,
    clients,
    files,
    gateways,
    hosts,
    projects,
    readonly,
    registries,
    replications,
)
from regfleet.fleet.findings import Finding, Table


def check(
    document: Table, folder: Path, *, files_needed: bool = True, keys_needed: bool = True
) -> list[Finding]:
    """All mistakes that the schema cannot find.

    Args:
        document: the result of `validate.without`.
        folder: the fleet file's folder, where relative paths start.
        files_needed: whether the archives and certificates that it names must exist.
        keys_needed: whether the certificates' keys must exist.
    """
    claims, found = hosts.claims(document)
    if document.get("registry", {}) == {} and document.get("client", {}) == {}:
        hint = "write a [registry.NAME] or a [client.NAME]; regfleet init shows how"
        found.append(Finding((), "declares neither a registry nor a client", hint))
    found += registries.check(document, claims)
    found += backups.check(document, claims)
    found += projects.check(document)
    found += gateways.check(document, claims)
    found += readonly.check(document)
    found += before.check(document, claims)
    found += clients.check(document, claims)
    found += replications.check(document)
    found += authority.check(document, claims)
    found += files.check(document, folder, needed=files_needed, keys=keys_needed)
    return list(dict.fromkeys(found))
