"""Names that certificates need and cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.errors import CertificateError
from regfleet.fleet.registries import Tls
from regfleet.pki.names import canonical, certificate_names, covers, endpoint_host, server_names


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("registry.example.com", "registry.example.com"),
        ("registry.example.com:5000", "registry.example.com"),
        ("10.0.0.1:443", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("[::1]:5000", "::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_endpoint_host(endpoint, host):
    assert endpoint_host(endpoint) == host


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Registry.Example.COM", "registry.example.com"),
        ("registry.example.com.", "registry.example.com"),
        ("*.example.com", "*.example.com"),
        ("localhost", "localhost"),
        ("web_1", "web_1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("a" * 63, "a" * 63),
        ("a" * 64, None),
        (".".join(["a" * 49] * 5), ".".join(["a" * 49] * 5)),
        (".".join(["a" * 50] * 5), None),
        ("@local", None),
        ("", None),
        ("*", None),
        ("a.*.example.com", None),
        ("w*.example.com", None),
        ("a..b", None),
        ("-a.example", None),
        ("a-.example", None),
        ("bücher.example", None),
        ("a b", None),
        ("a:5000", None),
    ],
)
def test_canonical(name, expected):
    assert canonical(name) == expected


@given(st.one_of(st.text(), st.ip_addresses().map(str), st.from_regex(r"[a-z0-9.*-]+")))
def test_canonical_of_canonical_is_identity(name):
    once = canonical(name)
    assert once is None or canonical(once) == once


@pytest.mark.parametrize(
    ("have", "wanted", "expected"),
    [
        (["a.example"], "a.example", True),
        (["a.example"], "A.Example.", True),
        (["a.example"], "b.example", False),
        (["*.example.com"], "a.example.com", True),
        (["*.example.com"], "a.b.example.com", False),
        (["*.example.com"], "example.com", False),
        (["*.example.com"], "*.example.com", True),
        (["a.example.com"], "*.example.com", False),
        (["*.b.example.com"], "*.example.com", False),
        (["10.0.0.1"], "10.0.0.1", True),
        (["*.0.0.1"], "10.0.0.1", False),
        (["DNS:10.0.0.1"], "10.0.0.1", False),
        (["2001:db8::1"], "2001:DB8:0::1", True),
        ([], "a", False),
        (["@local"], "@local", False),
    ],
)
def test_covers(have, wanted, expected):
    assert covers(have, wanted) is expected


class TestServerNames:
    def test_endpoint_hosts_and_further_names_each_once(self, declare):
        registry = declare(
            Tls("fleet-ca", ("registry.internal", "10.0.0.1", "*.Example.org")),
            hosts=[("reg1.example.com", "10.0.0.1"), ("reg2", "2001:db8::2")],
        )
        assert server_names(registry) == (
            "registry.example.com",
            "reg1.example.com",
            "10.0.0.1",
            "reg2",
            "2001:db8::2",
            "registry.internal",
            "*.example.org",
        )

    def test_this_machine_has_no_name_that_clients_ask_for(self, declare):
        registry = declare(Tls("fleet-ca"), endpoint="localhost:5000", hosts=[("@local", "@local")])
        assert server_names(registry) == ("localhost",)

    @pytest.mark.parametrize(
        ("endpoint", "names"),
        [("bücher.example:5000", ()), ("a.example", ("no way",)), ("a.example", ("@local",))],
    )
    def test_names_that_were_meant_are_not_dropped_in_silence(self, declare, endpoint, names):
        with pytest.raises(CertificateError, match="cannot stand in a certificate"):
            server_names(declare(Tls("fleet-ca", names), endpoint=endpoint))


def test_a_common_name_is_no_name(certify):
    assert certificate_names(certify("registry.example.com", names=()).certificate) == ()


def test_an_address_that_is_written_as_a_name_serves_no_address(certify):
    made = certify("x", names=("DNS:192.0.2.10", "DNS:2001:db8::1", "DNS:a.example"))
    have = certificate_names(made.certificate)
    assert have == ("DNS:192.0.2.10", "DNS:2001:db8::1", "a.example")
    assert not covers(have, "192.0.2.10")
    assert not covers(have, "2001:db8::1")


def test_names_of_a_certificate(certify):
    made = certify("x", names=("A.Example", "10.0.0.1", "2001:db8::1", "*.b.example"))
    assert certificate_names(made.certificate) == (
        "a.example",
        "10.0.0.1",
        "2001:db8::1",
        "*.b.example",
    )
