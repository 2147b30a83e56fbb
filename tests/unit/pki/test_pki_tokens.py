"""Keys and certificates of a gateway's tokens, as the state directory has them."""

from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from regfleet import state_paths
from regfleet.pki import tokens
from regfleet.pki.authority import TOKEN_LIFE, token_certificate
from regfleet.state import StateDirectory

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
KEY, CHAIN = state_paths.token_key("main"), state_paths.token_certificates("main")


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


def made(state, now=NOW, *, save=True):
    return tokens.token_keys(state, "main", now, save=save)


def test_made_once(state):
    assert made(state, save=False) != made(state, save=False)
    assert state.read(KEY) is None
    first = made(state)
    assert made(state) == first
    assert state.path_of(KEY).stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in repr(first)


def test_the_certificate_signs_nothing_but_tokens(state):
    (certificate,) = x509.load_pem_x509_certificates(made(state).bundle_pem)
    limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert not limits.ca
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert certificate.subject == certificate.issuer
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)


@pytest.mark.parametrize("name", [KEY, CHAIN])
@pytest.mark.parametrize("text", [None, "", "-----BEGIN CERTIFICATE-----\nAAAA\n", "junk"])
def test_what_cannot_be_read_is_made_anew(state, name, text):
    first = made(state)
    if text is None:
        state.path_of(name).unlink()
    else:
        state.write_text(name, text)
    second = made(state)
    assert second.certificate_der != first.certificate_der
    assert made(state) == second


def test_a_key_of_another_certificate_or_curve(state):
    first = made(state)
    chain = x509.load_pem_x509_certificates(first.bundle_pem)
    for curve in (ec.SECP256R1(), ec.SECP384R1()):
        key = ec.generate_private_key(curve)
        tokens.write(state, "main", key, chain)
        assert made(state).certificate_der != first.certificate_der
    key = ec.generate_private_key(ec.SECP384R1())
    tokens.write(state, "main", key, [token_certificate("x", key, NOW)])
    (certificate,) = x509.load_pem_x509_certificates(made(state).bundle_pem)
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)


def test_several_are_accepted_and_the_first_signs(state):
    first = made(state)
    key = ec.generate_private_key(ec.SECP256R1())
    mine = token_certificate("new", key, NOW)
    tokens.write(state, "main", key, [mine, *x509.load_pem_x509_certificates(first.bundle_pem)])
    both = made(state)
    assert both.bundle_pem.endswith(first.bundle_pem)
    assert both.bundle_pem != first.bundle_pem
    assert both.certificate_der != first.certificate_der


def test_one_that_is_nearly_over_is_renewed_for_the_same_key(state):
    first = made(state)
    later = NOW + TOKEN_LIFE * 0.7
    second = made(state, later)
    assert second.key_pem == first.key_pem
    assert second.certificate_der != first.certificate_der
    assert made(state, later + timedelta(days=1)) == second
