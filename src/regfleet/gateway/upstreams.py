"""Where a gateway finds the instances of its registry, and how it turns to another one. Pure.

An instance on another host is reached over the network: so all instances speak TLS then, with a
certificate that only these gateways trust (`regfleet.pki.instances`), and take tokens alone. No
password comes by there: a gateway exchanges it on its own host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from regfleet.fleet.registries import Registry
from regfleet.gateway import behind
from regfleet.gateway.places import Places
from regfleet.model.service import at
from regfleet.pki.instances import NAME

TRUST = "instances.crt"
"""The file beside `nginx.conf` with what instances show."""
_SKIPPED = "5s"  # how long one that failed is not asked, while another answers


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The instances of a registry, as one of its gateways sees them: ADDRESS:PORT each.

    Attributes:
        own: the one on the gateway's own host; empty where there is none.
        others: those on other hosts.
        tls: whether they speak TLS.
        stores: seconds that storing an upload may take.
        ways: the gateway's own ways to other registries, which it stands before, the preferred one
            first; there are no instances then.
    """

    own: str
    others: tuple[str, ...] = ()
    tls: bool = False
    stores: int = 900
    ways: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, the own or preferred one first."""
        return (*filter(None, [self.own]), *self.others, *self.ways)

    @property
    def scheme(self) -> str:
        """Of their URLs."""
        return "https" if self.tls else "http"


def upstreams(registry: Registry, host: str, places: Places) -> Upstreams:
    """The instances that the gateway on a host balances over.

    Args:
        host: the host's name.
        places: where what is on that host alone listens.
    """
    gateway = registry.gateway
    if registry.before:
        return Upstreams("", ways=places.behind[: len(registry.before)])
    if gateway is None or not registry.spread:
        return Upstreams(places.registry)
    others = tuple(at(each.address, gateway.port) for each in registry.hosts if each.name != host)
    runs = len(others) < len(registry.hosts)
    own = at("127.0.0.1", gateway.port) if runs else ""
    # A large layer is copied inside a bucket when it is complete.
    return Upstreams(own, others, tls=True, stores=900 if registry.s3 else 60)


def servers(found: Upstreams) -> Iterator[str]:
    """The servers of an upstream, as directives (nginx.org, ngx_http_upstream_module).

    One that does not answer is skipped for a while; when none is left that is not, all are tried
    once more: that is what those marked `backup` are for.

    Of two ways the second is taken only while the first is skipped. Among its backups is the first
    one too, for when the second fails; weights have it tried after that.
    """
    if len(found.all) == 1:
        yield f"server {found.all[0]} max_fails=0;"
        return
    if found.ways:
        first, *others = found.ways
        yield f"server {first} max_fails=1 fail_timeout={_SKIPPED};"
        for each in others:
            yield f"server {each} weight=10000 max_fails=0 backup;"
        yield f"server {first} max_fails=0 backup;"
        return
    for each in found.all:
        yield f"server {each} max_fails=1 fail_timeout={_SKIPPED};"
    for each in found.all:
        yield f"server {each} max_fails=0 backup;"


def groups(found: Upstreams) -> Iterator[str]:
    """The upstreams: `registry`, `uploads`, and `own` for the instance whose host this is.

    A connection that an instance closes meanwhile would tear an upload, which cannot be sent again;
    and one that is kept to a host that vanished would hold a request up until it is given up.
    """
    kept = ("keepalive 32;",) if not (found.tls or found.ways) else ()
    listed = tuple(servers(found))
    yield from _group("registry", listed, kept)
    yield from _group("uploads", listed)
    if len(found.ways) > 1:
        yield from behind.sessions(found.ways)
    yield from _group("own", (f"server {found.own} max_fails=0;",) if found.own else listed)


def _group(name: str, listed: Iterable[str], kept: Iterable[str] = ()) -> Iterator[str]:
    # In shared memory, so that what one worker finds out counts for all. nginx wants eight pages of
    # it, and Red Hat's kernels for arm64 and POWER have pages of 64 kB.
    yield from (f"upstream {name} {{", f"  zone {name} 1m;")
    yield from (f"  {each}" for each in (*listed, *kept))
    yield "}"


def trust(found: Upstreams, home: str) -> Iterator[str]:
    """How nginx proves that it talks to an instance."""
    if found.tls:
        yield f"proxy_ssl_trusted_certificate {home}/{TRUST};"
        yield "proxy_ssl_verify on;"
        yield f"proxy_ssl_name {NAME};"
        yield "proxy_ssl_server_name on;"
        yield "proxy_ssl_protocols TLSv1.2 TLSv1.3;"


def patience(found: Upstreams) -> tuple[str, str]:
    """For requests and for uploads: how long an instance may be silent, where others are there."""
    if len(found.all) == 1:
        return "", ""
    return (
        "proxy_read_timeout 30s;\nproxy_send_timeout 30s;",
        f"proxy_read_timeout {found.stores}s;\nproxy_send_timeout 30s;",
    )
