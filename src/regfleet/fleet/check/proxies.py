"""Cross-checks of HTTP proxies: those of clients, and those of registries."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from regfleet.fleet import defaults
from regfleet.fleet.findings import Finding, Place, Table


def check(place: Place, proxy: Table) -> Iterator[Finding]:
    """The mistakes in a table of a proxy that the schema cannot find."""
    if "http" not in proxy and "https" not in proxy:
        yield Finding(place, "names no proxy", 'as in https = "http://proxy.example.com:3128"')
    for key, other in (("user", "password"), ("password", "user")):
        if key in proxy and other not in proxy:
            yield Finding((*place, other), f"is missing: {key} is set", "write both")


def check_registry(place: Place, registry: Table) -> Iterator[Finding]:
    """The mistakes in a registry's `http_proxy`, which is for what the registry asks itself."""
    proxy = registry.get("http_proxy")
    if proxy is None:
        return
    place = (*place, "http_proxy")
    yield from check(place, proxy)
    asked = _schemes(registry)
    if not asked:
        message = "has no effect: only a cache, or a registry with a bucket, asks others"
        yield Finding(place, message, "leave it out; [client.NAME.proxy] is for clients' engines")
    given = {key for key in ("http", "https") if key in proxy}
    if asked and given and not asked & given:
        (lacking,) = asked
        message = f"has no effect: what the registry asks is {lacking}://, and {lacking} is not set"
        yield Finding(place, message, f'as in {lacking} = "http://proxy.example.com:3128"')


def _schemes(registry: Table) -> set[str]:
    """The schemes of the URLs that a registry asks by itself; several only where unknown."""
    bucket = defaults.s3(registry)
    if bucket is not None:
        return {urlsplit(bucket.get("endpoint") or "https://").scheme}
    url = defaults.upstream_url(registry)
    return {urlsplit(url).scheme} if url else set()
