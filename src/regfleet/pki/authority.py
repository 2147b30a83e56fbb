"""The fleet's own certificate authority: made once, kept in the state directory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from regfleet.errors import CertificateError
from regfleet.pki import names as san
from regfleet.pki import pem
from regfleet.state import StateDirectory
from regfleet.state_paths import CA_CERTIFICATE, CA_KEY

CA_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=397)
"""How long a server certificate lasts. Apple and the CA/Browser Forum's Baseline Requirements
(6.3.2) allow 398 days and recommend 397."""

TOKEN_LIFE = timedelta(days=7300)
"""How long the certificate of a gateway's tokens lasts: its own registry alone trusts it, and it
goes with its key."""

CLOCK_SKEW = timedelta(hours=1)
"""How long before now a certificate begins, for hosts whose clock is behind; part of its life."""

_MAX_COMMON_NAME = 64  # RFC 5280, appendix A: ub-common-name


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The CA certificate in PEM, for clients to trust."""
        return pem.certificates_to_pem(self.certificate)

    def signed(self, certificate: x509.Certificate) -> bool:
        """Whether this CA's key signed the certificate, under this CA's name."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except Exception:  # noqa: BLE001 - any failure, of whatever backend, means it did not
            return False
        return True

    def issue(
        self, common_name: str, names: Sequence[str], now: datetime
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """A server certificate for canonical names, with a new key.

        EC P-256, serverAuth, at most 397 days, as RFC 5280 (4.2) wants its extensions.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        start, end = _validity(now, SERVER_LIFE)
        certificate = (
            _builder(common_name, key, start, min(end, self.certificate.not_valid_after_utc))
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(san.general_names(names)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        return certificate, key


def new_authority(
    fleet_name: str,
    now: datetime,
    key: ec.EllipticCurvePrivateKey | None = None,
    permitted: Sequence[str] = (),
) -> Authority:
    """A self-signed CA that may sign servers' certificates and no further CA.

    Args:
        fleet_name: part of the subject, cut to X.509's length limit.
        now: the moment of signing, with a time zone.
        key: the key of the CA that is renewed; by default a new key.
        permitted: domains and networks that it may sign for; empty for all.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = _builder(f"regfleet CA {fleet_name}", key, *_validity(now, CA_LIFE))
    builder = (
        builder.issuer_name(_name(f"regfleet CA {fleet_name}"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    if permitted:
        builder = builder.add_extension(san.constraints(permitted), critical=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def fleet_ca(
    state: StateDirectory,
    fleet_name: str,
    now: datetime,
    *,
    save: bool,
    permitted: Sequence[str] = (),
) -> Authority:
    """The fleet's CA from the state directory, renewed if need be; a new CA when there is none.

    It is renewed when less than a third of its life is left, or when `permitted` has changed.

    A renewed CA keeps its key and name. So certificates that the old CA signed are valid under
    the new one, and the reverse: hosts may get the new CA in any order.

    Args:
        state: holds `ca.key` (0600) and `ca.crt`.
        fleet_name: the fleet's name.
        now: with a time zone.
        save: whether to write a new or renewed CA to the state directory.
        permitted: as for `new_authority`.

    Raises:
        CertificateError: the CA in the state directory is incomplete, broken, or its key and
            certificate do not match.
        StateError: the state directory cannot be used.
    """
    kept_key, kept_certificate = state.read(CA_KEY), state.read(CA_CERTIFICATE)
    if kept_key is None:
        if kept_certificate is not None:
            raise CertificateError(
                f"{state.path_of(CA_CERTIFICATE)} exists, but {CA_KEY} beside it does not",
                "restore the key from a backup; or remove the certificate too and apply to every "
                "host, so that it trusts a new CA",
            )
        made = new_authority(fleet_name, now, permitted=permitted)
    else:
        key = pem.private_key(kept_key, state.path_of(CA_KEY))
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertificateError(
                f"{state.path_of(CA_KEY)} is not the key that regfleet made",
                "restore it from a backup",
            )
        if kept_certificate is not None:
            where = state.path_of(CA_CERTIFICATE)
            certificate = pem.certificates(kept_certificate, where)[0]
            if not pem.same_key(certificate, key):
                raise CertificateError(
                    f"{where} does not belong to {CA_KEY} beside it",
                    f"restore both from a backup; or remove {where.name}, and regfleet makes a "
                    "new one for the key",
                )
            _refuse_no_authority(certificate, where)
            same = san.name_constraints_of(certificate) == (
                san.constraints(permitted) if permitted else None
            )
            if same and not nearly_over(certificate, now):
                return Authority(certificate, key)
        made = new_authority(fleet_name, now, key, permitted)
    if save:
        state.write_text(CA_KEY, pem.key_to_pem(made.key))  # first: a key alone does no harm
        state.write(CA_CERTIFICATE, made.certificate_pem)
    return made


def _refuse_no_authority(certificate: x509.Certificate, where: Path) -> None:
    """Refuses a certificate that may not sign others: no client would accept what it signed."""
    with suppress(x509.ExtensionNotFound):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        if constraints.ca:
            return
    raise CertificateError(
        f"{where} is not the certificate of a CA",
        f"restore it from a backup; or remove {where.name}, and regfleet makes a new one for the "
        "key",
    )


def token_certificate(
    common_name: str, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    """A self-signed certificate for the key that signs tokens; nothing else is to be signed by it.

    Registries trust it by itself, and so no other certificate under it (Go, crypto/x509, Verify).
    """
    return (
        _builder(common_name, key, *_validity(now, TOKEN_LIFE))
        .issuer_name(_name(common_name))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def instance_certificate(
    common_name: str, name: str, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    """A self-signed server certificate for one name, trusted by itself as that of tokens is."""
    return (
        _builder(common_name, key, *_validity(now, TOKEN_LIFE))
        .issuer_name(_name(common_name))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )


def nearly_over(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether less than a third of a certificate's life is left."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return end - now < (end - start) / 3


def _validity(now: datetime, life: timedelta) -> tuple[datetime, datetime]:
    """The first and the last second of validity, both included (RFC 5280, 4.1.2.5)."""
    start = now.replace(microsecond=0) - CLOCK_SKEW
    return start, start + life - timedelta(seconds=1)


def _builder(
    common_name: str, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_MAX_COMMON_NAME])])


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
