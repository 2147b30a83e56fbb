"""Gathers what the fleet file does not hold: certificates, passwords, their hashes, secrets.

All of it comes from the state directory or from the user; nothing here talks to a host.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from regfleet import archives, htpasswd, passwords, state_paths
from regfleet.errors import StateError
from regfleet.fleet.clients import Client
from regfleet.fleet.copies import copies, logins_on
from regfleet.fleet.model import Fleet
from regfleet.fleet.policies import Promotion, Replication
from regfleet.fleet.registries import Proxy, Registry
from regfleet.http_proxy import HttpProxy, no_proxy, with_login
from regfleet.model.service import Image, at
from regfleet.pki import given
from regfleet.pki.certificates import FleetCertificates, ServerPair
from regfleet.pki.instances import InstancePair, instance_pair
from regfleet.pki.names import address_of, server_names
from regfleet.pki.tokens import TokenKeys, token_keys
from regfleet.secret import Secret
from regfleet.state import StateDirectory

# Where machines and containers of Amazon's ask for their role's keys (AWS SDKs and Tools Reference
# Guide, "IMDS credential provider", "Container credential provider").
_METADATA = ("169.254.169.254", "169.254.170.2")
_RANDOM = re.compile(r"[!-~]{16,256}", re.ASCII)  # regfleet writes 48 hexadecimal digits


@dataclass(frozen=True, slots=True)
class Behind:
    """A registry that a gateway of another one stands before.

    Attributes:
        endpoint: as its clients type it: what it is asked by.
        named: the DNS name that its certificate has.
        servers: where it is reached from the gateway: ADDRESS:PORT each.
        tls: whether it speaks TLS.
        ca: PEM of the CA that signed its certificate; None for those that every machine trusts.
        login: the value of `Authorization` for it; None where it wants none.
    """

    name: str
    endpoint: str
    named: str
    servers: tuple[str, ...]
    tls: bool
    ca: bytes | None = None
    login: Secret | None = None


@dataclass(frozen=True, slots=True)
class RegistryMaterial:
    """The materials of one registry.

    Attributes:
        pair: its certificate and key; None without TLS and for an external registry.
        ca: PEM of the CA that clients are to trust, or None.
        htpasswd: its htpasswd file; None without users and for an external registry.
        http_secret: signs the state of uploads (distribution configuration, `http.secret`).
        passwords: by user. For an external registry, or one whose host is not in the run, only
            the passwords with which a client of the run logs in.
        retired: generated passwords of users who are no longer declared, by user.
        upstream_password: of the login at its upstream, for a pull-through cache that has one.
        upstream_ca: PEM of the CA by which a pull-through cache knows its upstream, where that is
            a declared registry with one.
        tokens: what its gateway signs tokens with; None without a gateway.
        instances: what its instances show to gateways of other hosts; None where there are none.
        http_proxy: the HTTP proxy by which it reaches its upstream or its bucket; None without one.
        s3_keys: access key and secret key of the bucket that keeps its images; None without.
        s3_ca: PEM of the CA that signed the certificate of that bucket's service, or None.
        behind: the registries that keep its images, where it is a gateway alone.
        sharing: the registries whose gateways share its port, as `Fleet.sharing` has them.
    """

    pair: ServerPair | None
    ca: bytes | None
    htpasswd: str | None = field(repr=False)
    http_secret: Secret
    passwords: Mapping[str, Secret] = field(repr=False)
    retired: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    upstream_password: Secret | None = None
    upstream_ca: bytes | None = None
    http_proxy: HttpProxy | None = None
    tokens: TokenKeys | None = None
    instances: InstancePair | None = None
    s3_keys: tuple[Secret, Secret] | None = None
    s3_ca: bytes | None = None
    behind: tuple[Behind, ...] = ()
    sharing: tuple[Registry, ...] = ()


@dataclass(frozen=True, slots=True)
class Materials:
    """The materials of a whole fleet.

    Attributes:
        salt: the salt, hexadecimal, of the digests of logins that hosts report.
        archives: the SHA-256 of each image archive that the fleet names, hexadecimal, by path.
        proxies: the password of each proxy that wants one, by the client's name.
        copies: the same of proxies of copies, by the policy's.
    """

    registries: Mapping[str, RegistryMaterial]
    salt: str
    archives: Mapping[Path, str] = field(default_factory=dict)
    proxies: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    copies: Mapping[str, Secret] = field(default_factory=dict, repr=False)

    def image(self, reference: str, archive: Path | None) -> Image:
        """An image that a host should have, with the digest of its archive if it has one."""
        return Image(reference, archive, self.archives[archive] if archive else "")


def gather(
    fleet: Fleet,
    state: StateDirectory,
    *,
    save: bool,
    now: datetime | None = None,
    hosts: Collection[str] | None = None,
) -> Materials:
    """Read or make the materials of a fleet.

    Args:
        hosts: the hosts of the run, by default all. Passwords and certificate keys that these
            hosts do not need are not read.
        save: whether to keep new materials in the state directory; a plan keeps nothing.
        now: the run's moment, with a time zone; by default the present.

    Raises:
        PasswordError: a password's source cannot be read.
        CertificateError: the user's certificate cannot be used.
        StateError: the state directory cannot be used.
    """
    now = now or datetime.now(timezone.utc)
    certificates = FleetCertificates(
        state,
        fleet.name,
        now,
        save=save,
        permitted=fleet.ca_permitted,
    )
    part = frozenset(fleet.hosts() if hosts is None else hosts)
    registries = {
        registry.name: _gather_registry(
            registry,
            _login_users(fleet, registry, part),
            state,
            certificates,
            part,
            save=save,
            now=now,
        )
        for registry in fleet.registries.values()
    }
    for registry in fleet.registries.values():
        if not part.isdisjoint(registry.members):
            registries[registry.name] = replace(
                registries[registry.name],
                upstream_password=upstream_password(registry),
                upstream_ca=upstream_ca(fleet, registry, registries),
                http_proxy=registrys_proxy(fleet, registry, http_password(registry)),
                s3_keys=s3_keys(registry),
                s3_ca=s3_ca(registry, now),
                behind=behind(fleet, registry, registries),
                sharing=fleet.sharing(registry),
            )
    salt = _read_or_make_secret(state, state_paths.SALT, save=save)
    proxies = {
        client.name: found
        for client in fleet.clients.values()
        if not part.isdisjoint(client.members) and (found := proxy_password(client))
    }
    running = {
        copy.policy.name: copy.policy
        for copy in copies(fleet)
        if copy.policy.every and copy.host and copy.host.name in part
    }
    of_copies = {
        name: found for name, policy in running.items() if (found := copies_password(policy))
    }
    kept = archives.digests(fleet, state, save=save)
    return Materials(registries, salt, kept, proxies, of_copies)


def copies_password(policy: Replication | Promotion) -> Secret | None:
    """The password of the HTTP proxy of copies; None without one.

    Raises:
        PasswordError: its source cannot be read.
    """
    return _at_proxy(policy.http_proxy, f"the HTTP proxy of {policy.name!r}")


def proxy_password(client: Client) -> Secret | None:
    """The password of a client's HTTP proxy; None without one.

    Raises:
        PasswordError: its source cannot be read.
    """
    return _at_proxy(client.proxy, f"the proxy of client {client.name!r}")


def http_password(registry: Registry) -> Secret | None:
    """The password of the HTTP proxy that a registry uses; None without one.

    Raises:
        PasswordError: its source cannot be read.
    """
    return _at_proxy(registry.http_proxy, f"the HTTP proxy of registry {registry.name!r}")


def _at_proxy(proxy: Proxy | None, place: str) -> Secret | None:
    login = proxy.user if proxy else None
    if login is None:
        return None
    return passwords.read(login.password, f"password of user {login.name!r} at {place}")


def registrys_proxy(fleet: Fleet, registry: Registry, password: Secret | None) -> HttpProxy | None:
    """The HTTP proxy that a registry uses; None without one.

    It is the same on all hosts of the registry. Where a machine's role gives the keys of a bucket,
    they come from an address of its own, which no proxy knows.
    """
    declared = registry.http_proxy
    if declared is None:
        return None
    further = _METADATA if registry.s3 and not registry.s3.keys else ()
    return HttpProxy(
        with_login(declared.http, declared.user, password),
        with_login(declared.https, declared.user, password),
        no_proxy(fleet, declared, further=further),
        secret=password is not None,
    )


def upstream_password(registry: Registry) -> Secret | None:
    """The password of a cache's login at its upstream; None without one.

    Raises:
        PasswordError: its source cannot be read.
    """
    if registry.proxy_user is None:
        return None
    login = registry.proxy_user
    whose = f"password of user {login.name!r} at the upstream of registry {registry.name!r}"
    return passwords.read(login.password, whose)


def s3_keys(registry: Registry) -> tuple[Secret, Secret] | None:
    """The keys of the bucket that keeps a registry's images; None without a bucket or keys.

    Raises:
        PasswordError: a source cannot be read.
    """
    if registry.s3 is None or registry.s3.keys is None:
        return None
    access, secret = registry.s3.keys
    where = f"of bucket {registry.s3.bucket!r} of registry {registry.name!r}"
    return (
        passwords.read(access, f"access key {where}"),
        passwords.read(secret, f"secret key {where}"),
    )


def s3_ca(registry: Registry, now: datetime) -> bytes | None:
    """The CA that signed the certificate of a bucket's service; None where the system trusts it.

    Raises:
        CertificateError: the file has none, or none that is valid now.
    """
    return given.read_ca(registry.s3.ca, now) if registry.s3 and registry.s3.ca else None


def upstream_ca(
    fleet: Fleet, registry: Registry, materials: Mapping[str, RegistryMaterial]
) -> bytes | None:
    """The CA of a cache's upstream, where that is a declared registry that has a CA of its own."""
    upstream = fleet.upstream_of(registry)
    return materials[upstream.name].ca if upstream else None


def behind(
    fleet: Fleet, registry: Registry, materials: Mapping[str, RegistryMaterial]
) -> tuple[Behind, ...]:
    """The registries that one stands before which is a gateway alone, the preferred one first."""
    return tuple(_behind(registry, each, materials[each.name]) for each in fleet.behind(registry))


def _behind(registry: Registry, other: Registry, material: RegistryMaterial) -> Behind:
    user = registry.gateway.logins.get(other.name) if registry.gateway else None
    login = None
    if user is not None:
        pair = f"{user}:{material.passwords[user].reveal()}".encode()
        login = Secret(f"Basic {base64.b64encode(pair).decode()}")
    # nginx compares no addresses (ngx_event_openssl.c, ngx_ssl_check_host).
    names = (other.host, *(server_names(other) if other.tls.source == "fleet-ca" else ()))
    servers = [at(*other.reached_at(each)) for each in other.instances]
    return Behind(
        other.name,
        other.endpoint,
        next((each for each in names if address_of(each) is None), other.host),
        tuple(servers or [at(other.host, other.port)]),
        other.tls.source != "none",
        material.ca,
        login,
    )


def gateway_users(fleet: Fleet, registry: Registry, hosts: Collection[str]) -> frozenset[str]:
    """The users of a registry as whom gateways on these hosts log in to it."""
    return frozenset(
        other.gateway.logins[registry.name]
        for other in fleet.registries.values()
        if other.gateway and registry.name in other.gateway.logins
        if not other.members.isdisjoint(hosts)
    )


def _login_users(fleet: Fleet, registry: Registry, hosts: frozenset[str]) -> frozenset[str]:
    """The users of a registry whose logins these hosts keep or use."""
    copying = (user for name, user in logins_on(fleet, hosts) if name == registry.name)
    fronting = gateway_users(fleet, registry, hosts)
    return (
        fronting
        | frozenset(copying)
        | frozenset(
            login.user
            for client in fleet.clients.values()
            for login in client.logins
            if login.registry == registry.name and not hosts.isdisjoint(client.members)
        )
    )


def _gather_registry(
    registry: Registry,
    needed: frozenset[str],
    state: StateDirectory,
    certificates: FleetCertificates,
    hosts: frozenset[str],
    *,
    save: bool,
    now: datetime,
) -> RegistryMaterial:
    here = not hosts.isdisjoint(registry.members)
    users = [user for user in registry.users if here or user.name in needed]
    known = {
        user.name: passwords.resolve(
            user.password, state=state, registry=registry.name, user=user.name, save=save
        )
        for user in users
    }
    ca = certificates.trusted_ca(registry)
    if not here:
        return RegistryMaterial(None, ca, None, Secret(""), known)
    kinds = {user.name: user.password.kind for user in users}
    hashed = htpasswd.for_registry(state, registry.name, known, kinds, save=save) if users else None
    return RegistryMaterial(
        pair=certificates.server_pair(registry),
        ca=ca,
        htpasswd=hashed,
        http_secret=Secret(
            _read_or_make_secret(state, state_paths.http_secret(registry.name), save=save)
        ),
        passwords=known,
        retired=passwords.retired(state, registry.name, known),
        tokens=token_keys(state, registry.name, now, save=save) if registry.gateway else None,
        instances=instance_pair(state, registry.name, now, save=save) if registry.spread else None,
    )


def _read_or_make_secret(state: StateDirectory, name: str, *, save: bool) -> str:
    text = state.read_text(name)
    if text is None:
        text = secrets.token_hex(24)
        if save:
            state.write_text(name, text)
    return fit(text, name, state)


def fit(text: str, name: str, state: StateDirectory) -> str:
    """A salt or signing secret from the state directory, if nobody could guess it.

    Raises:
        StateError: it is too short, or regfleet did not write it.
    """
    if not _RANDOM.fullmatch(text):
        raise StateError(
            f"{state.path_of(name)} is not the random text that regfleet wrote",
            "restore it from a backup, or remove it, and regfleet makes a new one",
        )
    return text
