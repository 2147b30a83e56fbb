"""Checks the files of this machine that a fleet file names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from regfleet.fleet import defaults
from regfleet.fleet.check import tables
from regfleet.fleet.findings import Finding, Place, RefusedError, Table
from regfleet.fleet.toml_text import shown

_SSH = ("key", "known_hosts")
_TLS = ("certificate", "key", "ca")


def check(
    document: Table, folder: Path, *, needed: bool = True, keys: bool = True
) -> Iterator[Finding]:
    """Paths of files that must exist and do not.

    With `needed`, archives and certificates must exist; with `keys` too, the certificates' keys.
    SSH keys and password files need not: a machine that only validates, as in CI, has none.
    """
    for place, text in _paths_read_later(document):
        yield from _check_path(place, text, folder)
    for place, text in _paths_needed_now(document):
        key = len(place) > 1 and place[-2:] == ("tls", "key")
        yield from _check_path(place, text, folder, needed=needed and (keys or not key))


def paths(document: Table) -> Iterator[tuple[Place, str]]:
    """Every path of this machine in a document, with its place."""
    yield from _paths_read_later(document)
    yield from _paths_needed_now(document)


def _check_path(
    place: Place, text: str, folder: Path, *, needed: bool = False
) -> Iterator[Finding]:
    try:
        path = defaults.local_path(text, folder)
        if not needed or path.is_file():
            return
        what = "is not a file" if path.exists() else "does not exist"
        yield Finding(place, f"{shown(str(path))} {what}", "relative paths start at the fleet file")
    except RefusedError as refused:
        yield Finding(place, refused.message, refused.hint)
    except OSError as error:
        yield Finding(place, f"{shown(text)} cannot be read: {error.strerror}", "check the path")


def _paths_in(
    place: Place, table: Table | None, keys: tuple[str, ...]
) -> Iterator[tuple[Place, str]]:
    for key in keys:
        text = (table or {}).get(key)
        if text is not None:
            yield (*place, key), text


def _paths_read_later(document: Table) -> Iterator[tuple[Place, str]]:
    yield from _paths_in(("ssh",), document.get("ssh"), _SSH)
    yield from _files_of_proxies(document)
    yield from _files_of_buckets(document)
    yield from _files_of_backups(document)
    for section in ("registry", "client"):
        for name, group in tables.named(document, section):
            yield from _paths_of_hosts((section, name, "hosts"), group.get("hosts"))
            for user, table in tables.pairs(group, "users"):
                password = table.get("password")
                if isinstance(password, dict):
                    place = (section, name, "users", user, "password")
                    yield from _paths_in(place, password, ("file",))


def _paths_of_hosts(
    place: Place, hosts: Sequence[str | Table] | Table | None
) -> Iterator[tuple[Place, str]]:
    if isinstance(hosts, Mapping):  # not expanded yet
        yield from _paths_in(place, hosts, ("file",))
        return
    for index, item in enumerate(hosts or ()):
        if isinstance(item, Mapping):
            yield from _paths_in((*place, index, "ssh"), item.get("ssh"), _SSH)


def _files_of_proxies(document: Table) -> Iterator[tuple[Place, str]]:
    upstreams = [
        ("registry", name, defaults.upstream(registry))
        for name, registry in tables.named(document, "registry")
    ]
    proxies = [
        ("client", name, client.get("proxy") or {})
        for name, client in tables.named(document, "client")
    ]
    registrys = [
        ("registry", name, registry.get("http_proxy") or {})
        for name, registry in tables.named(document, "registry")
    ]
    copies = [
        (section, name, policy.get("http_proxy") or {})
        for section in ("replication", "promotion")
        for name, policy in tables.named(document, section)
    ]
    for key, found in (("proxy", (*upstreams, *proxies)), ("http_proxy", (*registrys, *copies))):
        for section, name, table in found:
            password = table.get("password")
            if isinstance(password, dict):
                yield from _paths_in((section, name, key, "password"), password, ("file",))


def _files_of_backups(document: Table) -> Iterator[tuple[Place, str]]:
    """Files with the passphrases of backups."""
    for name, registry in tables.named(document, "registry"):
        key = (registry.get("backup") or {}).get("key")
        if isinstance(key, dict):
            yield from _paths_in(("registry", name, "backup", "key"), key, ("file",))


def _files_of_buckets(document: Table) -> Iterator[tuple[Place, str]]:
    for name, registry in tables.named(document, "registry"):
        for key in ("access_key", "secret_key"):
            secret = (defaults.s3(registry) or {}).get(key)
            if isinstance(secret, dict):
                place = ("registry", name, "storage", "s3", key)
                yield from _paths_in(place, secret, ("file",))


def _paths_needed_now(document: Table) -> Iterator[tuple[Place, str]]:
    for name, registry in tables.named(document, "registry"):
        place = ("registry", name)
        yield from _paths_in(place, registry, ("image_archive",))
        yield from _paths_in((*place, "tls"), registry.get("tls"), _TLS)
        yield from _paths_in((*place, "storage", "s3"), defaults.s3(registry), ("ca",))
        yield from _paths_in((*place, "gateway"), registry.get("gateway"), ("image_archive",))
    yield from _paths_in(("smoke",), document.get("smoke"), ("image_archive",))
