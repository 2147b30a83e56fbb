"""Files that are no PEM of what was looked for: the command that is named makes them that."""

import shlex
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)

from regfleet.errors import CertificateError
from regfleet.pki import given, pem

SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")


@pytest.fixture
def leaf(certify):
    return certify("leaf", certify("root", ca=True, names=()))


def der_key(leaf):
    return leaf.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def store(leaf, encryption):
    return pkcs12.serialize_key_and_certificates(
        b"leaf", leaf.key, leaf.certificate, None, encryption
    )


def trusted(leaf):
    return leaf.pem.replace(b"BEGIN CERT", b"BEGIN TRUSTED CERT").replace(
        b"END CERT", b"END TRUSTED CERT"
    )


CERTIFICATES = {
    "DER": (lambda leaf: leaf.certificate.public_bytes(Encoding.DER), "certificate in DER form"),
    "PKCS #12": (lambda leaf: store(leaf, NoEncryption()), "it is PKCS #12"),
    "PKCS #7": (
        lambda leaf: pkcs7.serialize_certificates([leaf.certificate], Encoding.PEM), "PKCS #7",
    ),
    "PKCS #7 in DER": (
        lambda leaf: pkcs7.serialize_certificates([leaf.certificate], Encoding.DER), "in DER form",
    ),
    "TRUSTED": (trusted, "TRUSTED CERTIFICATE"),
}  # fmt: skip


def converted(error, tmp_path):
    """The file that the hint's command makes."""
    command = error.hint.partition("convert it with: ")[2]
    assert command.startswith("openssl ")
    if "pkcs12" in command:
        command += " -passin pass:"
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True, capture_output=True)
    return Path(tmp_path, shlex.split(command)[shlex.split(command).index("-out") + 1])


@needs_openssl
@pytest.mark.parametrize("name", CERTIFICATES)
def test_the_command_makes_pem_of_a_certificate(name, leaf, tmp_path):
    make, what = CERTIFICATES[name]
    path = tmp_path / "my file.crt"
    path.write_bytes(make(leaf))
    with pytest.raises(CertificateError) as caught:
        pem.certificates(pem.read(path), path)
    assert what in caught.value.message
    assert str(path) in caught.value.message
    made = converted(caught.value, tmp_path)
    assert pem.certificates(pem.read(made), made) == [leaf.certificate]


@needs_openssl
@pytest.mark.parametrize("name", ["DER", "PKCS #12"])
def test_the_command_makes_pem_of_a_key(name, leaf, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(der_key(leaf) if name == "DER" else store(leaf, NoEncryption()))
    with pytest.raises(CertificateError) as caught:
        pem.private_key(pem.read(path), path)
    made = converted(caught.value, tmp_path)
    assert pem.same_key(leaf.certificate, pem.private_key(pem.read(made), made))


def test_a_store_with_a_password_is_recognised(leaf):
    content = store(leaf, BestAvailableEncryption(b"secret"))
    for read in (pem.certificates, pem.private_key):
        with pytest.raises(CertificateError, match="it is PKCS #12"):
            read(content, Path("a.p12"))


OTHERS = {
    "a request": (b"-----BEGIN CERTIFICATE REQUEST-----\n", False, "a CA has to sign"),
    "a key": (b"-----BEGIN PRIVATE KEY-----\n", False, "it is a private key"),
    "a certificate": (b"-----BEGIN CERTIFICATE-----\n", True, "it is a certificate"),
    "a keystore": (b"\xfe\xed\xfe\xed\x00\x00\x00\x02", False, "Java keystore"),
    # Windows PowerShell's `>`; one with a byte order mark in UTF-8 is read as it is
    # (distribution/distribution-library-image#105), and written without it.
    "UTF-16": ("-----BEGIN CERTIFICATE-----\n".encode("utf-16"), False, "PowerShell"),
    "nothing": (b"", False, "can be read from it"),
    "text": (b"hello", True, "can be read from it"),
    "half a sequence": (b"0\x82", False, "can be read from it"),
    "a sequence of nothing": (b"0\x80" + bytes(90), False, "can be read from it"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_named(name):
    content, key, said = OTHERS[name]
    with pytest.raises(CertificateError) as caught:
        (pem.private_key if key else pem.certificates)(content, Path("x"))
    assert said in caught.value.message
    assert caught.value.hint


def test_a_trusted_certificate_is_not_left_out_in_silence(leaf):
    with pytest.raises(CertificateError, match="TRUSTED CERTIFICATE"):
        pem.certificates(leaf.pem + trusted(leaf), Path("x.pem"))


def test_a_systems_bundle_is_taken_without_a_warning(now):
    bundle = next((Path(each) for each in SYSTEM_BUNDLES if Path(each).exists()), None)
    if bundle is None:
        pytest.skip("there is no bundle of public CAs here")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = given.read_ca(bundle, now)
    assert content.count(b"BEGIN CERTIFICATE") == bundle.read_bytes().count(b"BEGIN CERTIFICATE")
