"""The certificate that each registry serves, and the CA that its clients trust."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509

from regfleet import state_paths
from regfleet.errors import CertificateError
from regfleet.fleet.registries import Registry
from regfleet.pki import given, pem
from regfleet.pki.authority import Authority, fleet_ca, nearly_over
from regfleet.pki.names import certificate_names, server_names
from regfleet.secret import Secret
from regfleet.state import StateDirectory


@dataclass(frozen=True, slots=True)
class ServerPair:
    """The certificate and key that a registry serves.

    Attributes:
        certificate_pem: the leaf, then its intermediates.
        key_pem: the private key, PKCS #8, unencrypted.
        ca_pem: the CA that clients are to trust; None when every machine trusts it already.
        not_before, not_after: the leaf's validity, UTC.
        names: DNS names and addresses that it covers.
        reason: why this run made a new certificate (in memory alone without `save`); None when
            it comes from the state directory or from the user.
    """

    certificate_pem: bytes
    key_pem: Secret
    ca_pem: bytes | None
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    reason: str | None = None


class FleetCertificates:
    """Every certificate of a fleet, each read or made once.

    With `save=False` nothing is written: a missing certificate is made in memory, so that `plan`
    can show that `apply` would make it, and for which names.

    Args:
        state: holds the CA and the registries' certificates and keys.
        fleet_name: the fleet's name.
        now: the run's moment, with a time zone.
        save: whether to write new certificates and keys to the state directory.
        permitted: domains and networks that the CA may sign for; empty for all.
    """

    def __init__(
        self,
        state: StateDirectory,
        fleet_name: str,
        now: datetime,
        *,
        save: bool,
        permitted: Sequence[str] = (),
    ) -> None:
        self._state = state
        self._fleet_name = fleet_name
        self._now = now
        self._save = save
        self._permitted = tuple(permitted)
        self._pairs: dict[str, ServerPair | None] = {}

    @cached_property
    def authority(self) -> Authority:
        """The fleet's CA, read or made at the first use."""
        return fleet_ca(
            self._state,
            self._fleet_name,
            self._now,
            save=self._save,
            permitted=self._permitted,
        )

    def server_pair(self, registry: Registry) -> ServerPair | None:
        """The pair that the registry serves; None for an external registry or one without TLS.

        Raises:
            CertificateError: the user's files, or the CA in the state directory, cannot be used.
            StateError: the state directory cannot be used.
        """
        if registry.name not in self._pairs:
            self._pairs[registry.name] = server_pair(
                self._state,
                registry,
                authority=lambda: self.authority,
                now=self._now,
                save=self._save,
            )
        return self._pairs[registry.name]

    def trusted_ca(self, registry: Registry) -> bytes | None:
        """The CA that clients of a registry (external ones too) are to trust; None for none.

        Raises:
            CertificateError: as `server_pair`.
        """
        if registry.tls.source == "fleet-ca":
            return self.authority.certificate_pem
        if registry.tls.source == "files" and registry.tls.ca is not None:
            return given.read_ca(registry.tls.ca, self._now)
        return None


def server_pair(
    state: StateDirectory,
    registry: Registry,
    *,
    authority: Callable[[], Authority],
    now: datetime,
    save: bool,
) -> ServerPair | None:
    """The pair that one registry serves; see `FleetCertificates.server_pair`.

    Args:
        state: holds the key (0600) and the certificate.
        registry: any declared registry.
        authority: returns the fleet's CA; called only for `tls.source = "fleet-ca"`.
        now: with a time zone.
        save: whether to write a new pair to the state directory.
    """
    if registry.external or registry.tls.source in ("none", "public"):
        return None
    if registry.tls.source == "files":
        return _user_pair(registry, now)
    ca = authority()
    names = server_names(registry)
    key_name = state_paths.server_key(registry.name)
    certificate_name = state_paths.server_certificate(registry.name)
    kept = _read_kept_pair(state, certificate_name, key_name)
    reason = "no certificate yet"
    if kept is not None:
        certificate, key = kept
        found = reissue_reason(certificate, key, names, ca, now)
        if found is None:
            return _server_pair(certificate, key, ca, None)
        reason = found
    certificate, key = ca.issue(f"regfleet registry {registry.name}", names, now)
    if save:
        state.write_text(key_name, pem.key_to_pem(key))
        state.write(certificate_name, pem.certificates_to_pem(certificate))
    return _server_pair(certificate, key, ca, reason)


def reissue_reason(
    certificate: x509.Certificate,
    key: pem.ServerKey,
    names: Sequence[str],
    ca: Authority,
    now: datetime,
) -> str | None:
    """Why a certificate must be made anew, in a few words; None when it can still serve. Pure.

    Args:
        certificate: the leaf in the state directory.
        key: the key beside it.
        names: exactly the canonical names that it must have, in any order.
        ca: the fleet's CA.
        now: with a time zone.
    """
    if not pem.same_key(certificate, key):
        return "key and certificate do not match"
    if not ca.signed(certificate):
        return "signed by another CA"
    have, wanted = set(certificate_names(certificate)), set(names)
    if have != wanted:
        changed = [f"+{name}" for name in names if name not in have]
        changed += [f"-{name}" for name in sorted(have - wanted)]
        return f"names change: {' '.join(changed)}"
    if now < certificate.not_valid_before_utc:
        return f"not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    if nearly_over(certificate, now):
        left = (certificate.not_valid_after_utc - now).days
        return f"{left} days left" if left >= 0 else "expired"
    return None


def _read_kept_pair(
    state: StateDirectory, certificate_name: str, key_name: str
) -> tuple[x509.Certificate, pem.ServerKey] | None:
    """The pair in the state directory; None when it is missing or broken: a new one is made."""
    certificate, key = state.read(certificate_name), state.read(key_name)
    if certificate is None or key is None:
        return None
    try:
        return (
            pem.certificates(certificate, Path(certificate_name))[0],
            pem.private_key(key, Path(key_name)),
        )
    except CertificateError:
        return None


def _server_pair(
    certificate: x509.Certificate, key: pem.ServerKey, ca: Authority, reason: str | None
) -> ServerPair:
    return ServerPair(
        certificate_pem=pem.certificates_to_pem(certificate),
        key_pem=Secret(pem.key_to_pem(key)),
        ca_pem=ca.certificate_pem,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        names=certificate_names(certificate),
        reason=reason,
    )


def _user_pair(registry: Registry, now: datetime) -> ServerPair:
    checked = given.read_pair(registry, now)
    leaf = checked.chain[0]
    return ServerPair(
        certificate_pem=pem.certificates_to_pem(*checked.chain),
        key_pem=Secret(pem.key_to_pem(checked.key)),
        ca_pem=pem.certificates_to_pem(*checked.ca) if checked.ca else None,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        names=certificate_names(leaf),
    )
