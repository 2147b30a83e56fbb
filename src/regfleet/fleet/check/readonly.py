"""Cross-checks of `[registry.NAME.readonly]`: what serves a registry's images read-only."""

from __future__ import annotations

from collections.abc import Iterator

from regfleet.fleet import defaults
from regfleet.fleet.addresses import split_listen
from regfleet.fleet.check import tables
from regfleet.fleet.findings import Finding, Place, RefusedError, Table


def check(document: Table) -> Iterator[Finding]:
    """The mistakes that the schema cannot find; ports are checked with those of registries."""
    for name, registry in tables.named(document, "registry"):
        table = registry.get("readonly")
        if table is None or registry.get("external"):
            continue
        place: Place = ("registry", name, "readonly")
        yield from _possible(place, registry)
        yield from _port(place, registry, table)
        yield from _users(place, registry, table)
        if registry.get("runtime") == "package":
            for key in ("image", "image_archive"):
                if key in table:
                    message = 'has no effect: runtime = "package" runs the distribution\'s package'
                    yield Finding((*place, key), message, f"leave out {key}, or runtime")


def _possible(place: Place, registry: Table) -> Iterator[Finding]:
    """Registries that have something better, or that take no pushes themselves."""
    if "proxy" in registry:
        message = "does not go with proxy: a pull-through cache takes no pushes"
        yield Finding(place, message, "leave it out: users of the cache can only pull")
    elif registry.get("projects") or "gateway" in registry:
        message = "does not go with a gateway, which knows itself who may only pull"
        hint = 'make the user a guest, as in [registry.x.projects.prod] members.replica = "guest"'
        yield Finding(place, message, hint.replace("registry.x", f"registry.{place[1]}"))


def _port(place: Place, registry: Table, table: Table) -> Iterator[Finding]:
    if tables.is_broken(registry, "endpoint") or tables.is_broken(registry, "listen"):
        return
    try:
        taken = defaults.port(defaults.endpoint(registry), defaults.tls(registry)["source"])
    except RefusedError:
        return
    if registry.get("listen"):
        _, taken = split_listen(registry["listen"])
    if table.get("port") == taken:
        message = f"is the port of {place[1]} itself"
        yield Finding((*place, "port"), message, f"take another one, such as {taken + 1}")


def _users(place: Place, registry: Table, table: Table) -> Iterator[Finding]:
    own = registry.get("users") or {}
    for user, _ in tables.pairs(table, "users"):
        if user in own:
            message = f"is a user of {place[1]} itself, who may push there"
            yield Finding((*place, "users", user), message, "give one of the two another name")
    plain = (registry.get("tls") or {}).get("source") == "none"
    if table.get("users") and plain and registry.get("allow_plaintext_passwords") is not True:
        message = "would send their passwords in plain text: tls.source is none"
        hint = "use TLS, or write allow_plaintext_passwords = true"
        yield Finding((*place, "users"), message, hint)
