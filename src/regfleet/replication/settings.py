"""The engine's settings for a copy. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from regfleet.fleet.copies import Copy
from regfleet.fleet.machines import Host
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Proxy, Registry
from regfleet.fleet.values import Json
from regfleet.http_proxy import no_proxy
from regfleet.materials import RegistryMaterial
from regfleet.model.service import at
from regfleet.secret import Secret

VERSION = 1  # of the settings, as of `engine.VERSION`; the engine is for hosts, and slow to import
DEADLINE = 6 * 3600  # seconds of one run
STATE = "/var/lib/regfleet/replication"  # ledgers, locks and last records on a host


def settings(
    copy: Copy,
    materials: Mapping[str, RegistryMaterial],
    *,
    state: str = STATE,
    connect: Mapping[str, str] | None = None,
    by: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """The engine's settings for a copy (see `engine.SETTINGS`); they hold passwords.

    Args:
        state: the directory of its ledger, lock and last record.
        connect: HOST:PORT of registries that are not reached by their endpoint; by default the
            instance on the host that runs it.
        by: the HTTP proxy of external registries, as of `proxy`; empty for none.
    """
    runner = copy.runner
    if connect is None:
        connect = {}
        for registry in (copy.source, copy.target):
            own = registry.instance((runner.host.name,)) if runner else None
            if own:
                connect = {**connect, registry.name: at(own.address, own.port)}
    policy, logins = copy.policy, dict(copy.users)
    base = f"{state}/{copy.file_name}"
    return {
        "version": VERSION,
        "policy": copy.name,
        "source": side(copy.source, materials, logins, connect),
        "target": side(copy.target, materials, logins, connect),
        **({"http_proxy": dict(by)} if by else {}),
        "repositories": list(policy.repositories),
        "exclude": list(policy.exclude),
        "tags": list(policy.tags),
        "delete": policy.delete,
        "max_delete": policy.max_delete,
        "conflict": policy.conflict,
        "two_way": copy.two_way,
        "parallel": policy.parallel,
        "deadline": DEADLINE,
        "ledger": f"{base}.ledger",
        "lock": f"{base}.lock",
        "record": f"{base}.json",
    }


def proxy(
    fleet: Fleet, declared: Proxy | None, password: Secret | None, host: Host | None
) -> dict[str, Json]:
    """The settings of an HTTP proxy, as of `engine.Proxy`; empty without one.

    Args:
        host: the host that uses it; None for the machine that runs regfleet.
    """
    if declared is None:
        return {}
    direct = no_proxy(fleet, declared, *([host] if host else []))
    found: dict[str, Json] = {"no_proxy": direct}
    ways = {"http": declared.http, "https": declared.https}
    found |= {scheme: url for scheme, url in ways.items() if url}
    if declared.user and password:
        found |= {"user": declared.user.name, "password": password.reveal()}
    return found


def text(found: Mapping[str, Json]) -> str:
    """Settings as the engine reads them."""
    return json.dumps(found, indent=1) + "\n"


def side(
    registry: Registry,
    materials: Mapping[str, RegistryMaterial],
    logins: Mapping[str, str],
    connect: Mapping[str, str],
) -> dict[str, Json]:
    """The settings of one registry, as of `engine.Registry`."""
    material = materials[registry.name]
    scheme = "http" if registry.tls.source == "none" else "https"
    found: dict[str, Json] = {"name": registry.name, "url": f"{scheme}://{registry.endpoint}"}
    if registry.name in connect:
        found["connect"] = connect[registry.name]
    if material.ca and scheme == "https":
        found["ca"] = material.ca.decode("ascii")
    user = logins.get(registry.name)
    if user is not None:
        found["user"] = user
        found["password"] = material.passwords[user].reveal()
    return found
