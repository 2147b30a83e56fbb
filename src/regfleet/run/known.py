"""A fleet's known materials, for commands that only read.

`materials.gather` makes missing materials, and refuses a fleet with a password that it cannot get.
This module makes and writes nothing. A material that it cannot get is unknown: a stand-in takes its
place, so that everything else can be compared.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from regfleet import archives, htpasswd, passwords, state_paths
from regfleet.desired.resolve import resolve
from regfleet.errors import CertificateError, PasswordError, RegfleetError
from regfleet.fleet.copies import copies
from regfleet.fleet.model import Fleet
from regfleet.fleet.registries import Registry, User
from regfleet.look.request import login_digest
from regfleet.materials import (
    Materials,
    RegistryMaterial,
    behind,
    copies_password,
    fit,
    gateway_users,
    http_password,
    proxy_password,
    registrys_proxy,
    s3_ca,
    s3_keys,
    upstream_ca,
    upstream_password,
)
from regfleet.model.desired import DesiredHost
from regfleet.model.files import File
from regfleet.model.resource import Resource, login_resource
from regfleet.pki import given
from regfleet.pki.certificates import FleetCertificates, ServerPair
from regfleet.pki.instances import InstancePair, known_pair
from regfleet.pki.tokens import TokenKeys, known_keys
from regfleet.registry_api.target import Credentials, preferred
from regfleet.run.scheduling import with_jobs
from regfleet.run.wanted import Wanted
from regfleet.secret import Secret
from regfleet.state import StateDirectory

_PLACEHOLDERS = ("stand-in 1", "stand-in 2")


@dataclass(frozen=True, slots=True)
class KnownRegistry:
    """The known materials of one registry.

    Attributes:
        users: the users whose passwords are needed; `passwords` has the known ones.
        htpasswd, http_secret: None if unknown or absent.
        pair, ca: as in `RegistryMaterial`, if `trust_error` is None.
        trust_error: why certificate and CA are unknown.
        password_errors: why passwords are unknown.
        upstream_password: as in `RegistryMaterial`; None if unknown, too.
        upstream_error: why it is unknown.
        http_password: of the HTTP proxy that it uses; None if unknown, or without one.
        http_error: why it is unknown.
        s3_keys: as in `RegistryMaterial`; None if unknown, too.
        s3_error: why they are unknown.
        tokens: as in `RegistryMaterial`; None if unknown, too.
        instances: likewise.
    """

    registry: Registry
    users: tuple[User, ...]
    passwords: Mapping[str, Secret] = field(repr=False)
    htpasswd: str | None = field(repr=False)
    http_secret: Secret | None
    pair: ServerPair | None
    ca: bytes | None
    trust_error: RegfleetError | None
    password_errors: tuple[RegfleetError, ...]
    upstream_password: Secret | None = field(default=None, repr=False)
    upstream_error: RegfleetError | None = None
    http_password: Secret | None = field(default=None, repr=False)
    http_error: RegfleetError | None = None
    s3_keys: tuple[Secret, Secret] | None = field(default=None, repr=False)
    s3_error: RegfleetError | None = None
    tokens: TokenKeys | None = field(default=None, repr=False)
    instances: InstancePair | None = field(default=None, repr=False)

    def credentials(self, first: Collection[str] = ()) -> Credentials | None:
        """A user to ask the registry as; None if it has no known users.

        Args:
            first: the users to be preferred; its admins by default.

        Raises:
            RegfleetError: it has users, but no password is known.
        """
        if found := preferred(self.passwords, first or self.registry.admins):
            return found
        if self.password_errors:
            raise self.password_errors[0]
        return None

    def trusted(self) -> bytes | None:
        """The CA to trust; None for the machine's own CAs.

        Raises:
            RegfleetError: it is unknown.
        """
        if self.trust_error:
            raise self.trust_error
        return self.ca

    def material(self, stand_in: str) -> RegistryMaterial:
        """The materials, with a stand-in for each unknown value."""
        pair, ca = self.pair, self.ca
        if self.trust_error:
            text = stand_in.encode()
            never = datetime.min.replace(tzinfo=timezone.utc)
            pair = ServerPair(text, Secret(stand_in), text, never, never, ())
            publicly = self.registry.tls.source == "files" and self.registry.tls.ca is None
            ca = None if publicly else text
        hashed = self.htpasswd
        if hashed is None and self.users and not self.registry.external:
            hashed = "".join(f"{user.name}:{stand_in}\n" for user in self.users)
        known = {user.name: self.passwords.get(user.name, Secret(stand_in)) for user in self.users}
        return RegistryMaterial(
            None if self.registry.external else pair,
            ca,
            hashed,
            self.http_secret or Secret(stand_in),
            known,
            upstream_password=(
                self.upstream_password or Secret(stand_in) if self.registry.proxy_user else None
            ),
            s3_keys=(
                self.s3_keys or (Secret(stand_in), Secret(stand_in))
                if self.registry.s3 and self.registry.s3.keys
                else None
            ),
            tokens=self._tokens(stand_in.encode()) if self.registry.gateway else None,
            instances=self._instances(stand_in) if self.registry.spread else None,
        )

    def _tokens(self, stand_in: bytes) -> TokenKeys:
        return self.tokens or TokenKeys(Secret(stand_in.decode()), stand_in, stand_in)

    def _instances(self, stand_in: str) -> InstancePair:
        return self.instances or InstancePair(stand_in.encode(), Secret(stand_in))


@dataclass(frozen=True, slots=True)
class Known:
    """The known materials of a fleet.

    Attributes:
        salt: the salt of the logins' digests; None if lost: recorded digests then prove nothing.
        archives: as in `Materials`.
        proxies: as in `Materials`, the known ones.
        copies: as in `Materials`, the known ones.
        proxy_errors: why others are unknown.
    """

    fleet: Fleet
    registries: Mapping[str, KnownRegistry]
    salt: str | None
    archives: Mapping[Path, str] = field(default_factory=dict)
    proxies: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    copies: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    proxy_errors: tuple[RegfleetError, ...] = ()

    def errors(self, of: Collection[str] | None = None) -> Iterator[RegfleetError]:
        """Why materials are unknown, each reason once.

        Args:
            of: registries, by name; all by default.
        """
        said: set[str] = set()
        for name, known in self.registries.items():
            if of is not None and name not in of:
                continue
            lacking = (known.upstream_error, known.http_error, known.s3_error)
            for error in (known.trust_error, *known.password_errors, *lacking):
                if error and error.message not in said:
                    said.add(error.message)
                    yield error
        yield from self.proxy_errors if of is None else ()

    def materials(self, stand_in: str = _PLACEHOLDERS[0]) -> Materials:
        """The materials, with stand-ins."""
        salt = self.salt or secrets.token_hex(24)
        made = {name: known.material(stand_in) for name, known in self.registries.items()}
        for name, known in self.registries.items():
            declared = known.registry.http_proxy
            login = declared and declared.user
            password = (known.http_password or Secret(stand_in)) if login else None
            by = registrys_proxy(self.fleet, known.registry, password)
            made[name] = replace(
                made[name],
                upstream_ca=upstream_ca(self.fleet, known.registry, made),
                s3_ca=s3_ca(known.registry, datetime.now(timezone.utc)),
                http_proxy=by,
                behind=behind(self.fleet, known.registry, made),
                sharing=self.fleet.sharing(known.registry),
            )
        proxies = {
            name: self.proxies.get(name, Secret(stand_in))
            for name, client in self.fleet.clients.items()
            if client.proxy and client.proxy.user
        }
        of_copies = {
            name: self.copies.get(name, Secret(stand_in))
            for name, policy in self.fleet.replications.items()
            if policy.http_proxy and policy.http_proxy.user
        }
        return Materials(made, salt, self.archives, proxies, of_copies)

    def wanted(self) -> Wanted:
        """The desired state of each host, and its resources that cannot be compared.

        These are the resources that differ when other stand-ins are used.
        """
        materials, others = map(self.materials, _PLACEHOLDERS)
        hosts, otherwise = (
            with_jobs(self.fleet, resolve(self.fleet, each)) for each in (materials, others)
        )
        unknown = {name: _differing(host, otherwise[name]) for name, host in hosts.items()}
        return Wanted(self.fleet, materials, hosts, unknown)


def read(fleet: Fleet, state: StateDirectory, now: datetime) -> Known:
    """Read the known materials of a fleet; makes and writes nothing.

    Args:
        now: with a time zone.

    Raises:
        StateError: the state directory cannot be used.
    """
    certificates = FleetCertificates(
        state, fleet.name, now, save=False, permitted=fleet.ca_permitted
    )
    registries = {
        registry.name: replace(
            _registry(fleet, registry, state, certificates),
            tokens=known_keys(state, registry.name, now) if registry.gateway else None,
            instances=known_pair(state, registry.name) if registry.spread else None,
        )
        for registry in fleet.registries.values()
    }
    kept = archives.digests(fleet, state, save=False)
    clients = {each.name: partial(proxy_password, each) for each in fleet.clients.values()}
    policies = {each.name: partial(copies_password, each) for each in fleet.replications.values()}
    proxies, errors = _read_each(clients)
    of_copies, more = _read_each(policies)
    salt = _kept(state, state_paths.SALT)
    return Known(fleet, registries, salt, kept, proxies, of_copies, (*errors, *more))


def _read_each(
    sources: Mapping[str, Callable[[], Secret | None]],
) -> tuple[dict[str, Secret], tuple[RegfleetError, ...]]:
    """The passwords that can be read, by the names of their readers, and why others cannot."""
    found: dict[str, Secret] = {}
    errors: list[RegfleetError] = []
    for name, read_one in sources.items():
        try:
            password = read_one()
        except PasswordError as error:
            errors.append(error)
            continue
        if password:
            found[name] = password
    return found, tuple(errors)


def without_secrets(fleet: Fleet, now: datetime) -> Known:
    """A fleet without any known password, key or state, as for a plan of a pull request.

    Args:
        now: with a time zone.
    """
    return Known(
        fleet,
        {each.name: _secretless(fleet, each, now) for each in fleet.registries.values()},
        None,
        archives.digests(fleet, None, save=False),
    )


def _secretless(fleet: Fleet, registry: Registry, now: datetime) -> KnownRegistry:
    users = tuple(_wanted_users(fleet, registry))
    ca, error = None, None
    if registry.external and registry.tls.source == "files" and registry.tls.ca:
        try:
            ca = given.read_ca(registry.tls.ca, now)
        except CertificateError as unread:
            error = unread
    elif registry.tls.source in ("fleet-ca", "files"):
        error = CertificateError(f"registry {registry.name}: its certificate is not asked for")
    return KnownRegistry(registry, users, {}, None, None, None, ca, error, ())


def _registry(
    fleet: Fleet, registry: Registry, state: StateDirectory, certificates: FleetCertificates
) -> KnownRegistry:
    users = tuple(_wanted_users(fleet, registry))
    found, errors = _passwords(registry, users, state)
    upstream, upstream_error = None, None
    try:
        upstream = upstream_password(registry)
    except PasswordError as error:
        upstream_error = error
    http, http_error = None, None
    try:
        http = http_password(registry)
    except PasswordError as error:
        http_error = error
    keys, keys_error = None, None
    try:
        keys = s3_keys(registry)
    except PasswordError as error:
        keys_error = error
    pair, ca, trust_error = _trust(registry, state, certificates)
    http_secret = _kept(state, state_paths.http_secret(registry.name))
    return KnownRegistry(
        registry,
        users,
        found,
        _htpasswd(registry, users, found, state),
        Secret(http_secret) if http_secret is not None else None,
        pair,
        ca,
        trust_error,
        errors,
        upstream,
        upstream_error,
        http,
        http_error,
        keys,
        keys_error,
    )


def password_of(user: User, registry: Registry, state: StateDirectory) -> Secret:
    """A user's password. Makes none.

    Raises:
        NeverAppliedError: it is generated, and not in the state directory.
        PasswordError: its source cannot be read.
        StateError: the state directory cannot be used.
    """
    if user.password.kind == "generate":
        name = state_paths.password(registry.name, user.name)
        if not state.read_text(name):
            raise _never_applied(f"the password of user {user.name!r}", registry, state)
    return passwords.resolve(
        user.password, state=state, registry=registry.name, user=user.name, save=False
    )


def _kept(state: StateDirectory, name: str) -> str | None:
    text = state.read_text(name)
    return None if text is None else fit(text, name, state)


def _wanted_users(fleet: Fleet, registry: Registry) -> Iterator[User]:
    needed = {
        login.user
        for client in fleet.clients.values()
        for login in client.logins
        if login.registry == registry.name
    } | {user for copy in copies(fleet) for name, user in copy.users if name == registry.name}
    needed |= {
        stage.logins[registry.name]
        for stage in fleet.promotions.values()
        if registry.name in stage.logins
    }
    needed |= gateway_users(fleet, registry, fleet.hosts())
    return (user for user in registry.users if not registry.external or user.name in needed)


def _passwords(
    registry: Registry, users: tuple[User, ...], state: StateDirectory
) -> tuple[dict[str, Secret], tuple[RegfleetError, ...]]:
    found: dict[str, Secret] = {}
    errors: list[RegfleetError] = []
    for user in users:
        password = _password_or_error(user, registry, state)
        if isinstance(password, Secret):
            found[user.name] = password
        else:
            errors.append(password)
    return found, tuple(errors)


def _password_or_error(
    user: User, registry: Registry, state: StateDirectory
) -> Secret | RegfleetError:
    try:
        return password_of(user, registry, state)
    except (PasswordError, NeverAppliedError) as error:
        return error


def _htpasswd(
    registry: Registry,
    users: tuple[User, ...],
    found: Mapping[str, Secret],
    state: StateDirectory,
) -> str | None:
    """The stored htpasswd file, brought up to date if every password is known."""
    kept = state.read_text(state_paths.htpasswd(registry.name))
    if kept is None or registry.external or not users:
        return None
    if len(found) < len(users):
        return kept
    kinds = {user.name: user.password.kind for user in users}
    return htpasswd.update(kept, found, lambda name: htpasswd.cost_of(kinds[name]))


def _trust(
    registry: Registry, state: StateDirectory, certificates: FleetCertificates
) -> tuple[ServerPair | None, bytes | None, RegfleetError | None]:
    if registry.tls.source == "fleet-ca" and state.read(state_paths.CA_KEY) is None:
        return None, None, _never_applied("the fleet's CA", registry, state)
    try:
        return certificates.server_pair(registry), certificates.trusted_ca(registry), None
    except CertificateError as error:
        return None, None, error


class NeverAppliedError(RegfleetError):
    """What an apply makes is not in the state directory."""


def _never_applied(what: str, registry: Registry, state: StateDirectory) -> NeverAppliedError:
    return NeverAppliedError(
        f"registry {registry.name}: {what} is not in the state directory {state.path}",
        "the fleet has not been applied from here; or name the directory with --state-dir",
    )


def _differing(one: DesiredHost, other: DesiredHost) -> frozenset[Resource]:
    def named(host: DesiredHost) -> set[tuple[Resource, str]]:
        files = (*host.files, *(each for each in host.conditional if isinstance(each, File)))
        found = {(Resource("file", file.path), file.digest) for file in files}
        found |= {(Resource(each.kind, each.name), each.specification) for each in host.services}
        found |= {(Resource("file", path), repr(settings)) for path, settings in host.edits.items()}
        return found | {
            (login_resource(login.account, login.endpoint), login_digest(login, ""))
            for login in host.logins
        }

    return frozenset(resource for resource, _ in named(one) ^ named(other))
