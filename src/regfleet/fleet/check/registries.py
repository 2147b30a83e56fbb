"""What is wrong with registries beyond single values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from regfleet.fleet import defaults
from regfleet.fleet.check import tables
from regfleet.fleet.check.hosts import Claim
from regfleet.fleet.findings import Finding, Place, RefusedError, Table
from regfleet.fleet.toml_text import place as written

IMPLEMENTED_RUNTIMES = frozenset({"container"})
_ONLY_OURS = ("proxy", "hosts", "runtime", "image", "image_archive", "storage", "delete")
_OUR_FILES = ("certificate", "key")
_FILES = (*_OUR_FILES, "ca")


def check(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """What the schema cannot see in `[registry.NAME]`."""
    members: defaultdict[Place, list[Claim]] = defaultdict(list)
    for claim in claims:
        members[claim.group].append(claim)
    for name, registry in tables.named(document, "registry"):
        place = ("registry", name)
        if registry.get("external"):
            yield from _external(place, registry)
        elif not tables.is_broken(registry, "external"):
            yield from _ours(place, registry, members[place])
        yield from _passwords(place, registry)
    yield from _collisions(document, claims)


def _external(place: Place, registry: Table) -> Iterator[Finding]:
    for key in _ONLY_OURS:
        if key in registry:
            message = "does not go with external = true: the registry is not ours to provision"
            yield Finding((*place, key), message, f"leave out {key}, or external")
    if "endpoint" not in registry:
        hint = 'an external registry has one, as in endpoint = "registry.example.com"'
        yield Finding((*place, "endpoint"), "is missing", hint)
    tls = registry.get("tls") or {}
    if tls.get("source") == "fleet-ca":
        message = "the fleet's CA cannot sign for an external registry"
        hint = 'leave it out (publicly trusted), or write "none", or "files" with ca'
        yield Finding((*place, "tls", "source"), message, hint)
    for key in (*_OUR_FILES, "names"):
        if key in tls:
            message = "does not go with external = true: its certificate is not ours to make"
            yield Finding((*place, "tls", key), message, "clients need ca at most")
    yield from _tls_files(place, registry, required=("ca",))
    for user, table in tables.pairs(registry, "users"):
        if table.get("password") == "generate":
            message = "cannot be generated: we cannot set a password on an external registry"
            hint = 'write { env = "NAME" }, { file = "PATH" } or { command = "COMMAND" }'
            yield Finding((*place, "users", user, "password"), message, hint)


def _ours(place: Place, registry: Table, members: list[Claim]) -> Iterator[Finding]:
    if "hosts" not in registry:
        hint = 'name the machine that runs it, as in hosts = ["reg1"], or write external = true'
        yield Finding((*place, "hosts"), "is missing", hint)
    if len(members) > 1:
        message = f"names {len(members)} hosts; a registry of several needs shared storage"
        reason = "and a balanced endpoint, which the file cannot declare yet"
        yield Finding((*place, "hosts"), f"{message} {reason}", "name one host")
    runtime = registry.get("runtime")
    if runtime is not None and runtime not in IMPLEMENTED_RUNTIMES:
        yield Finding(
            (*place, "runtime"),
            f"{runtime} is not implemented yet",
            f"today there is {', '.join(sorted(IMPLEMENTED_RUNTIMES))}",
        )
    if members and "endpoint" not in registry:  # without: its hosts are refused already
        try:
            defaults.endpoint(registry)
        except RefusedError as refused:
            yield Finding((*place, "endpoint"), refused.message, refused.hint)
    yield from _tls_files(place, registry, required=_OUR_FILES)


def _tls_files(place: Place, registry: Table, required: tuple[str, ...]) -> Iterator[Finding]:
    tls = registry.get("tls") or {}
    if tables.is_broken(tls, "source"):
        return
    if tls.get("source") == "files":
        for key in required:
            if key not in tls:
                yield Finding(
                    (*place, "tls", key),
                    'is missing: source is "files"',
                    f'as in {key} = "tls/{key}.pem"',
                )
        return
    for key in _FILES:
        if key in tls and not (registry.get("external") and key in _OUR_FILES):
            yield Finding((*place, "tls", key), "has no effect", 'write source = "files"')


def _passwords(place: Place, registry: Table) -> Iterator[Finding]:
    users = registry.get("users")
    tls = registry.get("tls") or {}
    if (
        users
        and tls.get("source") == "none"
        and registry.get("allow_plaintext_passwords", False) is False
    ):
        message = "would send their passwords in plain text: tls.source is none"
        hint = "use TLS, or write allow_plaintext_passwords = true"
        yield Finding((*place, "users"), message, hint)


def _collisions(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """Registries that cannot stand beside each other: of one endpoint, or on one host."""
    hosts: dict[Place, str] = {}
    for claim in claims:
        hosts.setdefault(claim.group, claim.name)
    neighbours: defaultdict[str, list[_Standing]] = defaultdict(list)
    for name, registry in tables.named(document, "registry"):
        place = ("registry", name)
        new = _standing(place, registry, hosts.get(place, ""))
        shared = {f"endpoint {new.endpoint}", f"host {new.host}"}
        for other in dict.fromkeys(each for key in sorted(shared) for each in neighbours[key]):
            yield from _clash(new, other)
        for key in shared:
            neighbours[key].append(new)


class _Standing(NamedTuple):
    """What a registry takes up. Empty, or None, is what is not known or not ours."""

    place: Place
    endpoint: str
    host: str
    port: int
    storage: PurePosixPath | None


def _standing(place: Place, registry: Table, host: str) -> _Standing:
    endpoint = _endpoint(registry)
    storage = defaults.laid_over("registry", registry)["storage"]
    return _Standing(
        place,
        endpoint,
        "" if registry.get("external") else host,
        defaults.port(endpoint, defaults.tls(registry)["source"]),
        None if storage is None else PurePosixPath(storage),
    )


def _clash(new: _Standing, other: _Standing) -> Iterator[Finding]:
    theirs = written(other.place)
    endpoint, storage = (*new.place, "endpoint"), (*new.place, "storage")
    if new.endpoint and new.endpoint == other.endpoint:
        message = f"{new.endpoint} is the endpoint of {theirs} too"
        yield Finding(endpoint, message, "an endpoint is one registry")
        return
    if not new.host or new.host != other.host:
        return
    if new.endpoint and other.endpoint and new.port == other.port:
        message = f"port {new.port} of {new.host} is taken by {theirs}"
        yield Finding(endpoint, message, "give it another port")
    if new.storage is None or other.storage is None:
        return
    if new.storage.is_relative_to(other.storage) or other.storage.is_relative_to(new.storage):
        message = f"{new.storage} on {new.host} would hold the images of {theirs} too"
        hint = f'write storage = "{other.storage}-{new.place[1]}"'
        yield Finding(storage, message, hint)


def _endpoint(registry: Table) -> str:
    """The endpoint, or nothing where it is broken, or missing and that has been said."""
    if tables.is_broken(registry, "endpoint"):
        return ""
    try:
        return defaults.endpoint(registry)
    except RefusedError:
        return ""
