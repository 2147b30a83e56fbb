"""The fleet's CA: made once, renewed on the same key, never replaced in silence."""

import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from regfleet.errors import CertificateError
from regfleet.pki import pem
from regfleet.pki.authority import CA_LIFE, fleet_ca, new_authority


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


@pytest.mark.parametrize(
    ("permitted", "names", "holds"),
    [
        ((), ["a.example.com", "192.0.2.1"], True),
        (("example.com",), ["a.example.com", "example.com"], True),
        (("example.com",), ["a.example.org"], False),
        (("example.com",), ["192.0.2.1"], False),
        (("example.com",), ["2001:db8::1"], False),
        (("10.0.0.0/8",), ["10.1.2.3"], True),
        (("10.0.0.0/8",), ["11.1.2.3"], False),
        (("10.0.0.0/8",), ["2001:db8::1"], False),
        (("10.0.0.0/8",), ["a.example.com"], False),
        (("example.com", "10.0.0.0/8"), ["a.example.com", "10.1.2.3"], True),
    ],
)
def test_it_signs_for_nobody_else(tmp_path, permitted, names, holds):
    """By OpenSSL, which is not what made them."""
    now = datetime.now(timezone.utc)
    ca = new_authority("acme", now, permitted=permitted)
    leaf, _ = ca.issue("x", names, now)
    (tmp_path / "ca.crt").write_bytes(ca.certificate_pem)
    (tmp_path / "leaf.crt").write_bytes(pem.certificates_to_pem(leaf))
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", tmp_path / "ca.crt", tmp_path / "leaf.crt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is holds, done.stdout + done.stderr
    assert holds or "subtree violation" in done.stderr


def test_a_ca_that_may_sign_for_less_has_the_same_key(state, now):
    before = fleet_ca(state, "acme", now, save=True)
    after = fleet_ca(state, "acme", now, save=True, permitted=("b.org", "a.org"))
    assert after.certificate_pem != before.certificate_pem
    assert after.certificate.public_key() == before.certificate.public_key()
    leaf, _ = before.issue("x", ["r.a.org"], now)
    assert after.signed(leaf)
    again = fleet_ca(state, "acme", now, save=True, permitted=("a.org", "b.org"))
    assert again.certificate_pem == after.certificate_pem
    assert fleet_ca(state, "acme", now, save=True).certificate_pem != after.certificate_pem


class TestNewAuthority:
    def test_is_what_rfc_5280_wants(self, now):
        made = new_authority("acme", now)
        certificate = made.certificate
        assert certificate.subject.rfc4514_string() == "CN=regfleet CA acme"
        assert certificate.issuer == certificate.subject
        assert isinstance(made.key.curve, ec.SECP256R1)
        constraints = extension(certificate, x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
        usage = extension(certificate, x509.KeyUsage)
        assert usage.critical
        assert usage.value.key_cert_sign
        assert usage.value.crl_sign
        assert not usage.value.digital_signature
        assert extension(certificate, x509.SubjectKeyIdentifier)

    def test_ten_years(self, now):
        certificate = new_authority("acme", now).certificate
        assert certificate.not_valid_before_utc < now
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert life == CA_LIFE - timedelta(seconds=1)

    def test_a_long_fleet_name_is_cut(self, now):
        subject = new_authority("x" * 200, now).certificate.subject.rfc4514_string()
        assert len(subject) == len("CN=") + 64


class TestFleetCa:
    def test_is_made_once(self, state, now):
        first = fleet_ca(state, "acme", now, save=True)
        second = fleet_ca(state, "acme", now + timedelta(days=1000), save=True)
        assert first.certificate == second.certificate
        assert pem.key_to_pem(first.key) == pem.key_to_pem(second.key)
        assert state.path_of("ca.key").stat().st_mode & 0o777 == 0o600

    def test_is_not_kept_unless_asked(self, state, now):
        fleet_ca(state, "acme", now, save=False)
        assert not state.path.exists()

    @pytest.mark.parametrize(
        ("days", "renewed"), [(0, False), (2000, False), (2432, False), (2435, True), (9999, True)]
    )
    def test_is_renewed_on_its_key_in_its_last_third(self, state, now, days, renewed):
        old = fleet_ca(state, "acme", now, save=True)
        before, _ = old.issue("x", ["a.example"], now)
        later = now + timedelta(days=days)
        new = fleet_ca(state, "acme", later, save=True)
        assert (new.certificate != old.certificate) is renewed
        assert new.certificate.not_valid_after_utc > later
        after, _ = new.issue("x", ["a.example"], later)
        assert new.signed(before)
        assert old.signed(after)
        assert fleet_ca(state, "acme", later, save=False).certificate == new.certificate

    def test_a_crash_between_key_and_certificate_is_healed(self, state, now):
        key = new_authority("acme", now).key
        state.write_text("ca.key", pem.key_to_pem(key))
        made = fleet_ca(state, "acme", now, save=True)
        assert pem.key_to_pem(made.key) == pem.key_to_pem(key)
        assert pem.same_key(made.certificate, key)

    def test_a_lost_key_is_told(self, state, now):
        fleet_ca(state, "acme", now, save=True)
        state.path_of("ca.key").unlink()
        with pytest.raises(CertificateError, match=r"ca\.key beside it does not") as caught:
            fleet_ca(state, "acme", now, save=True)
        assert "backup" in caught.value.hint

    def test_a_pair_that_does_not_belong_together_is_told(self, state, now):
        fleet_ca(state, "acme", now, save=True)
        state.write("ca.crt", new_authority("acme", now).certificate_pem)
        with pytest.raises(CertificateError, match="does not belong"):
            fleet_ca(state, "acme", now, save=True)

    @pytest.mark.parametrize("name", ["ca.key", "ca.crt"])
    @pytest.mark.parametrize("junk", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\nAA\n", b"\xff"])
    def test_junk_is_told(self, state, now, name, junk):
        fleet_ca(state, "acme", now, save=True)
        state.write(name, junk)
        with pytest.raises(CertificateError, match=name):
            fleet_ca(state, "acme", now, save=True)

    def test_a_key_of_another_kind_is_told(self, state, now):
        state.write_text("ca.key", pem.key_to_pem(rsa.generate_private_key(65537, 2048)))
        with pytest.raises(CertificateError, match="not the key that regfleet made"):
            fleet_ca(state, "acme", now, save=True)


class TestIssue:
    def test_is_what_rfc_5280_wants(self, now):
        ca = new_authority("acme", now)
        certificate, key = ca.issue("registry main", ["a.example", "10.0.0.1"], now)
        assert isinstance(key.curve, ec.SECP256R1)
        assert pem.same_key(certificate, key)
        assert ca.signed(certificate)
        constraints = extension(certificate, x509.BasicConstraints)
        assert constraints.critical
        assert not constraints.value.ca
        assert extension(certificate, x509.KeyUsage).value.digital_signature
        assert list(extension(certificate, x509.ExtendedKeyUsage).value) == [
            ExtendedKeyUsageOID.SERVER_AUTH
        ]
        authority = extension(certificate, x509.AuthorityKeyIdentifier).value
        subject = extension(ca.certificate, x509.SubjectKeyIdentifier).value
        assert authority.key_identifier == subject.digest

    def test_at_most_397_days_with_the_skew(self, now):
        certificate, _ = new_authority("acme", now).issue("x", ["a"], now)
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        assert start < now - timedelta(minutes=30)
        # both ends belong to it, RFC 5280, 4.1.2.5
        assert end - start + timedelta(seconds=1) == timedelta(days=397)

    def test_does_not_outlive_its_ca(self, now):
        ca = new_authority("acme", now)
        certificate, _ = ca.issue("x", ["a"], now + timedelta(days=3500))
        assert certificate.not_valid_after_utc == ca.certificate.not_valid_after_utc
