"""The key by which a gateway signs tokens, and the certificates by which its registry knows them.

The certificate is of its own: any certificate under the fleet's CA could sign tokens, were that
the one to trust. Other certificates than the key's are of the key before, whose tokens are good for
as long as they last, or of the key to come.

Keys are rotated in three steps, each of which is in force everywhere before the next: both are
accepted, the next one signs, the former is accepted no more. Every step is one file that is written
last, so that one which is cut off was not taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from regfleet import state_paths
from regfleet.errors import CertificateError
from regfleet.pki import pem
from regfleet.pki.authority import nearly_over, token_certificate
from regfleet.secret import Secret
from regfleet.state import StateDirectory

Step = Literal["one key", "both accepted", "next one signs"]
"""How far the rotation of a registry's keys is: not begun, the first step, the second."""


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """What one gateway signs tokens with, and what its registry checks them by.

    Attributes:
        key_pem: an EC key on P-256, PKCS #8, unencrypted.
        certificate_der: its certificate.
        bundle_pem: all certificates whose tokens the registry accepts, that one first.
    """

    key_pem: Secret
    certificate_der: bytes
    bundle_pem: bytes


def token_keys(state: StateDirectory, registry: str, now: datetime, *, save: bool) -> TokenKeys:
    """The keys of a registry's gateway, as the state directory has them; made where it has none.

    A key that cannot be read, or has no certificate there, is made anew. A certificate
    that is nearly over is made anew for the same key.

    Args:
        now: with a time zone.
        save: whether to write what was made to the state directory.

    Raises:
        StateError: the state directory cannot be used.
    """
    key, chain = _read(state, registry)
    if key is not None and chain and not nearly_over(chain[0], now):
        return _keys(key, chain)
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
        chain = []
    chain = [token_certificate(f"regfleet tokens of {registry}", key, now), *chain[1:]]
    if save:
        write(state, registry, key, chain)
    return _keys(key, chain)


def known_keys(state: StateDirectory, registry: str, now: datetime) -> TokenKeys | None:
    """As `token_keys`, and nothing is written; None where there are none yet.

    Raises:
        StateError: the state directory cannot be used.
    """
    key, _ = _read(state, registry)
    return None if key is None else token_keys(state, registry, now, save=False)


def step(state: StateDirectory, registry: str) -> Step:
    """How far the rotation of a registry's keys is, by what the state directory has.

    Raises:
        StateError: the state directory cannot be used.
    """
    coming = _next(state, registry)
    key, chain = _read(state, registry)
    if key is None or coming is None:
        return "one key"
    if pem.key_to_pem(key) == pem.key_to_pem(coming):
        return "next one signs"
    accepted = any(pem.same_key(each, coming) for each in chain)
    return "both accepted" if accepted else "one key"


def accept_next(state: StateDirectory, registry: str, now: datetime) -> None:
    """Take the first step: make a key, and have tokens of both accepted.

    Raises:
        StateError: the state directory cannot be used.
    """
    token_keys(state, registry, now, save=True)
    key, chain = _read(state, registry)
    coming = ec.generate_private_key(ec.SECP256R1())
    certificate = token_certificate(f"regfleet tokens of {registry}", coming, now)
    state.remove(state_paths.token_switched(registry))
    state.write_text(state_paths.token_next(registry), pem.key_to_pem(coming))
    if key is not None:
        write(state, registry, key, [chain[0], certificate])


def sign_with_next(state: StateDirectory, registry: str) -> None:
    """Take the second step, after the first is in force everywhere.

    Raises:
        StateError: the state directory cannot be used.
    """
    if coming := _next(state, registry):
        state.write_text(state_paths.token_key(registry), pem.key_to_pem(coming))


def forget_former(state: StateDirectory, registry: str) -> None:
    """Take the last step, after the second is in force everywhere for as long as a token lasts.

    Raises:
        StateError: the state directory cannot be used.
    """
    key, chain = _read(state, registry)
    if key is not None:
        write(state, registry, key, chain[:1])
    for name in (state_paths.token_switched(registry), state_paths.token_next(registry)):
        state.remove(name)


def _next(state: StateDirectory, registry: str) -> ec.EllipticCurvePrivateKey | None:
    name = state_paths.token_next(registry)
    kept = state.read(name)
    try:
        return None if kept is None else _of_tokens(pem.private_key(kept, Path(name)))
    except CertificateError:
        return None


def write(
    state: StateDirectory,
    registry: str,
    key: ec.EllipticCurvePrivateKey,
    chain: list[x509.Certificate],
) -> None:
    """Keep a key and its certificates, the key's own first."""
    state.write_text(state_paths.token_key(registry), pem.key_to_pem(key))
    state.write(state_paths.token_certificates(registry), pem.certificates_to_pem(*chain))


def _read(
    state: StateDirectory, registry: str
) -> tuple[ec.EllipticCurvePrivateKey | None, list[x509.Certificate]]:
    """What is kept, the key's own certificate first; no key where it is missing or has none."""
    key_name = state_paths.token_key(registry)
    chain_name = state_paths.token_certificates(registry)
    kept_key, kept_chain = state.read(key_name), state.read(chain_name)
    if kept_key is None or kept_chain is None:
        return None, []
    try:
        key = _of_tokens(pem.private_key(kept_key, Path(key_name)))
        chain = pem.certificates(kept_chain, Path(chain_name))
    except CertificateError:
        return None, []
    if key is None:
        return None, []
    own = [each for each in chain if pem.same_key(each, key)]
    others = [each for each in chain if each not in own]
    return (key, [*own, *others]) if own else (None, [])


def _of_tokens(key: pem.ServerKey) -> ec.EllipticCurvePrivateKey | None:
    """The key, if it is of the kind that tokens are signed by."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1":
        return key
    return None


def _keys(key: ec.EllipticCurvePrivateKey, chain: list[x509.Certificate]) -> TokenKeys:
    return TokenKeys(
        Secret(pem.key_to_pem(key)),
        chain[0].public_bytes(Encoding.DER),
        pem.certificates_to_pem(*chain),
    )
