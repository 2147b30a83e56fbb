"""The files of this machine that a fleet file names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regfleet.fleet import defaults
from regfleet.fleet.check import tables
from regfleet.fleet.findings import Finding, Place, RefusedError, Table
from regfleet.fleet.toml_text import shown

_SSH = ("key", "known_hosts")
_TLS = ("certificate", "key", "ca")


def check(document: Table, folder: Path, *, needed: bool = True) -> Iterator[Finding]:
    """Paths that lead nowhere.

    Archives and TLS files have to exist, where they are `needed`. Keys for SSH and password files
    need not: a fleet is validated on machines, in CI say, that are rightly without them.
    """
    for place, text in _later(document):
        yield from _located(place, text, folder)
    for place, text in _needed(document):
        yield from _located(place, text, folder, needed=needed)


def _located(place: Place, text: str, folder: Path, *, needed: bool = False) -> Iterator[Finding]:
    try:
        path = defaults.local_path(text, folder)
        if not needed or path.is_file():
            return
        what = "is not a file" if path.exists() else "does not exist"
        yield Finding(place, f"{shown(str(path))} {what}", "relative paths begin at the fleet file")
    except RefusedError as refused:
        yield Finding(place, refused.message, refused.hint)
    except OSError as error:
        yield Finding(
            place, f"{shown(text)} cannot be looked at: {error.strerror}", "check the path"
        )


def _texts(place: Place, table: Table | None, keys: tuple[str, ...]) -> Iterator[tuple[Place, str]]:
    for key in keys:
        text = (table or {}).get(key)
        if text is not None:
            yield (*place, key), text


def _later(document: Table) -> Iterator[tuple[Place, str]]:
    yield from _texts(("ssh",), document.get("ssh"), _SSH)
    for section in ("registry", "client"):
        for name, group in tables.named(document, section):
            for index, item in tables.items(group, "hosts"):
                if not isinstance(item, str):
                    yield from _texts((section, name, "hosts", index, "ssh"), item.get("ssh"), _SSH)
            for user, table in tables.pairs(group, "users"):
                password = table.get("password")
                if isinstance(password, dict):
                    place = (section, name, "users", user, "password")
                    yield from _texts(place, password, ("file",))


def _needed(document: Table) -> Iterator[tuple[Place, str]]:
    for name, registry in tables.named(document, "registry"):
        place = ("registry", name)
        yield from _texts(place, registry, ("image_archive",))
        yield from _texts((*place, "tls"), registry.get("tls"), _TLS)
    yield from _texts(("smoke",), document.get("smoke"), ("image_archive",))
