"""The certificate that a registry's instances show to its gateways on other hosts.

It is of its own, and not the fleet CA's: gateways trust this one alone, so that no other host of
the fleet can take an instance's place, and it does not end every year. No client ever sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from regfleet import state_paths
from regfleet.errors import CertificateError
from regfleet.pki import pem
from regfleet.pki.authority import instance_certificate, nearly_over
from regfleet.secret import Secret
from regfleet.state import StateDirectory

NAME = "instance.regfleet.internal"
"""The name in every such certificate; ICANN keeps `internal` out of the DNS (2024-07-29)."""


@dataclass(frozen=True, slots=True)
class InstancePair:
    """What an instance shows, and what its gateways trust: the same certificate.

    Attributes:
        key_pem: an EC key on P-256, PKCS #8, unencrypted.
    """

    certificate_pem: bytes
    key_pem: Secret


def instance_pair(
    state: StateDirectory, registry: str, now: datetime, *, save: bool
) -> InstancePair:
    """The pair of a registry's instances, as the state directory has it; made where it has none.

    Args:
        now: with a time zone.
        save: whether to write what was made to the state directory.

    Raises:
        StateError: the state directory cannot be used.
    """
    kept = _read(state, registry)
    if kept is not None and not nearly_over(kept[0], now):
        return _pair(*kept)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = instance_certificate(f"regfleet instances of {registry}", NAME, key, now)
    if save:
        state.write_text(state_paths.instance_key(registry), pem.key_to_pem(key))
        state.write(
            state_paths.instance_certificate(registry), pem.certificates_to_pem(certificate)
        )
    return _pair(certificate, key)


def known_pair(state: StateDirectory, registry: str) -> InstancePair | None:
    """The pair as it is kept; None where there is none yet.

    Raises:
        StateError: the state directory cannot be used.
    """
    kept = _read(state, registry)
    return None if kept is None else _pair(*kept)


def _read(state: StateDirectory, registry: str) -> tuple[x509.Certificate, pem.ServerKey] | None:
    """What is kept; None where it is missing, broken, or does not belong together."""
    key_name = state_paths.instance_key(registry)
    certificate_name = state_paths.instance_certificate(registry)
    key, certificate = state.read(key_name), state.read(certificate_name)
    if key is None or certificate is None:
        return None
    try:
        found = pem.certificates(certificate, Path(certificate_name))[0]
        private = pem.private_key(key, Path(key_name))
    except CertificateError:
        return None
    return (found, private) if pem.same_key(found, private) else None


def _pair(certificate: x509.Certificate, key: pem.ServerKey) -> InstancePair:
    return InstancePair(pem.certificates_to_pem(certificate), Secret(pem.key_to_pem(key)))
