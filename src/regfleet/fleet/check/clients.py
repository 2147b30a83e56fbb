"""What is wrong with clients beyond single values: references, and claims that contradict."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from regfleet.fleet import defaults
from regfleet.fleet.check import tables
from regfleet.fleet.check.hosts import Claim
from regfleet.fleet.findings import Finding, Place, Table, did_you_mean
from regfleet.fleet.toml_text import place as written
from regfleet.fleet.toml_text import shown, type_name

WITH_DAEMON_JSON = frozenset({"docker", "docker-sysconfig"})
# Engines without a login of their own, and where one has to go instead.
NO_LOGIN = {
    "cri-o": "Kubernetes logs in for each pod: imagePullSecrets",
    "buildkit": "who builds logs in where they build: `docker login`",
}
# Those whose logins are part of a file that the service reads.
ROOT_ALONE = frozenset({"containerd", "k3s", "rke2"})
NO_MIRROR_PATHS = frozenset({"buildkit"})
_OURS_BY_ANOTHER_KEY = {"insecure-registries": "registries", "registry-mirrors": "mirrors"}


def check(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """What the schema cannot see in `[client.NAME]`."""
    for name, client in tables.named(document, "client"):
        place = ("client", name)
        engine = client.get("engine")
        if not tables.is_broken(document, "registry"):
            yield from _references(place, client, document.get("registry", {}))
        yield from _repeated(place, client)
        yield from _daemon(place, client)
        if client.get("daemon") and engine is not None and engine not in WITH_DAEMON_JSON:
            message = f"{engine} reads no daemon.json"
            yield Finding((*place, "daemon"), message, "leave it out, or use the engine docker")
        if client.get("migrate_flags") and engine not in {None, "docker"}:
            message = f"{engine} has no flags that could move into daemon.json"
            yield Finding((*place, "migrate_flags"), message, "leave it out")
        if client.get("login") and engine in NO_LOGIN:
            yield Finding((*place, "login"), f"{engine} keeps no login", NO_LOGIN[engine])
        if engine in ROOT_ALONE:
            yield from _accounts(place, client, engine)
        if engine in NO_MIRROR_PATHS:
            yield from _paths(place, client)
    yield from _conflicts(document, claims)


def _references(place: Place, client: Table, registries: Table) -> Iterator[Finding]:
    def unknown(name: str, otherwise: str = "") -> tuple[str, str]:
        known = f"declared are {', '.join(registries)}" if registries else "none is declared"
        message = f"no registry {shown(name)} is declared"
        return message, did_you_mean(name, registries, otherwise or known)

    for index, name in tables.items(client, "registries"):
        if name not in registries:
            yield Finding((*place, "registries", index), *unknown(name))
    for index, mirror in tables.items(client, "mirrors"):
        if "://" not in mirror and mirror not in registries:
            otherwise = "a mirror's URL begins with https:// or http://"
            yield Finding((*place, "mirrors", index), *unknown(mirror, otherwise))
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


def _accounts(place: Place, client: Table, engine: str) -> Iterator[Finding]:
    for name, login in tables.pairs(client, "login"):
        for index, account in tables.items(defaults.login(login), "for"):
            if account != "root":
                message = f"{engine} has no logins of accounts: its service has one for all"
                hint = "leave `for` out"
                yield Finding((*place, "login", name, "for", index), message, hint)


def _paths(place: Place, client: Table) -> Iterator[Finding]:
    """BuildKit asks HOST/v2/PATH, where others ask HOST/PATH/v2 (util/resolver/resolver.go)."""
    for index, mirror in tables.items(client, "mirrors"):
        if "://" in mirror and urlsplit(mirror).path.strip("/"):
            message = "has a path, and BuildKit asks for it elsewhere than other engines do"
            yield Finding((*place, "mirrors", index), message, "use a mirror without one")


def _repeated(place: Place, client: Table) -> Iterator[Finding]:
    for key in ("registries", "mirrors"):
        first: dict[str, int] = {}
        for index, item in tables.items(client, key):
            if first.setdefault(item, index) != index:
                yield Finding(
                    (*place, key, index), f"is the same as {key}[{first[item]}]", "leave one out"
                )


def _daemon(place: Place, client: Table) -> Iterator[Finding]:
    for key, value in (client.get("daemon") or {}).items():
        if key in _OURS_BY_ANOTHER_KEY:
            by = _OURS_BY_ANOTHER_KEY[key]
            yield Finding((*place, "daemon", key), f"is written by {by}", f"use {by} instead")
        else:
            yield from _not_json((*place, "daemon", key), value)


def _not_json(place: Place, value: object) -> Iterator[Finding]:
    """What TOML has and JSON has not. The reader has bounded the depth."""
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
    """Settings of two clients for one host that cannot both be made so.

    Clients with the same hosts are compared once, whatever the number of hosts.
    """
    by_host: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for claim in claims:
        section, name = claim.group
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
                    hint = "a host can have one of them only"
                    yield Finding(place, f"{message}, and both claim {host}", hint)


class _Setting(NamedTuple):
    """What a client wants of its hosts that another must not want otherwise, as text."""

    place: Place
    identity: Place
    value: str


def _settings(client: Table) -> Iterator[_Setting]:
    whole = defaults.laid_over("client", client)
    for key in ("engine", "install", "migrate_flags"):
        if whole[key] is not None:
            yield _Setting((key,), (key,), json.dumps(whole[key]))
    for registry, login in tables.pairs(client, "login"):
        place = ("login", registry)
        table = defaults.login(login)
        for _, account in tables.items(table, "for"):
            if table["user"] is not None:
                yield _Setting(place, (*place, account), shown(table["user"]))
    for key, value in tables.pairs(client, "daemon"):
        # What JSON has not is reported elsewhere; here it only has to be compared.
        text = json.dumps(value, sort_keys=True, default=repr)
        yield _Setting(("daemon", key), ("daemon", key), text)
