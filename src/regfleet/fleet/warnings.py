"""Warnings of what a fleet file may declare although it is dangerous. Pure.

A warning changes no exit code. A fleet file with mistakes gets no warnings.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from regfleet.fleet.addresses import HUB
from regfleet.fleet.clients import Client
from regfleet.fleet.findings import Finding
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry
from regfleet.fleet.storage import is_in_home, is_volatile

LEAST_MEMORY = 128 << 20


def warnings(fleet: Fleet) -> list[Finding]:
    """Everything in a checked fleet that is allowed but dangerous, in no order."""
    found: list[Finding] = []
    for registry in fleet.registries.values():
        if registry.read_only_of:
            found += _read_only_warnings(registry, fleet.registries[registry.read_only_of])
            continue
        found += _registry_warnings(registry)
        found += _cache_warnings(registry)
        found += _role_warnings(registry)
        found += _standby_warnings(registry, fleet)
    for client in fleet.clients.values():
        found += _mirror_warnings(client, fleet)
        found += _daemon_warnings(client)
    return found


def _registry_warnings(registry: Registry) -> Iterator[Finding]:
    place = ("registry", registry.name)
    where = registry.endpoint
    if registry.listen and _is_loopback(registry.listen[0]):
        where = "localhost"  # only its own host reaches it, whatever its endpoint is called
    elif not registry.external and registry.proxy is None and not registry.users:
        may = "push to it, overwrite and delete its images"
        if not registry.delete:
            may = "push to it and overwrite its images"
        message = f"has no users: anyone who reaches {where} can {may}"
        yield Finding(place, message, 'declare some, as in users.ci.password = "generate"')
    memory = registry.limits.memory
    if memory and _parse_bytes(memory) < LEAST_MEMORY:
        message = f"{memory} is little: the kernel kills a registry that needs more, even in a push"
        yield Finding((*place, "limits", "memory"), message, "256m or more")
    if registry.tls.source == "none" and not _is_loopback(where):
        message = "is none: anyone on the network path can read and change images"
        if registry.users:
            message += ", and read the passwords"
        yield Finding((*place, "tls", "source"), message, 'leave it out, or write "files"')
    if registry.s3 and registry.s3.endpoint.startswith("http://"):
        message = "is http://: anyone on the network path can read and change images"
        yield Finding((*place, "storage", "s3", "endpoint"), message, "use https://")
    if not registry.external and is_volatile(registry.storage):
        message = f"{registry.storage} is emptied when the host starts: all images are lost then"
        yield Finding((*place, "storage"), message, "as in /var/lib/registry")
    if not registry.external and is_in_home(registry.storage):
        message = f"{registry.storage} is in a home: its owner can redirect what root writes there"
        yield Finding((*place, "storage"), message, "as in /var/lib/registry")


def _read_only_warnings(registry: Registry, of: Registry) -> Iterator[Finding]:
    """All else is said of the registry itself."""
    where = registry.listen[0] if registry.listen else registry.endpoint
    if of.users and not registry.users and not _is_loopback(where):
        message = f"has no users: anyone who reaches {registry.endpoint} can pull every image"
        hint = 'declare some, as in users.replica.password = "generate"; or leave it so'
        yield Finding(("registry", of.name, "readonly"), message, hint)


def _cache_warnings(registry: Registry) -> Iterator[Finding]:
    place = ("registry", registry.name)
    if registry.proxy_user and not registry.users:
        where = registry.endpoint
        if not _is_loopback(registry.listen[0] if registry.listen else where):
            message = f"logs in to {registry.proxy}: anyone who reaches {where} reads what it may"
            hint = "use a login that may read public images alone, or declare users of the cache"
            yield Finding((*place, "proxy", "user"), message, hint)
    if registry.proxy and not registry.delete:
        message = "is false: the cache cannot remove what has expired, and its disk fills"
        yield Finding((*place, "delete"), message, "leave it out")


def _role_warnings(registry: Registry) -> Iterator[Finding]:
    """Declared roles that say something else than what holds."""
    place = ("registry", registry.name)
    if not registry.projects:
        return
    if not registry.admins:
        message = "has no admins: nobody may list its repositories, or reach those of no project"
        yield Finding(place, message, f'as in admins = ["{registry.users[0].name}"]')
    for project in registry.projects:
        for member in project.members:
            if member.user in registry.admins and member.role != "admin":
                where = (*place, "projects", project.name, "members", member.user)
                message = f"{member.user} is an admin of the registry, and may do everything"
                yield Finding(where, message, "leave it out, or take it from admins")
    members = {member.user for project in registry.projects for member in project.members}
    for user in registry.users:
        if user.name not in members and user.name not in registry.admins:
            may = "pull from public projects only"
            if not any(project.public for project in registry.projects):
                may = "do nothing"
            message = f"is a member of no project: this user may {may}"
            yield Finding((*place, "users", user.name), message, "make it a member, or leave it so")


def _standby_warnings(registry: Registry, fleet: Fleet) -> Iterator[Finding]:
    """What a registry lacks that takes over from another one."""
    if len(registry.before) == 1 or not registry.before:
        return
    one, two = registry.before
    every = [
        each.every
        for each in fleet.replications.values()
        if each.source == one and two in each.targets and each.every
    ]
    lag = min(every, default=0)
    message = (
        f"when {one} fails, {two} serves without what it has not copied yet: pushes of up to "
        f"{_interval(lag)}, and of as long as a copy takes; deletions do not travel at all"
    )
    hint = f"`regfleet status` shows how far {two} is behind"
    yield Finding(("registry", registry.name, "gateway", "before"), message, hint)


def _interval(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h" if hours and not rest else f"{seconds // 60} min"


def _mirror_warnings(client: Client, fleet: Fleet) -> Iterator[Finding]:
    """Mirrors that could serve other images than the registry's, or serve none."""
    logins = {login.registry for login in client.logins}
    for mirror in client.mirrors:
        place = ("client", client.name, *mirror.place)
        whose = {HUB: "Docker Hub", "*": "every registry"}.get(mirror.of, mirror.of)
        url = urlsplit(mirror.url)
        registry = fleet.registries[mirror.registry] if mirror.registry else None
        if registry is None:
            if url.scheme == "http" and not _is_loopback(url.netloc):
                message = f"is plain HTTP: anyone on the network path can replace {whose}'s images"
                yield Finding(place, message, "use a mirror with https://")
        elif registry.users and registry.name not in logins:
            message = f"{registry.endpoint} has users, and {client.engine} has no login for it here"
            hint = f"declare a login: without one the mirror refuses, and {whose} is asked instead"
            yield Finding(place, message, hint)


def _daemon_warnings(client: Client) -> Iterator[Finding]:
    hosts = client.daemon.get("hosts")
    open_ = [
        text
        for text in (hosts if isinstance(hosts, list) else [])
        if isinstance(text, str) and text.startswith("tcp://") and not _is_loopback(text[6:])
    ]
    if open_ and client.daemon.get("tlsverify") is not True:
        message = f"has {open_[0]} without tlsverify: anyone who reaches it is root on these hosts"
        hint = "leave it out, or set tlsverify, tlscacert, tlscert and tlskey too"
        yield Finding(("client", client.name, "daemon", "hosts"), message, hint)


def _parse_bytes(amount: str) -> int:
    return int(amount[:-1]) << {"k": 10, "m": 20, "g": 30}[amount[-1].lower()]


def _is_loopback(authority: str) -> bool:
    host = authority
    if not authority.startswith("::"):
        host = urlsplit(f"//{authority}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
