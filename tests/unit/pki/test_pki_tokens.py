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


def steps(state):
    """The three steps of a rotation, in their order."""
    yield lambda: tokens.accept_next(state, "main", NOW)
    yield lambda: tokens.sign_with_next(state, "main")
    yield lambda: tokens.forget_former(state, "main")


def test_keys_follow_one_another_in_steps(state):
    first = made(state)
    found = []
    for take in steps(state):
        take()
        found.append((tokens.step(state, "main"), made(state)))
    (one, both), (two, switched), (three, last) = found
    assert (one, two, three) == ("both accepted", "next one signs", "one key")
    assert both.certificate_der == first.certificate_der
    assert switched.certificate_der == last.certificate_der != first.certificate_der
    accepted = [x509.load_pem_x509_certificates(each.bundle_pem) for each in (both, switched, last)]
    assert [len(each) for each in accepted] == [2, 2, 1]
    assert set(accepted[0]) == set(accepted[1])
    for name in (state_paths.token_next("main"), state_paths.token_switched("main")):
        assert state.read(name) is None


class CutError(Exception):
    pass


class Cut(StateDirectory):
    """A state directory whose user is killed before one of its writes."""

    left = 10**6

    def write(self, name, data, mode=0o600):
        self.left -= 1
        if self.left < 0:
            raise CutError
        super().write(name, data, mode)

    def remove(self, name):
        self.left -= 1
        if self.left < 0:
            raise CutError
        super().remove(name)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_step_that_is_cut_off_leaves_a_key_that_is_accepted(tmp_path, number):
    """And the rotation goes on from there, to its end."""
    for at in range(10):
        state = Cut(tmp_path / f"state-{at}")
        made(state)
        for take in list(steps(state))[:number]:
            take()
        before = made(state)
        state.left = at
        try:
            list(steps(state))[number]()
        except CutError:
            whole = False
        else:
            whole = True
        state.left = 10**6
        now = made(state)
        certificates = x509.load_pem_x509_certificates(now.bundle_pem)
        signer = x509.load_der_x509_certificate(now.certificate_der)
        assert signer in certificates
        if not whole or number != 1:
            assert now.certificate_der == before.certificate_der, at
        for _ in range(3):
            step = tokens.step(state, "main")
            if step == "both accepted":
                tokens.sign_with_next(state, "main")
            elif step == "next one signs":
                tokens.forget_former(state, "main")
        assert tokens.step(state, "main") == "one key"
        if whole:
            return
    raise AssertionError("it was always cut off")
