"""The program that examines one host: the look, and the doctor's checks behind it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from shlex import quote
from urllib.parse import urlsplit

from regfleet import shell
from regfleet.desired.model import DesiredHost
from regfleet.desired.resolve import clients_of, registries_on
from regfleet.engines import ENGINES
from regfleet.fleet.model import Fleet, Registry
from regfleet.look import request
from regfleet.pki.names import endpoint_host

# What a full disk there would break: configuration, our record, images and containers.
_PLACES = (
    "/etc",
    "/var/lib/regfleet",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
)
ROOT = "root"


def program(*engines: str) -> str:
    """The doctor's shell functions, with those of engines (their shell words)."""
    return shell.program("regfleet.doctor", "doctor.sh", engines=engines)


def render(fleet: Fleet, want: DesiredHost, salt: str, images: Sequence[str] = ()) -> str:
    """The whole program for standard input.

    Args:
        want: what the host should have.
        salt: as for the look.
        images: what its engine should be able to pull, as far as it is not there.
    """
    words = [ENGINES[name].shell for name in want.engines]
    words = [word for word in words if _knows(word)]
    storage = [registry.storage for registry in registries_on(fleet, want.name)]
    calls = [*(f"{word}_first" for word in words), "look"]
    calls += [" ".join(["disks", *map(quote, (*_PLACES, *storage))])]
    calls += [f"resolved {quote(name)}" for name in names(fleet, want.name)]
    calls += [f"listener {registry.port}" for registry in registries_on(fleet, want.name)]
    calls += [f"{word}_trouble" for word in words]
    if "docker" in words:
        calls += [f"docker_state {quote(container.name)}" for container in want.containers]
        calls += [f"docker_offer {quote(image)}" for image in images]
    own = ENGINES[want.engine].shell if want.engine else ""
    if own in words:
        calls += [f"{own}_{call}" for call in _of_client(fleet, want)]
    body = "\n  ".join([*calls, "say examined"])
    look = request.define(want, salt)
    return f"{program(*words)}\n{look}\ndoctor() {{\n  {body}\n}}\ndoctor </dev/null\n"


def _knows(word: str) -> bool:
    return files("regfleet.engines").joinpath(f"{word}.doctor.sh").is_file()


def _of_client(fleet: Fleet, want: DesiredHost) -> Iterator[str]:
    for registry in used(fleet, want.name):
        yield f"certs {quote(registry.endpoint)}"
        accounts = [each.account for each in want.logins if each.endpoint == registry.endpoint]
        for account in accounts or [ROOT]:
            yield f"try {quote(registry.endpoint)} {quote(account)}"


def used(fleet: Fleet, host: str) -> tuple[Registry, ...]:
    """The registries that a host uses as a client; a plain one that it only mirrors from is none.

    Of mirrors, dockerd takes plain HTTP as it is written in their URL.
    """
    groups = clients_of(fleet, host)
    chosen = {name for group in groups for name in group.registries}
    chosen |= {login.registry for group in groups for login in group.logins}
    mirrors = {urlsplit(mirror).netloc for group in groups for mirror in group.mirrors}
    return tuple(
        registry
        for registry in fleet.registries.values()
        if registry.name in chosen
        or (registry.endpoint in mirrors and registry.tls.source != "none")
    )


def names(fleet: Fleet, host: str) -> tuple[str, ...]:
    """The names that a client has to resolve; addresses are none."""
    mirrors = (mirror for group in clients_of(fleet, host) for mirror in group.mirrors)
    hosts = [endpoint_host(registry.endpoint) for registry in used(fleet, host)]
    hosts += [found for mirror in mirrors if (found := urlsplit(mirror).hostname)]
    return tuple(name for name in dict.fromkeys(hosts) if not is_address(name))


def is_address(name: str) -> bool:
    """Whether it is an IP address, and no name."""
    return ":" in name or name.replace(".", "").isdigit()
