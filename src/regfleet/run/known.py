"""What is known of a fleet's materials, for commands that only read.

`materials.gather` makes what is missing, and refuses a fleet whose password it cannot get. Here
nothing is made, nothing is kept, and what cannot be had is unknown: a stand-in takes its place, so
that everything else can still be compared.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from regfleet import htpasswd, passwords
from regfleet.desired.model import DesiredHost
from regfleet.desired.resolve import resolve
from regfleet.errors import CertificateError, PasswordError, RegfleetError
from regfleet.fleet.model import Fleet, Registry, User
from regfleet.look.request import login_digest
from regfleet.materials import Materials, RegistryMaterial
from regfleet.pki.certificates import FleetCertificates, ServerPair
from regfleet.registry_api.target import Credentials
from regfleet.secret import Secret
from regfleet.state import StateDirectory

_STAND_INS = ("stand-in 1", "stand-in 2")


@dataclass(frozen=True, slots=True)
class KnownRegistry:
    """What is known of one registry.

    Attributes:
        users: those whose passwords are wanted; `passwords` has those that are known.
        htpasswd, http_secret: None where not known, or not there at all.
        pair, ca: as `RegistryMaterial` has them, where `trust_error` is None.
        trust_error: why certificate and CA are not known.
        password_errors: why passwords are not known.
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

    def credentials(self) -> Credentials | None:
        """A user to ask the registry as; None where it has no users, as far as we know.

        Raises:
            RegfleetError: there are users, and no password is known.
        """
        for user, password in self.passwords.items():
            return Credentials(user, password)
        if self.password_errors:
            raise self.password_errors[0]
        return None

    def trusted(self) -> bytes | None:
        """The CA to trust, None for the machine's own trust.

        Raises:
            RegfleetError: it is not known.
        """
        if self.trust_error:
            raise self.trust_error
        return self.ca

    def material(self, stand_in: str) -> RegistryMaterial:
        """As materials, a stand-in in each place where something is not known."""
        pair, ca = self.pair, self.ca
        if self.trust_error:
            text = stand_in.encode()
            never = datetime.min.replace(tzinfo=timezone.utc)
            pair = ServerPair(text, Secret(stand_in), text, never, never, ())
            publicly = self.registry.tls.source == "files" and self.registry.tls.ca is None
            ca = None if publicly else text
        hashed = self.htpasswd
        if hashed is None and self.users and not self.registry.external:
            hashed = stand_in
        known = {user.name: self.passwords.get(user.name, Secret(stand_in)) for user in self.users}
        return RegistryMaterial(
            None if self.registry.external else pair,
            ca,
            hashed,
            self.http_secret or Secret(stand_in),
            known,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a fleet.

    Attributes:
        salt: of the digests of logins, None where none is kept: then what hosts have recorded
            of their logins says nothing.
    """

    fleet: Fleet
    registries: Mapping[str, KnownRegistry]
    salt: str | None

    def errors(self) -> Iterator[RegfleetError]:
        """Why something is not known, each reason once."""
        said: set[str] = set()
        for known in self.registries.values():
            for error in (known.trust_error, *known.password_errors):
                if error and error.message not in said:
                    said.add(error.message)
                    yield error

    def materials(self, stand_in: str = _STAND_INS[0]) -> Materials:
        """As materials, stand-ins included."""
        salt = self.salt or secrets.token_hex(24)
        made = {name: known.material(stand_in) for name, known in self.registries.items()}
        return Materials(made, salt)

    def desired(self) -> tuple[Materials, dict[str, DesiredHost], dict[str, frozenset[str]]]:
        """What each host should have, and which resources of it cannot be compared.

        Those are found, not listed: they are what comes out differently with other stand-ins.

        Returns:
            The materials, the hosts by name, and by host the resources as a plan's changes
            name them.
        """
        materials, others = map(self.materials, _STAND_INS)
        hosts, otherwise = resolve(self.fleet, materials), resolve(self.fleet, others)
        unknown = {name: _differing(host, otherwise[name]) for name, host in hosts.items()}
        return materials, hosts, unknown


def read(fleet: Fleet, state: StateDirectory, now: datetime) -> Known:
    """What is known of a fleet; nothing is made or kept.

    Args:
        now: with a time zone.

    Raises:
        StateError: the state directory cannot be used.
    """
    certificates = FleetCertificates(state, fleet.name, now, save=False)
    registries = {
        registry.name: _registry(fleet, registry, state, certificates)
        for registry in fleet.registries.values()
    }
    return Known(fleet, registries, state.read_text("salt"))


def _registry(
    fleet: Fleet, registry: Registry, state: StateDirectory, certificates: FleetCertificates
) -> KnownRegistry:
    users = tuple(_wanted_users(fleet, registry))
    found, errors = _passwords(registry, users, state)
    pair, ca, trust_error = _trust(registry, state, certificates)
    http_secret = state.read_text(f"registry/{registry.name}.http-secret")
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
    )


def _wanted_users(fleet: Fleet, registry: Registry) -> Iterator[User]:
    needed = {
        login.user
        for client in fleet.clients.values()
        for login in client.logins
        if login.registry == registry.name
    }
    return (user for user in registry.users if not registry.external or user.name in needed)


def _passwords(
    registry: Registry, users: tuple[User, ...], state: StateDirectory
) -> tuple[dict[str, Secret], tuple[RegfleetError, ...]]:
    generated = passwords.retired(state, registry.name, ())  # all that are kept
    found: dict[str, Secret] = {}
    errors: list[RegfleetError] = []
    for user in users:
        if user.password.kind == "generate" and user.name not in generated:
            errors.append(_never_applied(f"the password of user {user.name!r}", registry, state))
            continue
        try:
            found[user.name] = passwords.resolve(
                user.password, state=state, registry=registry.name, user=user.name, save=False
            )
        except PasswordError as error:
            errors.append(error)
    return found, tuple(errors)


def _htpasswd(
    registry: Registry,
    users: tuple[User, ...],
    found: Mapping[str, Secret],
    state: StateDirectory,
) -> str | None:
    """The users' file: the one kept, brought up to date where every password is known."""
    kept = state.read_text(f"registry/{registry.name}.htpasswd")
    if kept is None or registry.external or not users:
        return None
    if len(found) < len(users):
        return kept
    kinds = {user.name: user.password.kind for user in users}
    return htpasswd.update(kept, found, lambda name: htpasswd.cost_of(kinds[name]))


def _trust(
    registry: Registry, state: StateDirectory, certificates: FleetCertificates
) -> tuple[ServerPair | None, bytes | None, RegfleetError | None]:
    if registry.tls.source == "fleet-ca" and state.read("ca.key") is None:
        return None, None, _never_applied("the fleet's CA", registry, state)
    try:
        return certificates.server_pair(registry), certificates.trusted_ca(registry), None
    except CertificateError as error:
        return None, None, error


def _never_applied(what: str, registry: Registry, state: StateDirectory) -> RegfleetError:
    return RegfleetError(
        f"registry {registry.name}: {what} is not in the state directory {state.path}",
        "the fleet has not been applied from here; or name the directory with --state-dir",
    )


def _differing(one: DesiredHost, other: DesiredHost) -> frozenset[str]:
    def named(host: DesiredHost) -> set[tuple[str, str]]:
        found = {(f"file {file.path}", file.digest) for file in host.files}
        found |= {(f"container {each.name}", each.specification) for each in host.containers}
        return found | {
            (f"login {login.account}@{login.endpoint}", login_digest(login, ""))
            for login in host.logins
        }

    return frozenset(resource for resource, _ in named(one) ^ named(other))
