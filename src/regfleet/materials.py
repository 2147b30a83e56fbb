"""What a fleet needs that is not in its file: certificates, password hashes, passwords, secrets.

Everything comes from the state directory or the user's sources; nothing here talks to a host.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from regfleet import htpasswd, passwords
from regfleet.fleet.model import Fleet, Registry
from regfleet.pki.certificates import FleetCertificates, ServerPair
from regfleet.secret import Secret
from regfleet.state import StateDirectory
from regfleet.touch import archive

ARCHIVES = "archives.json"  # digests of image archives, by what the file system says of them


@dataclass(frozen=True, slots=True)
class RegistryMaterial:
    """One registry's.

    Attributes:
        pair: what it serves; None without TLS and where it is not ours.
        ca: PEM that clients get to trust, or None.
        htpasswd: the users' file; None where there are no users or it is not ours.
        http_secret: signs the state of uploads (distribution configuration, `http.secret`).
        passwords: by user; an external registry's only where a client logs in with it.
        retired: generated passwords of users who are declared no more, by user.
    """

    pair: ServerPair | None
    ca: bytes | None
    htpasswd: str | None = field(repr=False)
    http_secret: Secret
    passwords: Mapping[str, Secret] = field(repr=False)
    retired: Mapping[str, Secret] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Materials:
    """A whole fleet's. `salt` is for the digests of logins that hosts report (hexadecimal)."""

    registries: Mapping[str, RegistryMaterial]
    salt: str


def gather(
    fleet: Fleet, state: StateDirectory, *, save: bool, now: datetime | None = None
) -> Materials:
    """Look up or make what the fleet needs.

    Args:
        save: whether what is made is kept; a plan keeps nothing.
        now: the run's moment, with a time zone; the present by default.

    Raises:
        PasswordError: a password's source cannot be read.
        CertificateError: the user's certificate cannot serve.
        StateError: the state directory cannot be used.
    """
    certificates = FleetCertificates(
        state, fleet.name, now or datetime.now(timezone.utc), save=save
    )
    _read_archives(fleet, state, save=save)
    registries = {
        registry.name: _material(fleet, registry, state, certificates, save=save)
        for registry in fleet.registries.values()
    }
    return Materials(registries, _kept(state, "salt", save=save))


def _material(
    fleet: Fleet,
    registry: Registry,
    state: StateDirectory,
    certificates: FleetCertificates,
    *,
    save: bool,
) -> RegistryMaterial:
    needed = {
        login.user
        for client in fleet.clients.values()
        for login in client.logins
        if login.registry == registry.name
    }
    users = [user for user in registry.users if not registry.external or user.name in needed]
    known = {
        user.name: passwords.resolve(
            user.password, state=state, registry=registry.name, user=user.name, save=save
        )
        for user in users
    }
    kinds = {user.name: user.password.kind for user in users}
    hashed = None
    if users and not registry.external:
        hashed = htpasswd.for_registry(state, registry.name, known, kinds, save=save)
    return RegistryMaterial(
        pair=certificates.server_pair(registry),
        ca=certificates.trusted_ca(registry),
        htpasswd=hashed,
        http_secret=Secret(_kept(state, f"registry/{registry.name}.http-secret", save=save)),
        passwords=known,
        retired={} if registry.external else passwords.retired(state, registry.name, known),
    )


def _read_archives(fleet: Fleet, state: StateDirectory, *, save: bool) -> None:
    """Find the digests of the fleet's image archives; of files that stay as they are, once."""
    given = [registry.image_archive for registry in fleet.registries.values()]
    paths = [path for path in dict.fromkeys((*given, fleet.smoke.image_archive)) if path]
    before = _parsed(state.read_text(ARCHIVES))
    archive.recall(before)
    now = {archive.mark_of(path): archive.digest(path) for path in paths}
    if save and now != before:
        state.write_text(ARCHIVES, json.dumps(now, indent=1) + "\n")


def _parsed(text: str | None) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return {}
    return {str(mark): str(digest) for mark, digest in found.items()}


def _kept(state: StateDirectory, name: str, *, save: bool) -> str:
    text = state.read_text(name)
    if text is None:
        text = secrets.token_hex(24)
        if save:
            state.write_text(name, text)
    return text
