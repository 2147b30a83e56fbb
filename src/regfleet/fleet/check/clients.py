"""Cross-checks of clients: references to registries, and clients that contradict each other."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from regfleet.fleet import defaults
from regfleet.fleet.addresses import HUB
from regfleet.fleet.check import proxies, tables
from regfleet.fleet.check.hosts import Claim
from regfleet.fleet.engine_rules import default_engine, rules_of
from regfleet.fleet.findings import Finding, Place, RefusedError, Table, did_you_mean
from regfleet.fleet.toml_text import place as written
from regfleet.fleet.toml_text import shown, type_name

_WRITTEN_BY_OTHER_KEY = {"insecure-registries": "registries", "registry-mirrors": "mirrors"}


def check(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """The mistakes in `[client.NAME]` that the schema cannot find."""
    by_endpoint = _by_endpoint(document)
    for name, client in tables.named(document, "client"):
        place = ("client", name)
        engine = client.get("engine", default_engine())
        rules = rules_of(engine)
        if not tables.is_broken(document, "registry"):
            yield from _references(place, client, document.get("registry", {}))
            yield from _mirrors(place, client, document.get("registry", {}), by_endpoint)
        yield from _repeated(place, client)
        yield from _daemon(place, client)
        if client.get("daemon") and not rules.daemon:
            message = f"{engine} reads no daemon.json"
            hint = f"leave it out, or use the engine {default_engine()}"
            yield Finding((*place, "daemon"), message, hint)
        if client.get("migrate_flags") and not rules.migrate_flags:
            message = f"{engine} has no flags that could move into daemon.json"
            yield Finding((*place, "migrate_flags"), message, "leave it out")
        if client.get("login") and rules.logins == "none":
            yield Finding((*place, "login"), f"{engine} keeps no login", rules.login_instead)
        yield from _proxy(place, client, engine)
        if rules.logins == "root":
            yield from _accounts(place, client, engine)
        yield from _of_account(place, client, engine)
        if not rules.mirror_paths:
            yield from _mirror_paths(place, client, engine)
    yield from _conflicts(document, claims)


def _references(place: Place, client: Table, registries: Table) -> Iterator[Finding]:
    def unknown(name: str, otherwise: str = "") -> tuple[str, str]:
        known = f"declared are {', '.join(registries)}" if registries else "none is declared"
        message = f"no registry {shown(name)} is declared"
        return message, did_you_mean(name, registries, otherwise or known)

    for index, name in tables.items(client, "registries"):
        if name not in registries:
            yield Finding((*place, "registries", index), *unknown(name))
    for each in defaults.mirrors(client):
        if "://" not in each.written and each.written not in registries:
            otherwise = "a mirror's URL begins with https:// or http://"
            yield Finding((*place, *each.place), *unknown(each.written, otherwise))
    for name, login in tables.pairs(client, "login"):
        if name not in registries:
            yield Finding((*place, "login", name), *unknown(name))
            continue
        user = login if isinstance(login, str) else login.get("user")
        users = (registries[name] or {"users": None}).get("users", {})
        if user is not None and users is not None and user not in users:
            where = (*place, "login", name, *(() if isinstance(login, str) else ("user",)))
            known = f"its users are {', '.join(users)}" if users else "it has no users"
            message = f"{written(('registry', name))} has no user {shown(user)}"
            yield Finding(where, message, did_you_mean(user, users, known))


def _by_endpoint(document: Table) -> dict[str, str]:
    """The names of the declared registries by endpoint."""
    found: dict[str, str] = {}
    if not tables.is_broken(document, "registry"):
        for name, registry in document.get("registry", {}).items():
            if registry is not None and not tables.is_broken(registry, "endpoint"):
                with suppress(RefusedError):
                    found[defaults.endpoint(registry)] = name
    return found


def _mirrors(
    place: Place, client: Table, registries: Table, by_endpoint: Mapping[str, str]
) -> Iterator[Finding]:
    """Mirrors, by name or URL, that are caches and cannot serve what they are asked for."""
    engine = client.get("engine", default_engine())
    yield from _mirrored(place, client, registries, by_endpoint)
    for each in defaults.mirrors(client):
        name = defaults.mirror_registry(each.written, registries, by_endpoint) or ""
        registry = registries.get(name)
        upstream = defaults.upstream(registry or {})["url"]
        if registry is None or upstream is None:
            continue
        where = (*place, *each.place)
        if not (
            tables.is_broken(registry, "serves_docker_hub")
            or defaults.is_cache_of(registry, each.of)
        ):
            message = f"{written(('registry', name))} is a cache of {upstream}"
            yield Finding(where, *_wrong_cache(message, each.of, written(("registry", name))))
        if registry.get("users") and not rules_of(engine).mirror_logins:
            message = (
                f"{written(('registry', name))} has users, and {engine} sends mirrors no login"
            )
            yield Finding(where, message, "give the cache no users, or do not name it here")


def _wrong_cache(cache: str, of: str, table: str) -> tuple[str, str]:
    """Message and hint for a cache that is named as a mirror of another registry."""
    if of == HUB:
        return (
            f"{cache}, and engines ask mirrors for images of Docker Hub",
            (
                'name a cache of Docker Hub, or write mirrors = { "REGISTRY" = [...] } for that '
                "registry; if that upstream is a mirror of Docker Hub, write "
                f"serves_docker_hub = true in {table}"
            ),
        )
    asked = "all registries" if of == "*" else of
    return (
        f"{cache}, and would be asked for images of {asked}",
        "name it under the registry that it caches",
    )


def _mirrored(
    place: Place, client: Table, registries: Table, by_endpoint: Mapping[str, str]
) -> Iterator[Finding]:
    """Registries that this engine, or this fleet, cannot have mirrors of."""
    engine = client.get("engine", default_engine())
    allowed = rules_of(engine).mirrored
    table = client.get("mirrors")
    for of in table if isinstance(table, Mapping) else ():
        where = (*place, "mirrors", of)
        registry = registries.get(by_endpoint.get(of, ""))
        if allowed == "hub" and of != HUB:
            message = f"{engine} asks mirrors for images of Docker Hub alone"
            hint = "pull by the cache's own name, HOST:PORT/REPOSITORY; or use another engine"
            yield Finding(where, message, hint)
        elif allowed == "named" and of == "*":
            message = f"{engine} has no mirrors for all registries"
            yield Finding(where, message, "name each registry")
        elif registry and (not registry.get("external") or _is_plain(registry)):
            message = f"is the endpoint of {written(('registry', by_endpoint[of]))}"
            yield Finding(where, message, "it is asked itself: leave this out")


def _is_plain(registry: Table) -> bool:
    return (registry.get("tls") or {}).get("source") == "none"


def _proxy(place: Place, client: Table, engine: str) -> Iterator[Finding]:
    proxy = client.get("proxy")
    if proxy is None:
        return
    place = (*place, "proxy")
    rules = rules_of(engine)
    yield from proxies.check(place, proxy)
    if "password" in proxy and not rules.proxy_passwords:
        message = (
            f"cannot be kept secret: {engine} reads its proxy from a file that all accounts read"
        )
        hint = "use a proxy that lets these machines in by their address"
        yield Finding((*place, "password"), message, hint)
    if proxy.get("containers") and not rules.proxy_containers:
        message = f"{engine} has no setting that gives containers a proxy"
        hint = "leave it out; in Kubernetes a pod's own environment says it"
        yield Finding((*place, "containers"), message, hint)
    if "proxies" in (client.get("daemon") or {}):
        message = "is written by proxy"
        yield Finding((*place[:-1], "daemon", "proxies"), message, "leave one of them out")


def _accounts(place: Place, client: Table, engine: str) -> Iterator[Finding]:
    for name, login in tables.pairs(client, "login"):
        for index, account in tables.items(defaults.login(login), "for"):
            if account != "root":
                message = f"{engine} cannot log in one account: its service has one login for all"
                hint = "leave `for` out"
                yield Finding((*place, "login", name, "for", index), message, hint)


def _of_account(place: Place, client: Table, engine: str) -> Iterator[Finding]:
    """The account of an engine that is one account's, and logins of others beside it."""
    rules, account = rules_of(engine), client.get("account")
    if not rules.account:
        if "account" in client:
            message = f"{engine} is no account's own engine"
            hint = "leave it out; `for` of a login says which accounts get it"
            yield Finding((*place, "account"), message, hint)
        return
    if "account" not in client:
        message = f"is missing: {engine} is the engine of one account"
        yield Finding((*place, "account"), message, 'name it: account = "alice"')
        return
    if account == "root":
        yield Finding((*place, "account"), "is root", f"root's is {default_engine()}")
    for name, login in tables.pairs(client, "login"):
        for index, other in tables.items(defaults.login(login, account or ""), "for"):
            if account and other != account:
                message = f"{engine} gets each login that is used with it, and is {account}'s"
                hint = f"leave `for` out: the login is {account}'s then"
                yield Finding((*place, "login", name, "for", index), message, hint)


def _mirror_paths(place: Place, client: Table, engine: str) -> Iterator[Finding]:
    """BuildKit asks HOST/v2/PATH, where others ask HOST/PATH/v2 (util/resolver/resolver.go)."""
    for each in defaults.mirrors(client):
        if "://" in each.written and urlsplit(each.written).path.strip("/"):
            message = (
                f"has a path, and {engine} asks such a mirror at another URL than other engines"
            )
            yield Finding((*place, *each.place), message, "use a mirror without one")


def _repeated(place: Place, client: Table) -> Iterator[Finding]:
    first: dict[object, Place] = {}
    for index, item in tables.items(client, "registries"):
        yield from _same(place, first, item, ("registries", index))
    for each in defaults.mirrors(client):
        yield from _same(place, first, (each.of, each.written), each.place)


def _same(
    place: Place, first: dict[object, Place], item: object, where: Place
) -> Iterator[Finding]:
    if first.setdefault(item, where) != where:
        message = f"is the same as {written(first[item])}"
        yield Finding((*place, *where), message, "leave one out")


def _daemon(place: Place, client: Table) -> Iterator[Finding]:
    for key, value in (client.get("daemon") or {}).items():
        if key in _WRITTEN_BY_OTHER_KEY:
            by = _WRITTEN_BY_OTHER_KEY[key]
            yield Finding((*place, "daemon", key), f"is written by {by}", f"use {by} instead")
        else:
            yield from _not_json((*place, "daemon", key), value)


def _not_json(place: Place, value: object) -> Iterator[Finding]:
    """Values that TOML has and JSON has not. `read` has bounded the depth."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _not_json((*place, key), child)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _not_json((*place, index), child)
    elif isinstance(value, float) and not math.isfinite(value):
        yield Finding(place, f"{value} cannot be written in daemon.json", "JSON has no such number")
    elif not isinstance(value, (str, int, float)):
        message = f"{type_name(value)} cannot be written in daemon.json"
        yield Finding(place, message, "write it in quotes")


def _conflicts(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """Settings of two clients that contradict each other on a host that both have.

    Clients that share several hosts are compared once.
    """
    by_host: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for claim in claims:
        section, name = claim.group[:2]
        if section == "client":
            by_host[claim.name][str(name)] = None
    together: dict[tuple[str, ...], str] = {}
    for host, names in by_host.items():
        if len(names) > 1:
            together.setdefault(tuple(names), host)
    for group, host in together.items():
        first: dict[Place, tuple[Place, str]] = {}
        for name in group:
            for setting in _settings(document["client"][name]):
                place = ("client", name, *setting.place)
                other, theirs = first.setdefault(setting.identity, (place, setting.value))
                if theirs != setting.value:
                    message = f"is {setting.value} here and {theirs} in {written(other)}"
                    hint = "a host can have only one of them"
                    yield Finding(place, f"{message}, and both claim {host}", hint)


class _Setting(NamedTuple):
    """A setting, as text, in which all clients of a host must agree."""

    place: Place
    identity: Place
    value: str


def _settings(client: Table) -> Iterator[_Setting]:
    whole = defaults.with_defaults("client", client)
    for key in ("engine", "account", "install", "migrate_flags"):
        if whole.get(key) is not None:
            yield _Setting((key,), (key,), json.dumps(whole[key]))
    if client.get("proxy"):
        text = json.dumps(client["proxy"], sort_keys=True, default=repr)
        yield _Setting(("proxy",), ("proxy",), text)
    for registry, login in tables.pairs(client, "login"):
        place = ("login", registry)
        table = defaults.login(login, client.get("account") or "")
        for _, account in tables.items(table, "for"):
            if table["user"] is not None:
                yield _Setting(place, (*place, account), shown(table["user"]))
    for key, value in tables.pairs(client, "daemon"):
        # `_not_json` reports values that JSON has not; here they are only compared.
        text = json.dumps(value, sort_keys=True, default=repr)
        yield _Setting(("daemon", key), ("daemon", key), text)
