"""The fleet's own certificate authority: made once, kept in the state directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from regfleet.errors import CertificateError
from regfleet.pki import names as san
from regfleet.pki import pem
from regfleet.state import StateDirectory

CA_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=397)
"""What clients accept: Apple and the CA/Browser Forum's Baseline Requirements (6.3.2) draw the
line at 398 days and say that CAs should stay below it, at 397."""

CLOCK_SKEW = timedelta(hours=1)
"""How far a certificate reaches back, for hosts whose clock is behind; part of its life."""

_KEY_FILE = "ca.key"
_CERTIFICATE_FILE = "ca.crt"
_MAX_COMMON_NAME = 64  # RFC 5280, appendix A: ub-common-name


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """What clients get to trust."""
        return pem.of_certificates(self.certificate)

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
        start, end = _life(now, SERVER_LIFE)
        certificate = (
            _builder(common_name, key, start, min(end, self.certificate.not_valid_after_utc))
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
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
    fleet_name: str, now: datetime, key: ec.EllipticCurvePrivateKey | None = None
) -> Authority:
    """A self-signed CA that may sign servers' certificates and no further CA.

    Args:
        fleet_name: goes into the subject, cut where X.509 wants it shorter.
        now: the moment of signing, with a time zone.
        key: the key of the CA so far, to renew it; a new one by default.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = _builder(f"regfleet CA {fleet_name}", key, *_life(now, CA_LIFE))
    certificate = (
        builder.issuer_name(_name(f"regfleet CA {fleet_name}"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def fleet_ca(state: StateDirectory, fleet_name: str, now: datetime, *, save: bool) -> Authority:
    """The fleet's CA: the one kept, renewed when a third of its life is left, else a new one.

    A renewed CA has the same key and name, so that certificates it signed before hold under the
    new one and the other way round: hosts may learn of it in any order.

    Args:
        state: keeps `ca.key` (0600) and `ca.crt`.
        fleet_name: the fleet's name.
        now: with a time zone.
        save: whether a CA made or renewed is kept.

    Raises:
        CertificateError: what is kept is incomplete, broken, or does not belong together.
        StateError: the state directory cannot be used.
    """
    kept_key, kept_certificate = state.read(_KEY_FILE), state.read(_CERTIFICATE_FILE)
    if kept_key is None:
        if kept_certificate is not None:
            raise CertificateError(
                f"{state.path_of(_CERTIFICATE_FILE)} is there and {_KEY_FILE} beside it is not",
                "restore the key from a backup; or remove the certificate too and apply to every "
                "host, which then trusts a new CA",
            )
        made = new_authority(fleet_name, now)
    else:
        key = pem.private_key(kept_key, state.path_of(_KEY_FILE))
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertificateError(
                f"{state.path_of(_KEY_FILE)} is not the key that regfleet made",
                "restore it from a backup",
            )
        if kept_certificate is not None:
            where = state.path_of(_CERTIFICATE_FILE)
            certificate = pem.certificates(kept_certificate, where)[0]
            if not pem.same_key(certificate, key):
                raise CertificateError(
                    f"{where} does not belong to {_KEY_FILE} beside it",
                    f"restore both from a backup; or remove {where.name}, and one for the key "
                    "that is there is made",
                )
            if not nearly_over(certificate, now):
                return Authority(certificate, key)
        made = new_authority(fleet_name, now, key)
    if save:
        state.write_text(_KEY_FILE, pem.of_key(made.key))  # first: a key alone is no harm
        state.write(_CERTIFICATE_FILE, made.certificate_pem)
    return made


def nearly_over(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether less than a third of a certificate's life is left."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return end - now < (end - start) / 3


def _life(now: datetime, life: timedelta) -> tuple[datetime, datetime]:
    """First and last second of validity, both included (RFC 5280, 4.1.2.5)."""
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


def _usage(
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
