"""What each registry serves: kept while it serves, made anew when it does not."""

import shutil
import subprocess
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from regfleet.errors import CertificateError
from regfleet.fleet.registries import Tls
from regfleet.pki import pem
from regfleet.pki.authority import new_authority
from regfleet.pki.certificates import FleetCertificates, reissue_reason
from regfleet.secret import Secret

HOSTS = [("reg1", "10.0.0.1")]
NAMES = ("registry.example.com", "reg1", "10.0.0.1")
DAY = timedelta(days=1)


@pytest.fixture
def fleet(state, now):
    def build(*, at=now, save=True):
        return FleetCertificates(state, "acme", at, save=save)

    return build


@pytest.fixture
def registry(declare):
    return declare(Tls("fleet-ca"), hosts=HOSTS)


class TestReissueReason:
    @pytest.fixture(scope="class")
    @staticmethod
    def ca():
        from datetime import datetime, timezone  # noqa: PLC0415

        moment = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
        return new_authority("acme", moment), moment

    @pytest.mark.parametrize(
        ("names", "days", "expected"),
        [
            (("a", "b"), 0, None),
            (("b", "a"), 0, None),
            (("a", "b"), 264, None),
            (("a", "b"), 265, "131 days left"),
            (("a", "b"), 396.9, "0 days left"),
            (("a", "b"), 398, "expired"),
            (("a", "b"), -1, "not valid before 2030-01-02 02:04 UTC"),
            (("a",), 0, "names change: -b"),
            (("a", "b", "c"), 0, "names change: +c"),
            (("d", "a", "10.0.0.1"), 0, "names change: +d +10.0.0.1 -b"),
        ],
    )
    def test_table(self, ca, names, days, expected):
        authority, moment = ca
        certificate, key = authority.issue("x", ["a", "b"], moment)
        at = moment + timedelta(days=days)
        assert reissue_reason(certificate, key, names, authority, at) == expected

    def test_another_key(self, ca):
        authority, moment = ca
        certificate, _ = authority.issue("x", ["a"], moment)
        key = ec.generate_private_key(ec.SECP256R1())
        reason = reissue_reason(certificate, key, ["a"], authority, moment)
        assert reason == "key and certificate do not match"

    def test_another_ca_of_the_same_name(self, ca):
        authority, moment = ca
        certificate, key = authority.issue("x", ["a"], moment)
        other = new_authority("acme", moment)
        assert reissue_reason(certificate, key, ["a"], other, moment) == "signed by another CA"
        renewed = new_authority("acme", moment + DAY, authority.key)
        assert reissue_reason(certificate, key, ["a"], renewed, moment) is None

    @given(
        st.lists(st.from_regex(r"\A[a-z]{1,8}(\.[a-z]{1,8}){0,2}\Z"), min_size=1, unique=True),
        st.integers(0, 200),
    )
    def test_what_was_just_issued_is_kept(self, ca, names, days):
        authority, moment = ca
        certificate, key = authority.issue("x", names, moment)
        at = moment + timedelta(days=days)
        assert reissue_reason(certificate, key, names, authority, at) is None


class TestFleetCa:
    def test_a_second_run_serves_the_same(self, fleet, registry, now):
        first = fleet().server_pair(registry)
        second = fleet(at=now + 200 * DAY).server_pair(registry)
        assert first.reason == "no certificate yet"
        assert second.reason is None
        assert (second.certificate_pem, second.key_pem) == (first.certificate_pem, first.key_pem)
        assert first.names == NAMES
        assert first.not_before < now < first.not_after

    def test_files_are_private(self, fleet, registry, state):
        fleet().server_pair(registry)
        for name in ("registry/main.key", "registry/main.crt"):
            assert state.path_of(name).stat().st_mode & 0o777 == 0o600

    def test_clients_trust_the_ca_and_not_the_pair(self, fleet, registry):
        certificates = fleet()
        pair = certificates.server_pair(registry)
        assert pair.ca_pem == certificates.trusted_ca(registry)
        assert pair.ca_pem == certificates.authority.certificate_pem
        assert b"PRIVATE" not in pair.ca_pem + pair.certificate_pem

    def test_a_look_leaves_no_trace_and_is_one_story(self, fleet, registry, declare, state):
        certificates = fleet(save=False)
        pair = certificates.server_pair(registry)
        other = certificates.server_pair(declare(Tls("fleet-ca"), hosts=HOSTS, name="second"))
        assert certificates.server_pair(registry) is pair
        assert pair.ca_pem == other.ca_pem == certificates.trusted_ca(registry)
        assert not state.path.exists()

    def test_a_look_at_a_change_keeps_what_is_kept(self, fleet, registry, declare):
        first = fleet().server_pair(registry)
        changed = declare(Tls("fleet-ca", ("new.example",)), hosts=HOSTS)
        assert fleet(save=False).server_pair(changed).reason == "names change: +new.example"
        assert fleet().server_pair(registry).certificate_pem == first.certificate_pem

    def test_a_new_name_brings_a_new_certificate_and_key(self, fleet, registry, declare):
        first = fleet().server_pair(registry)
        changed = declare(Tls("fleet-ca", ("new.example",)), hosts=HOSTS)
        second = fleet().server_pair(changed)
        assert second.names == (*NAMES, "new.example")
        assert second.key_pem != first.key_pem
        assert second.ca_pem == first.ca_pem
        assert fleet().server_pair(changed).reason is None

    @pytest.mark.parametrize("name", ["registry/main.key", "registry/main.crt"])
    @pytest.mark.parametrize("content", [None, b"", b"junk"])
    def test_a_lost_or_broken_file_is_made_anew(self, fleet, registry, state, name, content):
        fleet().server_pair(registry)
        if content is None:
            state.path_of(name).unlink()
        else:
            state.write(name, content)
        assert fleet().server_pair(registry).reason == "no certificate yet"
        assert fleet().server_pair(registry).reason is None

    def test_a_crash_between_key_and_certificate_is_healed(self, fleet, registry, state):
        fleet().server_pair(registry)
        stray = ec.generate_private_key(ec.SECP256R1())
        state.write_text("registry/main.key", pem.key_to_pem(stray))
        assert fleet().server_pair(registry).reason == "key and certificate do not match"
        assert fleet().server_pair(registry).reason is None

    def test_secrets_do_not_show(self, fleet, registry):
        certificates = fleet()
        pair = certificates.server_pair(registry)
        assert isinstance(pair.key_pem, Secret)
        assert "PRIVATE" not in repr(pair) + repr(certificates.authority)
        assert "PRIVATE KEY" in pair.key_pem.reveal()

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
    def test_openssl_agrees(self, fleet, registry, state, now):
        fleet().server_pair(registry)
        for name, flag in (
            ("registry.example.com", "-verify_hostname"),
            ("reg1", "-verify_hostname"),
            ("10.0.0.1", "-verify_ip"),
        ):
            done = subprocess.run(
                [
                    *("openssl", "verify", "-x509_strict", "-purpose", "sslserver"),
                    *("-attime", str(int(now.timestamp())), flag, name),
                    *("-CAfile", state.path_of("ca.crt"), state.path_of("registry/main.crt")),
                ],
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("tls", "external"),
    [(Tls("none"), False), (Tls("public"), True), (Tls("files"), True), (Tls("none"), True)],
)
def test_no_pair_where_none_is_ours(fleet, declare, state, tls, external):
    certificates = fleet()
    registry = declare(tls, external=external)
    assert certificates.server_pair(registry) is None
    assert certificates.trusted_ca(registry) is None
    assert not state.path.exists(), "a CA was made that nobody needs"


class TestGivenCa:
    def test_clients_of_an_external_registry_trust_its_ca_alone(
        self, fleet, declare, certify, tmp_path
    ):
        ca = certify("ca", ca=True, names=())
        (tmp_path / "ca.pem").write_bytes(b"# ours\n" + ca.key_pem() + ca.pem)
        registry = declare(Tls("files", ca=tmp_path / "ca.pem"), external=True)
        assert fleet().server_pair(registry) is None
        assert fleet().trusted_ca(registry) == ca.pem

    @pytest.mark.parametrize("content", [None, b"", b"junk"])
    def test_junk(self, fleet, declare, tmp_path, content):
        if content is not None:
            (tmp_path / "ca.pem").write_bytes(content)
        registry = declare(Tls("files", ca=tmp_path / "ca.pem"), external=True)
        with pytest.raises(CertificateError, match=r"ca\.pem"):
            fleet().trusted_ca(registry)

    def test_expired(self, fleet, declare, certify, tmp_path, now):
        (tmp_path / "ca.pem").write_bytes(certify("old ca", ca=True, end=now - DAY).pem)
        registry = declare(Tls("files", ca=tmp_path / "ca.pem"), external=True)
        with pytest.raises(CertificateError, match="old ca expired on 2030-01-01 03:04 UTC"):
            fleet().trusted_ca(registry)
