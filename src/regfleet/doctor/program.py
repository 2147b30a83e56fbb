"""The program that examines one host: the look, and the doctor's checks behind it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from shlex import quote
from urllib.parse import urlsplit

from regfleet import shell
from regfleet.desired.resolve import clients_of, registries_on
from regfleet.engines import ENGINES, REGISTRY_ENGINE
from regfleet.fleet.copies import copies
from regfleet.fleet.engine_rules import image_directories
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Instance, Registry
from regfleet.look import request
from regfleet.model.desired import DesiredHost
from regfleet.model.service import at
from regfleet.pki.names import endpoint_host
from regfleet.services import shell_of
from regfleet.shell import frame

# What a full disk there would break, beside images and containers: configuration and our record.
_PLACES = (
    "/etc",
    "/var/lib/regfleet",
)
_PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080}
ROOT = "root"
NOBODY = "-"  # no account: without a login, whatever root may keep


def program(*engines: str, services: Sequence[str] = ()) -> str:
    """The doctor's shell functions, with those of engines (their shell words) and of services."""
    return shell.program("regfleet.doctor", "doctor.sh", engines=engines, services=services)


def render(
    fleet: Fleet, want: DesiredHost, salt: str, mark: str, images: Sequence[str] = ()
) -> str:
    """The whole program for standard input.

    Args:
        want: what the host should have.
        salt: as for the look.
        mark: this program's own, which frames its answer.
        images: what its engine should be able to pull, as far as it is not there.
    """
    words = [ENGINES[name].shell for name in want.engines]
    words = [word for word in words if _knows(word)]
    storage = [
        each.storage
        for each in registries_on(fleet, want.name)
        if each.storage and any(host.name == want.name for host in each.hosts)
    ]
    calls = ["begin", *(f"{word}_first" for word in words), "look"]
    calls += [" ".join(["disks", *map(quote, (*_PLACES, *image_directories(), *storage))])]
    calls += [f"resolved {quote(name)}" for name in names(fleet, want.name)]
    calls += [f"reaches {quote(place)}" for place in proxies(fleet, want.name)]
    for registry in registries_on(fleet, want.name):
        instance = registry.instance((want.name,))
        calls += [f"listener {_listener(registry, instance)}"] if instance else []
    calls += [f"{word}_trouble" for word in words]
    runs = ENGINES[REGISTRY_ENGINE].shell
    if runs in words:
        calls += [f"{runs}_offer {quote(image)}" for image in images]
    calls += [f"{service.kind}_state {quote(service.name)}" for service in want.services]
    own = ENGINES[want.engine].shell if want.engine else ""
    if own in words:
        calls += [f"{own}_{call}" for call in _of_client(fleet, want)]
    body = "\n  ".join([*calls, "say examined"])
    look = request.define(want, salt)
    kinds = shell_of(sorted({service.kind for service in want.services}))
    return f"{program(*words, services=kinds)}\n{look}\ndoctor() {{\n  {body}\n}}\n" + frame.around(
        mark, "doctor </dev/null"
    )


def _listener(registry: Registry, instance: Instance) -> str:
    """Where a registry is reached on its host, its port, and where alone it listens, if there."""
    where = at(instance.address, instance.port)
    alone = registry.listen is not None and instance.address == registry.listen[0]
    return " ".join(map(quote, (where, str(instance.port), where if alone else "")))


def _knows(word: str) -> bool:
    return files("regfleet.engines").joinpath(f"{word}.doctor.sh").is_file()


def _of_client(fleet: Fleet, want: DesiredHost) -> Iterator[str]:
    groups = clients_of(fleet, want.name)
    declared = {login.registry for group in groups for login in group.logins}
    for registry in used(fleet, want.name):
        yield f"certs {quote(registry.endpoint)}"
        accounts = [each.account for each in want.logins if each.endpoint == registry.endpoint]
        for account in accounts or [ROOT if registry.name in declared else NOBODY]:
            yield f"try {quote(registry.endpoint)} {quote(account)}"


def used(fleet: Fleet, host: str) -> tuple[Registry, ...]:
    """The registries that a host uses as a client; a plain one that it only mirrors from is none.

    Of mirrors, dockerd takes plain HTTP as it is written in their URL.
    """
    groups = clients_of(fleet, host)
    chosen = {name for group in groups for name in group.registries}
    chosen |= {login.registry for group in groups for login in group.logins}
    mirrors = {name for group in groups for name in group.mirrored}
    return tuple(
        registry
        for registry in fleet.registries.values()
        if registry.name in chosen or (registry.name in mirrors and registry.tls.source != "none")
    )


def names(fleet: Fleet, host: str) -> tuple[str, ...]:
    """The names that a client has to resolve; addresses are none."""
    mirrors = (mirror for group in clients_of(fleet, host) for mirror in group.mirrors)
    hosts = [endpoint_host(registry.endpoint) for registry in used(fleet, host)]
    hosts += [found for mirror in mirrors if (found := urlsplit(mirror.url).hostname)]
    return tuple(name for name in dict.fromkeys(hosts) if not is_address(name))


def proxies(fleet: Fleet, host: str) -> dict[str, str]:
    """Host and port of the HTTP proxies that a host uses, and the table that declares each.

    golang.org/x/net/http/httpproxy and net/http: where a URL has no port.
    """
    declared = [(f"client.{each.name}.proxy", each.proxy) for each in clients_of(fleet, host)]
    declared += [
        (f"registry.{each.name}.http_proxy", each.http_proxy)
        for each in registries_on(fleet, host)
        if any(host == one.name for one in each.hosts)
    ]
    declared += [
        (f"replication.{each.policy.name}.http_proxy", each.policy.http_proxy)
        for each in copies(fleet)
        if each.host and each.host.name == host
    ]
    found: dict[str, str] = {}
    for table, proxy in declared:
        for text in (proxy.http, proxy.https) if proxy else ():
            url = urlsplit(text)
            if url.hostname:
                port = url.port or _PROXY_PORTS[url.scheme]
                found.setdefault(at(url.hostname, port), table)
    return found


def is_address(name: str) -> bool:
    """Whether it is an IP address, and no name."""
    return ":" in name or name.replace(".", "").isdigit()
