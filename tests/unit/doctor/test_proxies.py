"""NO_PROXY as Go reads it."""

import pytest

from regfleet.doctor.proxies import proxy_of

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("no", "host", "port", "bypassed"),
    [
        ("", "reg.example.com", 5000, False),
        ("*", "reg.example.com", 5000, True),
        ("reg.example.com", "reg.example.com", 5000, True),
        ("REG.example.com", "reg.Example.com", 5000, True),
        ("example.com", "reg.example.com", 5000, True),
        (".example.com", "reg.example.com", 5000, True),
        ("*.example.com", "reg.example.com", 5000, True),
        (".example.com", "example.com", 5000, False),
        ("example.com", "anexample.com", 5000, False),
        ("reg.example.com:5000", "reg.example.com", 5000, True),
        ("reg.example.com:5001", "reg.example.com", 5000, False),
        ("reg.example.co", "reg.example.com", 5000, False),
        ("a.example, reg.example.com ,b", "reg.example.com", 5000, True),
        ("10.0.0.0/8", "10.1.2.3", 5000, True),
        ("10.0.0.0/8", "11.1.2.3", 5000, False),
        ("10.0.0.0/8", "reg.example.com", 5000, False),
        ("10.0.0.0/99", "10.1.2.3", 5000, False),
        ("10.1.2.3", "10.1.2.3", 5000, True),
        ("10.1.2.3:5000", "10.1.2.3", 5000, True),
        ("[2001:db8::1]:5000", "2001:db8::1", 5000, True),
        ("2001:db8::/32", "2001:db8::1", 5000, True),
        ("", "localhost", 5000, True),
        ("", "127.0.0.1", 5000, True),
        ("", "::1", 5000, True),
        (",,", "reg.example.com", 5000, False),
    ],
)
def test_who_is_asked_directly(no, host, port, bypassed):
    found = proxy_of({"https": PROXY, "no": no}, host, port, tls=True)
    assert found == ("" if bypassed else PROXY)


def test_each_protocol_has_its_own():
    assert proxy_of({"https": PROXY}, "r.example", 5000, tls=False) == ""
    assert proxy_of({"http": PROXY}, "r.example", 5000, tls=True) == ""
    assert proxy_of({"http": PROXY}, "r.example", 5000, tls=False) == PROXY
    assert proxy_of({}, "r.example", 5000, tls=True) == ""
