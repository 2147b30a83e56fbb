"""Cross-checks of registries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from regfleet.fleet import defaults
from regfleet.fleet.addresses import split_listen
from regfleet.fleet.check import proxies, tables
from regfleet.fleet.check.hosts import Claim
from regfleet.fleet.findings import Finding, Place, RefusedError, Table
from regfleet.fleet.patterns import covers
from regfleet.fleet.schedules import check_schedule
from regfleet.fleet.toml_text import place as written

_PROVISIONED_ONLY = (
    "proxy",
    "http_proxy",
    "serves_docker_hub",
    "hosts",
    "runtime",
    "image",
    "image_archive",
    "storage",
    "adopt",
    "delete",
    "listen",
    "limits",
    "retention",
    "backup",
    "admins",
    "projects",
    "gateway",
    "readonly",
)
_SERVER_FILES = ("certificate", "key")
_ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - nothing is bound here
_FILES = (*_SERVER_FILES, "ca")
# distribution v3.0.0, configuration.Proxy.TTL; registry/proxy/proxyauth.go: Basic logins, too.
_TTL_SINCE = 3
_LEAST_BETWEEN_COLLECTIONS = 3600  # seconds: a registry takes no pushes while it is collected


def check(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """The mistakes in `[registry.NAME]` that the schema cannot find."""
    members: defaultdict[Place, list[Claim]] = defaultdict(list)
    for claim in claims:
        members[claim.group].append(claim)
    for name, registry in tables.named(document, "registry"):
        place = ("registry", name)
        if registry.get("external"):
            yield from _external(place, registry)
        elif not tables.is_broken(registry, "external"):
            yield from _provisioned(place, registry, members[place])
            if "serves_docker_hub" in registry and "proxy" not in registry:
                message = "describes the upstream of a pull-through cache, and proxy is not set"
                yield Finding((*place, "serves_docker_hub"), message, "leave it out, or set proxy")
            yield from _upstream(place, registry, document)
            yield from _bucket(place, registry)
            yield from proxies.check_registry(place, registry)
            yield from _retention(place, registry)
        yield from _passwords(place, registry)
    yield from _collisions(document, claims)


def _external(place: Place, registry: Table) -> Iterator[Finding]:
    for key in _PROVISIONED_ONLY:
        if key in registry:
            message = "does not go with external = true: regfleet does not provision that registry"
            yield Finding((*place, key), message, f"leave out {key}, or external")
    if "endpoint" not in registry:
        hint = 'declare it, as in endpoint = "registry.example.com"'
        yield Finding((*place, "endpoint"), "is missing", hint)
    tls = registry.get("tls") or {}
    if tls.get("source") == "fleet-ca":
        message = "the fleet's CA cannot sign for an external registry"
        hint = 'leave it out (publicly trusted), or write "none", or "files" with ca'
        yield Finding((*place, "tls", "source"), message, hint)
    for key in (*_SERVER_FILES, "names"):
        if key in tls:
            message = "does not go with external = true: regfleet does not make its certificate"
            yield Finding((*place, "tls", key), message, "leave it out; ca alone is for clients")
    yield from _tls_files(place, registry, required=("ca",))
    for user, table in tables.pairs(registry, "users"):
        if table.get("password") == "generate":
            message = "cannot be generated: regfleet cannot set a password on an external registry"
            hint = 'write { env = "NAME" }, { file = "PATH" } or { command = "COMMAND" }'
            yield Finding((*place, "users", user, "password"), message, hint)


def _provisioned(place: Place, registry: Table, members: list[Claim]) -> Iterator[Finding]:
    if "hosts" not in registry and "before" not in (registry.get("gateway") or {}):
        hint = 'name the machine that runs it, as in hosts = ["reg1"], or write external = true'
        yield Finding((*place, "hosts"), "is missing", hint)
    if len(members) > 1:
        yield from _several(place, registry, len(members))
    runtime = registry.get("runtime")
    if members and "endpoint" not in registry:  # without members its hosts are refused already
        try:
            defaults.endpoint(registry)
        except RefusedError as refused:
            yield Finding((*place, "endpoint"), refused.message, refused.hint)
    if runtime == "package":
        for key in ("image", "image_archive"):
            if key in registry:
                message = 'has no effect: runtime = "package" runs the distribution\'s package'
                yield Finding((*place, key), message, f"leave out {key}, or runtime")
    yield from _tls_files(place, registry, required=_SERVER_FILES)


def _retention(place: Place, registry: Table) -> Iterator[Finding]:
    """Rules that delete nothing, everything, or what may not be deleted."""
    retention = registry.get("retention") or {}
    at = (*place, "retention")
    if retention and registry.get("proxy"):
        message = (
            "does not go with proxy: a pull-through cache deletes by itself, and fetches again"
        )
        yield Finding(at, message, "leave it out; proxy.ttl says how long a cache keeps images")
        return
    if retention and defaults.s3(registry) is not None:
        message = "does not go with a bucket: times and garbage are read from a directory"
        yield Finding(at, message, "leave it out; the service's own life cycle breaks images")
        return
    if retention.get("rules") and registry.get("delete") is False:
        message = "has no effect: deletion is off in this registry"
        yield Finding((*at, "rules"), message, "write delete = true, or leave rules out")
    yield from check_schedule((*at, "gc"), retention.get("gc") or {}, _LEAST_BETWEEN_COLLECTIONS)
    kept: list[str] = []
    for index, rule in tables.items(retention, "rules"):
        keeps = [key for key in rule if key.startswith("keep_") and rule[key] is not False]
        if not keeps:
            message = "would delete every tag of these repositories: it says nothing that is kept"
            hint = "write keep_last, keep_younger, keep_tags or keep_deployed"
            yield Finding((*at, "rules", index), message, hint)
        patterns = tuple(each for _, each in tables.items(rule, "repositories"))
        if patterns and all(any(covers(one, each) for one in kept) for each in patterns):
            message = "is never used: rules before it have all its repositories"
            yield Finding((*at, "rules", index), message, "the first rule that matches counts")
        kept += patterns


def _several(place: Place, registry: Table, count: int) -> Iterator[Finding]:
    """What a registry of several hosts needs, and what it cannot be."""
    if isinstance(registry.get("storage", ""), str):
        message = f"is one host's own, and hosts names {count}: each would have other images"
        hint = 'write { shared = "/mnt/registry" } or { s3 = { … } }, or name one host'
        yield Finding((*place, "storage"), message, hint)
    if "endpoint" not in registry:
        message = "is missing: it has to be a name that leads to all its hosts"
        yield Finding((*place, "endpoint"), message, 'as in endpoint = "registry.example.com:5000"')
    for key, why in (
        ("proxy", "a pull-through cache keeps notes of its own: declare one for each host"),
        ("adopt", "images can be taken over on one host alone"),
    ):
        if registry.get(key):
            yield Finding((*place, key), f"does not go with several hosts: {why}", "name one host")
    garbage = (registry.get("retention") or {}).get("gc") or {}
    for key in ("every", "at"):
        if garbage.get(key) is not None:
            message = "does not go with several hosts, which cannot hold pushes together alone"
            hint = "call `regfleet gc FILE --yes` by cron, on the machine with the state directory"
            yield Finding((*place, "retention", "gc", key), message, hint)


def _upstream(place: Place, registry: Table, document: Table) -> Iterator[Finding]:
    """Mistakes in the table `proxy`: half a login, or what this version of the registry lacks."""
    written_so = registry.get("proxy")
    if not isinstance(written_so, dict):
        return
    for key, other in (("user", "password"), ("password", "user")):
        if key in written_so and other not in written_so:
            yield Finding((*place, "proxy", other), f"is missing: {key} is set", "write both")
    version = defaults.registry_version(registry)
    packaged = registry.get("runtime") == "package"
    if version is not None and version < _TTL_SINCE:
        runs = "the distribution's package" if packaged else "this image"
        instead = 'image = "registry:3"' + (" and another runtime" if packaged else "")
        if written_so.get("ttl"):
            message = f"has no effect: {runs} is a registry of version 2, which keeps 7 days"
            yield Finding((*place, "proxy", "ttl"), message, f"leave it out, or use {instead}")
        theirs = _declared_upstream(registry, document)
        if theirs and written_so.get("user"):
            message = (
                f"has no effect: {runs} is a registry of version 2, which logs in only where "
                f"a token server gives tokens; {written(('registry', theirs))} checks passwords "
                "itself"
            )
            yield Finding((*place, "proxy", "user"), message, f"use {instead}")
    url = written_so.get("url") or ""
    if written_so.get("user") and url.startswith("http://") and not _may_be_read(registry):
        message = "would be sent in plain text: the upstream is http://"
        hint = "use https://, or write allow_plaintext_passwords = true"
        yield Finding((*place, "proxy", "password"), message, hint)


def _bucket(place: Place, registry: Table) -> Iterator[Finding]:
    """Mistakes in `storage.s3`: half of the keys, or what needs a directory."""
    bucket = defaults.s3(registry)
    if bucket is None:
        return
    for key, other in (("access_key", "secret_key"), ("secret_key", "access_key")):
        if key in bucket and other not in bucket:
            where = (*place, "storage", "s3", other)
            yield Finding(where, f"is missing: {key} is set", "write both, or none")
    if registry.get("adopt"):
        message = "does not go with a bucket: only images in a directory can be taken over"
        yield Finding((*place, "adopt"), message, "leave it out")


def _declared_upstream(registry: Table, document: Table) -> str:
    """The name of the registry that this fleet runs as a cache's upstream; empty for others."""
    netloc = urlsplit(defaults.upstream(registry)["url"] or "").netloc.lower()
    for name, other in tables.named(document, "registry"):
        if netloc and not other.get("external") and _endpoint(other) == netloc:
            return name
    return ""


def _may_be_read(registry: Table) -> bool:
    return registry.get("allow_plaintext_passwords", False) is not False


def _tls_files(place: Place, registry: Table, required: tuple[str, ...]) -> Iterator[Finding]:
    tls = registry.get("tls") or {}
    if tables.is_broken(tls, "source"):
        return
    if tls.get("source") == "files":
        for key in required:
            if key not in tls:
                yield Finding(
                    (*place, "tls", key),
                    'is missing: source is "files"',
                    f'as in {key} = "tls/{key}.pem"',
                )
        return
    for key in _FILES:
        if key in tls and not (registry.get("external") and key in _SERVER_FILES):
            yield Finding((*place, "tls", key), "has no effect", 'write source = "files"')


def _passwords(place: Place, registry: Table) -> Iterator[Finding]:
    users = registry.get("users")
    tls = registry.get("tls") or {}
    if users and tls.get("source") == "none" and not _may_be_read(registry):
        message = "would send their passwords in plain text: tls.source is none"
        hint = "use TLS, or write allow_plaintext_passwords = true"
        yield Finding((*place, "users"), message, hint)


def _collisions(document: Table, claims: list[Claim]) -> Iterator[Finding]:
    """Registries with the same endpoint, or that need the same port, storage or bucket."""
    hosts: defaultdict[Place, list[str]] = defaultdict(list)
    for claim in claims:
        hosts[claim.group].append(claim.name)
    packaged: dict[str, Place] = {}
    neighbours: defaultdict[str, list[_Occupied]] = defaultdict(list)
    for name, registry in tables.named(document, "registry"):
        place = ("registry", name)
        found: dict[Finding, None] = {}  # once, though a registry may be on several hosts
        occupied: list[_Occupied] = []
        fronts = hosts[(*place, "gateway")]
        for host in dict.fromkeys((*hosts[place], *fronts)) or [""]:
            # Of a gateway alone all services are ours, with names of their own.
            if host in hosts[place] and registry.get("runtime") == "package":
                first = packaged.setdefault(host, place)
                if first != place:
                    message = f"is package, as that of {written(first)} on {host}"
                    hint = "the distribution's package runs one service on a host: use another"
                    found[Finding((*place, "runtime"), message, f"{hint} runtime")] = None
            new = _occupied(place, registry, host, fronts or hosts[place])
            if fronts and host not in hosts[place]:  # no images there
                new = new._replace(storage=None)
            elif fronts and host not in fronts:
                new = new._replace(address="", port=0)  # that of instances: see `gateways`
            occupied += (new, *_read_only(new, registry))
        found |= {one: None for new in occupied for one in _collision(new, neighbours)}
        yield from found
        for new in occupied:
            for key in _shared(new):
                neighbours[key].append(new)


def _collision(new: _Occupied, neighbours: Mapping[str, Iterable[_Occupied]]) -> Iterator[Finding]:
    near = dict.fromkeys(other for key in _shared(new) for other in neighbours[key])
    for other in near:
        yield from _conflicts(new, other)


def _read_only(of: _Occupied, registry: Table) -> Iterator[_Occupied]:
    """What the process occupies that serves a registry read-only: another port."""
    port = (registry.get("readonly") or {}).get("port")
    if port is not None and of.endpoint and of.host:
        place, endpoint = (*of.place, "readonly"), defaults.with_port(of.endpoint, port)
        yield of._replace(
            place=place,
            endpoint=endpoint,
            port=port,
            storage=None,
            bucket=None,
            fronts=frozenset(),
        )


def _shared(one: _Occupied) -> list[str]:
    """What two registries that meet have in common: one of these words."""
    bucket = [f"bucket {' '.join(one.bucket)}"] if one.bucket else []
    return [*bucket, f"endpoint {one.endpoint}", f"host {one.host}"]


class _Occupied(NamedTuple):
    """The endpoint, port and storage that a registry occupies.

    Empty or None is what the file does not say, or what an external registry does not take up.
    `fronts` are the hosts of a gateway that can share its port with other gateways on these hosts.
    """

    place: Place
    endpoint: str
    host: str
    address: str
    port: int
    storage: PurePosixPath | None
    bucket: tuple[str, str, str] | None
    fronts: frozenset[str] = frozenset()


def _occupied(place: Place, registry: Table, host: str, fronts: Iterable[str]) -> _Occupied:
    endpoint = _endpoint(registry)
    storage = defaults.with_defaults("registry", registry)["storage"]
    address, port = "", defaults.port(endpoint, defaults.tls(registry)["source"])
    if registry.get("listen"):
        address, port = split_listen(registry["listen"])
    return _Occupied(
        place,
        endpoint,
        "" if registry.get("external") else host,
        address,
        port,
        PurePosixPath(named) if (named := defaults.directory(storage)) else None,
        _bucket_of(registry),
        frozenset(fronts if _told_by_name(registry) else ()),
    )


def _bucket_of(registry: Table) -> tuple[str, str, str] | None:
    """Where in which service a registry's bucket is; None without a bucket."""
    bucket = defaults.s3(registry)
    if bucket is None or bucket.get("bucket") is None:
        return None
    endpoint = (bucket.get("endpoint") or "").removesuffix("/").lower()
    return endpoint, bucket["bucket"], bucket.get("prefix") or ""


def _conflicts(new: _Occupied, other: _Occupied) -> Iterator[Finding]:
    theirs = written(other.place)
    second = len(new.place) > len(("registry", "NAME"))
    endpoint, storage = (*new.place, "port" if second else "endpoint"), (*new.place, "storage")
    if new.endpoint and new.endpoint == other.endpoint:
        message = f"{new.endpoint} is the endpoint of {theirs} too"
        yield Finding(endpoint, message, "give each registry its own endpoint")
        return
    if new.bucket and new.bucket == other.bucket:
        message = f"bucket and prefix are those of {theirs} too"
        yield Finding((*new.place, "storage", "s3"), message, "give each registry its own prefix")
    if not new.host or new.host != other.host:
        return
    if new.endpoint and other.endpoint and new.port and _same_socket(new, other):
        message = f"port {new.port} of {new.host} is taken by {theirs}"
        hint = "give it another port" + ("" if second else ", or another address under listen")
        if new.fronts and other.fronts:
            hint += "; or name the same hosts in gateway.hosts of both"
        yield Finding(endpoint, message, hint)
    if new.storage is None or other.storage is None:
        return
    if new.storage.is_relative_to(other.storage) or other.storage.is_relative_to(new.storage):
        message = f"{new.storage} on {new.host} would hold the images of {theirs} too"
        hint = f'write storage = "{other.storage}-{new.place[1]}"'
        yield Finding(storage, message, hint)


def _told_by_name(registry: Table) -> bool:
    """Whether a registry's gateway can share its port with others: clients ask for it by a name."""
    gateway = registry.get("projects") or "gateway" in registry
    plain = defaults.tls(registry)["source"] == "none"
    if registry.get("external") or not gateway or plain or registry.get("listen"):
        return False
    try:
        ip_address(urlsplit(f"//{_endpoint(registry)}").hostname or "")
    except ValueError:
        return True
    return False


def _same_socket(one: _Occupied, other: _Occupied) -> bool:
    """Whether two registries cannot both listen: same port, and same or all addresses."""
    if one.port != other.port or (one.fronts and one.fronts == other.fronts):
        return False
    addresses = {one.address, other.address}
    if len(addresses) == 1 or "" in addresses:
        return True
    kinds = {":" in address for address in addresses}
    return len(kinds) == 1 and bool(addresses & _ALL_ADDRESSES)


def _endpoint(registry: Table) -> str:
    """The endpoint; empty when it is broken or missing, which is reported elsewhere."""
    if tables.is_broken(registry, "endpoint"):
        return ""
    try:
        return defaults.endpoint(registry)
    except RefusedError:
        return ""
