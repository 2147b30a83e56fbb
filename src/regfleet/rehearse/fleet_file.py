"""A twin's fleet as a fleet file, so that hosts that are kept can be worked on as a fleet. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from regfleet.fleet import toml_text
from regfleet.fleet.clients import Client
from regfleet.fleet.machines import Host
from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import ALL_AT_ONCE, Replication
from regfleet.fleet.registries import (
    Backup,
    Gateway,
    PasswordSource,
    Project,
    Proxy,
    Registry,
    Retention,
    Tls,
    User,
    read_only_name,
)
from regfleet.fleet.values import Json
from regfleet.model.service import at

Table: TypeAlias = "dict[str, Json]"


def render(fleet: Fleet) -> str:
    """The text that loads as this fleet.

    Args:
        fleet: settled; every host has the same key and known hosts, and the default port.
    """
    tables: dict[str, Table] = {
        "": {"version": 1, "name": fleet.name},
        "ssh": _ssh(next(iter(fleet.hosts().values()))),
    }
    for registry in fleet.declared:
        table = _registry(registry)
        if read_only := fleet.registries.get(read_only_name(registry.name)):
            table["readonly"] = _read_only(read_only)
        tables[f"registry.{toml_text.key(registry.name)}"] = table
    for client in fleet.clients.values():
        tables[f"client.{toml_text.key(client.name)}"] = _client(client)
    for policy in fleet.replications.values():
        tables[f"replication.{toml_text.key(policy.name)}"] = _replication(policy)
    if fleet.rollout != ALL_AT_ONCE:
        rollout = fleet.rollout
        tables["rollout"] = _given(
            canary=rollout.canary, batch=rollout.batch, max_failures=rollout.max_failures
        )
    tables["smoke"] = _given(
        image=fleet.smoke.image, image_archive=_path(fleet.smoke.image_archive)
    )
    return "\n".join(_table(name, table) for name, table in tables.items())


def _table(name: str, table: Table) -> str:
    lines = [f"[{name}]"] if name else []
    lines += [f"{toml_text.key(key)} = {toml_text.value(value)}" for key, value in table.items()]
    return "".join(f"{line}\n" for line in lines)


def _ssh(host: Host) -> Table:
    ssh = host.ssh
    return _given(
        port=ssh.port,
        key=_path(ssh.key),
        host_key_checking=ssh.host_key_checking,
        known_hosts=_path(ssh.known_hosts),
    )


def _hosts(hosts: Iterable[Host]) -> list[Json]:
    return [
        {
            "name": host.name,
            "address": host.address,
            "ssh": _given(user=host.ssh.user, sudo=host.ssh.sudo),
        }
        for host in hosts
    ]


def _registry(registry: Registry) -> Table:
    common: Table = {
        "endpoint": registry.endpoint,
        "smoke": registry.smoke,
        "allow_plaintext_passwords": registry.allow_plaintext_passwords,
    }
    if registry.tls.source != "public":
        common["tls"] = _tls(registry.tls)
    if registry.users:
        common["users"] = _users(registry.users)
    if registry.external:
        return {"external": True, **common}
    if registry.proxy:  # played by a stand-in of another name
        common["serves_docker_hub"] = registry.serves_docker_hub
    return {
        **({} if registry.before else {"hosts": _hosts(registry.hosts), **_storage(registry)}),
        "runtime": registry.runtime,
        "delete": registry.delete,
        "limits": _given(
            memory=registry.limits.memory,
            pids=registry.limits.pids,
            log_size=registry.limits.log_size,
            log_files=registry.limits.log_files,
        ),
        **_retention(registry),
        **_given(backup=_backup(registry.backup) if registry.backup else None),
        **({"listen": at(*registry.listen)} if registry.listen else {}),
        **_image(registry),
        **_given(proxy=_upstream(registry)),
        **_roles(registry),
        **common,
    }


def _read_only(registry: Registry) -> Table:
    return {"port": registry.port, "users": _users(registry.users), **_image(registry)}


def _users(users: Iterable[User]) -> Table:
    return {user.name: {"password": _password(user.password)} for user in users}


def _storage(registry: Registry) -> Table:
    return {"storage": {"shared": registry.storage} if registry.shared else registry.storage}


def _retention(registry: Registry) -> Table:
    found = registry.retention
    if found == Retention():
        return {}
    rules: list[Json] = [
        {
            "repositories": list(rule.repositories),
            **_given(
                keep_last=rule.keep_last or None,
                keep_younger=f"{rule.keep_younger // 3600}h" if rule.keep_younger else None,
            ),
            **({"keep_tags": list(rule.keep_tags)} if rule.keep_tags else {}),
            "keep_deployed": rule.keep_deployed,
        }
        for rule in found.rules
    ]
    gc: Table = {"untagged_older": f"{found.untagged_older // 3600}h"}
    return {"retention": {"rules": rules, "gc": gc}}


def _backup(backup: Backup) -> Table:
    return {
        "to": {"mounted": backup.to} if backup.mounted else backup.to,
        "keep": backup.keep,
        **_given(
            every=f"{backup.schedule.every // 60}m" if backup.schedule.every else None,
            at=backup.schedule.at or None,
        ),
        **_given(key=_password(backup.key) if backup.key else None),
    }


def _roles(registry: Registry) -> Table:
    if registry.gateway is None:
        return {}
    gateway: Gateway = registry.gateway
    projects: Table = {each.name: _project(each) for each in registry.projects}
    return {
        **({"admins": list(registry.admins)} if registry.admins else {}),
        **({"projects": projects} if registry.projects else {}),
        "gateway": _given(
            image=gateway.image,
            image_archive=_path(gateway.image_archive),
            port=None if gateway.before else gateway.port,
            hosts=_hosts(gateway.hosts) or None,
            before=list(gateway.before) or None,
            login=dict(gateway.logins) or None,
        ),
    }


def _project(project: Project) -> Table:
    members: Table = {each.user: each.role for each in project.members}
    return {"public": project.public, "members": members}


def _upstream(registry: Registry) -> Json:
    """The empty registry that plays a cache's upstream: without a login."""
    if registry.proxy and registry.proxy_ttl:
        return {"url": registry.proxy, "ttl": registry.proxy_ttl}
    return registry.proxy


def _image(registry: Registry) -> Table:
    """None of one that the distribution packages: the file may not name one there."""
    if registry.runtime == "package":
        return {}
    return {"image": registry.image, **_given(image_archive=_path(registry.image_archive))}


def _tls(tls: Tls) -> Table:
    names: list[Json] = list(tls.names)
    return _given(
        source=tls.source,
        names=names or None,
        certificate=_path(tls.certificate),
        key=_path(tls.key),
        ca=_path(tls.ca),
    )


def _password(source: PasswordSource) -> Json:
    return source.kind if source.kind == "generate" else {source.kind: source.value}


def _client(client: Client) -> Table:
    login: Table = {
        each.registry: {"user": each.user, "for": list(each.accounts)} for each in client.logins
    }
    return {
        "hosts": _hosts(client.hosts),
        "engine": client.engine,
        **_given(account=client.account or None),
        "install": client.install,
        "registries": list(client.registries),
        "mirrors": _mirrors(client),
        "login": login,
        "daemon": dict(client.daemon),
        "migrate_flags": client.migrate_flags,
        **({"proxy": _proxy(client.proxy)} if client.proxy else {}),
    }


def _replication(policy: Replication) -> Table:
    logins: Table = dict(policy.logins)
    return {
        "from": policy.source,
        "to": list(policy.targets),
        "repositories": list(policy.repositories),
        "exclude": list(policy.exclude),
        "tags": list(policy.tags),
        **_given(every=f"{policy.every // 60}m" if policy.every else None),
        "delete": policy.delete,
        **({"max_delete": policy.max_delete} if policy.delete else {}),
        "conflict": policy.conflict,
        "parallel": policy.parallel,
        "run_on": policy.run_on,
        "login": logins,
    }


def _mirrors(client: Client) -> Json:
    if all(len(mirror.place) <= len(("mirrors", 0)) for mirror in client.mirrors):
        return [mirror.url for mirror in client.mirrors]
    table: dict[str, list[Json]] = {}
    for mirror in client.mirrors:
        table.setdefault(mirror.of, []).append(mirror.url)
    return dict(table)


def _proxy(proxy: Proxy) -> Table:
    """Without its login, which a twin has none of."""
    return _given(
        http=proxy.http or None,
        https=proxy.https or None,
        no_proxy=list(proxy.no_proxy),
        containers=proxy.containers,
    )


def _path(path: object) -> str | None:
    return None if path is None else str(path)


def _given(**pairs: Json) -> Table:
    return {key: value for key, value in pairs.items() if value is not None}
