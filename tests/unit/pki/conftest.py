"""Certificates of every sort, made by hand so that each flaw can be put in alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from regfleet.fleet.machines import Host, Ssh
from regfleet.fleet.registries import Registry, Tls
from regfleet.state import StateDirectory

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
SSH = Ssh("ops", 22, None, True, "strict", None)
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass
class Made:
    certificate: x509.Certificate
    key: object

    @property
    def pem(self):
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, passphrase=None):
        encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def make(
    subject,
    issuer=None,
    *,
    names=("registry.example.com",),
    key=None,
    ca=None,
    path_length=None,
    usage=None,
    purposes=None,
    start=NOW - timedelta(days=10),
    end=NOW + timedelta(days=100),
):
    """A certificate, self-signed without an issuer; extensions only where given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(issuer.certificate.subject if issuer else title)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False
        )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if usage is not None:
        flags = dict.fromkeys(USAGES, False)
        builder = builder.add_extension(x509.KeyUsage(**flags | usage), critical=True)
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    signer = issuer.key if issuer else key
    return Made(builder.sign(signer, hashes.SHA256()), key)


def general_name(name):
    if name.startswith("DNS:"):  # also of an address
        return x509.DNSName(name.removeprefix("DNS:"))
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def registry_of(tls, *, endpoint="registry.example.com:5000", hosts=(), **changes):
    values = {
        "name": "main",
        "endpoint": endpoint,
        "hosts": tuple(Host(name, address, SSH) for name, address in hosts),
        "external": False,
        "runtime": "container",
        "image": "registry:2",
        "image_archive": None,
        "storage": "/var/lib/registry",
        "delete": True,
        "tls": tls,
        "users": (),
        "allow_plaintext_passwords": False,
        "smoke": True,
    }
    return Registry(**values | changes)


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def certify():
    return make


@pytest.fixture
def declare():
    return registry_of


@pytest.fixture
def files(tmp_path):
    """Write a chain, a key and a CA; gives the `Tls` that names them."""

    def write(chain, key, ca=None, names=()):
        def put(name, content):
            path = tmp_path / name
            path.write_bytes(content)
            return path

        return Tls(
            "files",
            names,
            put("server.crt", chain),
            put("server.key", key),
            None if ca is None else put("ca.crt", ca),
        )

    return write
