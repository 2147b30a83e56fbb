"""HTTP proxies, as programs of Go's take them: an engine, or a registry. Pure.

Names and meaning: golang.org/x/net/http/httpproxy, FromEnvironment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from regfleet.fleet.machines import Host
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Proxy, User
from regfleet.secret import Secret

_LOGIN = re.compile(r"://[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """The HTTP proxy that a program uses.

    Attributes:
        http, https: its URL for requests of each scheme, with the login in it (RFC 3986, 3.2.1);
            empty for none.
        no_proxy: what is reached without it, with commas between.
        secret: whether the URLs hold a password.
    """

    http: Secret
    https: Secret
    no_proxy: str
    secret: bool


def variables(proxy: HttpProxy, prefix: str = "") -> dict[str, str]:
    """The variables that tell a program of Go's of a proxy, with its password.

    Args:
        prefix: before each name; k3s and RKE2 hand on what begins with `CONTAINERD_`.
    """
    given = {
        "HTTP_PROXY": proxy.http.reveal(),
        "HTTPS_PROXY": proxy.https.reveal(),
        "NO_PROXY": proxy.no_proxy,
    }
    return {f"{prefix}{name}": value for name, value in given.items() if value}


def without_login(text: str) -> str:
    """A text without users and passwords in URLs."""
    return _LOGIN.sub("://***@", text)


def with_login(url: str, user: User | None, password: Secret | None) -> Secret:
    """A proxy's URL with its login, percent-encoded (RFC 3986, 3.2.1)."""
    scheme, mark, rest = url.partition("://")
    if not url or user is None or password is None:
        return Secret(url)
    login = f"{quote(user.name, safe='')}:{quote(password.reveal(), safe='')}"
    return Secret(f"{scheme}{mark}{login}@{rest}")


def no_proxy(fleet: Fleet, declared: Proxy, *hosts: Host, further: tuple[str, ...] = ()) -> str:
    """What is reached without the proxy, with commas between.

    That is what is declared, the machine itself, and the fleet's registries with their hosts.
    Clients are left out: each new one would restart the programs of all.

    Args:
        hosts: the machines that the program runs on.
        further: what is left out, too.
    """
    return ",".join(dict.fromkeys((*declared.no_proxy, *_direct(fleet, hosts), *further)))


def _direct(fleet: Fleet, hosts: tuple[Host, ...]) -> Iterator[str]:
    yield from ("localhost", "127.0.0.1", "::1")
    for each in hosts:
        yield from () if each.is_local else (each.name, each.address)
    for registry in fleet.registries.values():
        if not registry.external:
            yield registry.host
            for each in registry.machines:
                yield from () if each.is_local else (each.name, each.address)
