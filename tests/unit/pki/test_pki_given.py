"""The user's own files: one flaw at a time, each told with its file and its way out."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from regfleet.errors import CertificateError
from regfleet.fleet.registries import Tls
from regfleet.pki import pem
from regfleet.pki.certificates import FleetCertificates

DAY = timedelta(days=1)
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
WEAK_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the flaw to be found
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


@pytest.fixture
def serve(files, declare, state, now):
    """What regfleet would serve for these files."""

    def call(chain, key, ca=None, *, names=(), **changes):
        registry = declare(files(chain, key, ca, names), **changes)
        pair = FleetCertificates(state, "acme", now, save=True).server_pair(registry)
        assert not state.path.exists()
        return pair

    return call


@pytest.fixture
def root(certify):
    return certify("root", ca=True, names=(), usage={"key_cert_sign": True})


@pytest.fixture
def middle(certify, root):
    return certify("middle", root, ca=True, names=())


class TestGood:
    @pytest.mark.parametrize(
        "key",
        [
            rsa.generate_private_key(65537, 2048),
            ec.generate_private_key(ec.SECP256R1()),
            ec.generate_private_key(ec.SECP384R1()),
            ec.generate_private_key(ec.SECP521R1()),
            ed25519.Ed25519PrivateKey.generate(),
        ],
        ids=["rsa", "p256", "p384", "p521", "ed25519"],
    )
    def test_usual_keys(self, serve, certify, root, key, now):
        leaf = certify("leaf", root, key=key)
        pair = serve(leaf.pem, leaf.key_pem(), root.pem)
        assert pair.certificate_pem == leaf.pem
        assert pair.ca_pem == root.pem
        assert pair.names == ("registry.example.com",)
        assert pair.not_before < now < pair.not_after
        assert pair.reason is None

    @pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
    def test_usual_key_files(self, serve, certify, root, form):
        leaf = certify("leaf", root)
        key = leaf.key.private_bytes(Encoding.PEM, form, NoEncryption())
        assert serve(leaf.pem, key, root.pem).key_pem.reveal().encode() == leaf.key_pem()

    def test_intermediates_are_served_in_the_files_order(self, serve, certify, root, middle):
        low = certify("low", middle, ca=True, names=())
        leaf = certify("leaf", low)
        for rest in ([low, middle], [middle, low], [low, middle, root]):
            chain = b"".join(made.pem for made in (leaf, *rest))
            assert serve(chain, leaf.key_pem(), root.pem).certificate_pem == chain

    def test_an_intermediate_may_be_the_trusted_one(self, serve, certify, middle):
        leaf = certify("leaf", middle)
        assert serve(leaf.pem, leaf.key_pem(), middle.pem).ca_pem == middle.pem

    def test_a_ca_bundle(self, serve, certify, root):
        other, leaf = certify("other", ca=True), certify("leaf", root)
        bundle = other.pem + root.pem
        assert serve(leaf.pem, leaf.key_pem(), bundle).ca_pem == bundle

    @pytest.mark.parametrize("ca", [None, True, False])
    def test_a_self_signed_certificate_trusted_as_itself(self, serve, certify, ca):
        leaf = certify("leaf", ca=ca)
        assert serve(leaf.pem, leaf.key_pem(), leaf.pem).ca_pem == leaf.pem

    def test_without_a_ca_the_machines_own_trust_decides(self, serve, certify, middle):
        leaf = certify("leaf", middle)
        assert serve(leaf.pem, leaf.key_pem()).ca_pem is None
        assert serve(leaf.pem + middle.pem, leaf.key_pem()).ca_pem is None

    def test_a_renewed_issuer_beside_the_expired_one(self, serve, certify, root, now):
        old = certify("root", ca=True, names=(), key=root.key, end=now - DAY)
        leaf = certify("leaf", root)
        assert serve(leaf.pem, leaf.key_pem(), old.pem + root.pem)

    @pytest.mark.parametrize(
        ("endpoint", "names"),
        [
            ("a.example.com:5000", ("*.example.com",)),
            ("10.0.0.1:5000", ("10.0.0.1",)),
            ("[2001:db8::1]:5000", ("2001:db8::1",)),
            ("REGISTRY.example.com", ("registry.EXAMPLE.com",)),
        ],
    )
    def test_names(self, serve, certify, root, endpoint, names):
        leaf = certify("leaf", root, names=names)
        assert serve(leaf.pem, leaf.key_pem(), root.pem, endpoint=endpoint)

    @pytest.mark.parametrize("purposes", [None, [SERVER], [CLIENT, SERVER], [ANY]])
    @pytest.mark.parametrize(
        "usage", [None, {"digital_signature": True}, {"key_encipherment": True}]
    )
    def test_purposes(self, serve, certify, root, purposes, usage):
        leaf = certify("leaf", root, purposes=purposes, usage=usage)
        assert serve(leaf.pem, leaf.key_pem(), root.pem)

    def test_a_key_in_the_certificate_file_goes_no_further(self, serve, certify, root):
        leaf = certify("leaf", root)
        pair = serve(leaf.key_pem() + leaf.pem, leaf.key_pem(), root.key_pem() + root.pem)
        assert pair.certificate_pem == leaf.pem
        assert pair.ca_pem == root.pem


def bad_leaf(**flaws):
    """A leaf with these flaws, signed by the root that is trusted."""

    def build(certify, root, _middle, _now):
        leaf = certify("leaf", root, **flaws)
        return leaf.pem, leaf.key_pem(), root.pem

    return build


def expired(certify, root, _middle, now):
    leaf = certify("leaf", root, end=now - DAY)
    return leaf.pem, leaf.key_pem(), root.pem


def too_young(certify, root, _middle, now):
    leaf = certify("leaf", root, start=now + DAY)
    return leaf.pem, leaf.key_pem(), root.pem


def another_key(certify, root, _middle, _now):
    return certify("leaf", root).pem, certify("leaf", root).key_pem(), root.pem


def leaf_last(certify, root, middle, _now):
    leaf = certify("leaf", middle)
    return middle.pem + leaf.pem, leaf.key_pem(), root.pem


def encrypted_key(certify, root, _middle, _now):
    leaf = certify("leaf", root)
    return leaf.pem, leaf.key_pem(b"passphrase"), root.pem


def no_key(certify, root, _middle, _now):
    leaf = certify("leaf", root)
    return leaf.pem, leaf.pem, root.pem


def dsa_key(certify, root, _middle, _now):
    key = dsa.generate_private_key(2048)
    return (
        certify("leaf", root).pem,
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        root.pem,
    )


def no_certificate(certify, root, _middle, _now):
    leaf = certify("leaf", root)
    return leaf.key_pem(), leaf.key_pem(), root.pem


def cut_certificate(certify, root, _middle, _now):
    leaf = certify("leaf", root)
    return leaf.pem[:-100], leaf.key_pem(), root.pem


def corrupt_certificate(certify, root, _middle, _now):
    leaf = certify("leaf", root)
    lines = leaf.pem.splitlines(keepends=True)
    return b"".join([*lines[:2], *lines[3:]]), leaf.key_pem(), root.pem


def junk_ca(certify, root, _middle, _now):
    leaf = certify("leaf", root)
    return leaf.pem, leaf.key_pem(), b"junk"


def another_ca(certify, root, _middle, _now):
    leaf = certify("leaf", root)
    return leaf.pem, leaf.key_pem(), certify("other", ca=True).pem


def a_ca_of_the_same_name(certify, root, _middle, _now):
    leaf = certify("leaf", root)
    return leaf.pem, leaf.key_pem(), certify("root", ca=True, names=()).pem


def missing_intermediate(certify, root, middle, _now):
    leaf = certify("leaf", middle)
    return leaf.pem, leaf.key_pem(), root.pem


def unrelated_intermediate(certify, root, middle, _now):
    leaf = certify("leaf", root)
    return leaf.pem + middle.pem, leaf.key_pem(), None


def self_signed(certify, _root, _middle, _now):
    leaf = certify("leaf")
    return leaf.pem, leaf.key_pem(), None


def expired_intermediate(certify, root, _middle, now):
    middle = certify("middle", root, ca=True, names=(), end=now - DAY)
    leaf = certify("leaf", middle)
    return leaf.pem + middle.pem, leaf.key_pem(), root.pem


def expired_root(certify, _root, _middle, now):
    root = certify("root", ca=True, names=(), end=now - DAY)
    leaf = certify("leaf", root)
    return leaf.pem, leaf.key_pem(), root.pem


def no_ca_in_between(certify, root, _middle, _now):
    middle = certify("middle", root, ca=False, names=())
    leaf = certify("leaf", middle)
    return leaf.pem + middle.pem, leaf.key_pem(), root.pem


def no_constraints_in_between(certify, root, _middle, _now):
    middle = certify("middle", root, names=())
    leaf = certify("leaf", middle)
    return leaf.pem + middle.pem, leaf.key_pem(), None


def a_ca_that_may_not_sign(certify, root, _middle, _now):
    middle = certify("middle", root, ca=True, names=(), usage={"digital_signature": True})
    leaf = certify("leaf", middle)
    return leaf.pem + middle.pem, leaf.key_pem(), root.pem


def too_many_below(certify, _root, _middle, _now):
    root = certify("root", ca=True, path_length=0, names=())
    middle = certify("middle", root, ca=True, names=())
    leaf = certify("leaf", middle)
    return leaf.pem + middle.pem, leaf.key_pem(), root.pem


def a_ca_for_mail(certify, root, _middle, _now):
    mail = [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    middle = certify("middle", root, ca=True, names=(), purposes=mail)
    leaf = certify("leaf", middle)
    return leaf.pem + middle.pem, leaf.key_pem(), root.pem


@pytest.mark.parametrize(
    ("build", "file", "message", "hint"),
    [
        (expired, "server.crt", "CN=leaf expired on 2030-01-01 03:04 UTC", "renew"),
        (too_young, "server.crt", "not valid before 2030-01-03 03:04 UTC", "clock"),
        (another_key, "server.key", "not the key of the certificate", "set tls.key"),
        (leaf_last, "server.crt", "not the first one", "put it first"),
        (encrypted_key, "server.key", "is encrypted", "openssl pkey -in"),
        (no_key, "server.key", "it is a certificate", "openssl x509"),
        (dsa_key, "server.key", "do not take", "EC or RSA"),
        (bad_leaf(key=WEAK_RSA), "server.key", "1024 bits", "2048"),
        (bad_leaf(key=ec.generate_private_key(ec.SECP256K1())), "server.key", "secp256k1", "P-256"),
        (no_certificate, "server.crt", "it is a private key", "openssl pkey -in"),
        (cut_certificate, "server.crt", "no certificate", "openssl x509"),
        (corrupt_certificate, "server.crt", "no certificate", "openssl x509"),
        (bad_leaf(names=()), "server.crt", "no subjectAltName", "registry.example.com"),
        (bad_leaf(names=("x.example",)), "server.crt", "only x.example", "have one issued"),
        (bad_leaf(names=("*.com",)), "server.crt", "only *.com", "have one issued"),
        (bad_leaf(purposes=[CLIENT]), "server.crt", "not for servers", "serverAuth"),
        (bad_leaf(usage={"crl_sign": True}), "server.crt", "not for TLS", "digitalSignature"),
        (junk_ca, "ca.crt", "no certificate", "openssl x509"),
        (another_ca, "server.crt", "its issuer is CN=root", "tls.ca"),
        (a_ca_of_the_same_name, "server.crt", "its issuer is CN=root", "tls.ca"),
        (missing_intermediate, "server.crt", "its issuer is CN=middle", "intermediates"),
        (unrelated_intermediate, "server.crt", "none of the other", "intermediates"),
        (self_signed, "server.crt", "self-signed", "tls.ca"),
        (expired_intermediate, "server.crt", "CN=middle expired", "renew"),
        (expired_root, "ca.crt", "CN=root expired", "renew"),
        (no_ca_in_between, "server.crt", "CN=middle signed", "CA:TRUE"),
        (no_constraints_in_between, "server.crt", "CN=middle signed", "CA:TRUE"),
        (a_ca_that_may_not_sign, "server.crt", "CN=middle signed", "keyCertSign"),
        (too_many_below, "ca.crt", "allows 0 CAs below it, but there are 1", "shorter"),
        (a_ca_for_mail, "server.crt", "may not issue", "CA that may"),
    ],
)
def test_flaws(  # noqa: PLR0917 - pytest passes by name
    serve, certify, root, middle, now, tmp_path, build, file, message, hint
):
    with pytest.raises(CertificateError) as caught:
        serve(*build(certify, root, middle, now))
    assert str(tmp_path / file) in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_address_in_an_entry_for_names_does_not_do(serve, certify, root):
    leaf = certify("leaf", root, names=("DNS:192.0.2.10",))
    with pytest.raises(CertificateError) as caught:
        serve(leaf.pem, leaf.key_pem(), root.pem, endpoint="192.0.2.10:5000")
    assert "does not cover 192.0.2.10, only DNS:192.0.2.10" in caught.value.message
    assert "IP:192.0.2.10, not DNS:" in caught.value.hint


def test_further_names_must_be_covered_too(serve, certify, root):
    leaf = certify("leaf", root)
    with pytest.raises(CertificateError, match=r"does not cover registry\.internal"):
        serve(leaf.pem, leaf.key_pem(), root.pem, names=("registry.internal",))


@pytest.mark.parametrize("missing", ["certificate", "key", "ca"])
def test_missing_files(  # noqa: PLR0917 - pytest passes by name
    files, certify, root, declare, state, now, missing
):
    leaf = certify("leaf", root)
    tls = files(leaf.pem, leaf.key_pem(), root.pem)
    path = getattr(tls, missing)
    path.unlink()
    with pytest.raises(CertificateError, match=f"cannot read {path}: No such file"):
        FleetCertificates(state, "acme", now, save=True).server_pair(declare(tls))
    path.mkdir()
    with pytest.raises(CertificateError, match=f"cannot read {path}: Is a directory"):
        FleetCertificates(state, "acme", now, save=True).server_pair(declare(tls))


def test_undeclared_files(declare, state, now):
    with pytest.raises(CertificateError, match="needs a certificate and a key"):
        FleetCertificates(state, "acme", now, save=True).server_pair(declare(Tls("files")))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_sha1_signatures_are_refused(serve, tmp_path):
    """The cryptography library no longer makes them; OpenSSL does."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-sha1", "-newkey", "rsa:2048", "-nodes"),
            *("-keyout", tmp_path / "k", "-out", tmp_path / "c", "-days", "4000"),
            *("-subj", "/CN=leaf", "-addext", "subjectAltName=DNS:registry.example.com"),
        ],
        check=True,
        capture_output=True,
    )
    with pytest.raises(CertificateError, match="signed with sha1"):
        serve((tmp_path / "c").read_bytes(), (tmp_path / "k").read_bytes())


def test_a_file_without_end_is_not_read_to_it():
    with pytest.raises(CertificateError, match="is longer than 4 MiB"):
        pem.read(Path("/dev/zero"))
