"""What the model's dataclasses tell of themselves."""

import pytest
from making import client, fleet, host, registry, with_login

from regfleet.fleet.clients import Mirror
from regfleet.fleet.registries import Instance

TWO = (host("reg1"), host("reg2"))


@pytest.mark.parametrize(
    ("listen", "address", "port"),
    [
        (None, "127.0.0.1", 5000),
        (("0.0.0.0", 5443), "127.0.0.1", 5443),  # noqa: S104 - nothing is bound
        (("::", 5443), "::1", 5443),
        (("10.0.0.5", 5443), "10.0.0.5", 5443),
    ],
)
def test_an_instance_is_where_its_own_host_reaches_it(listen, address, port):
    made = registry(hosts=TWO, listen=listen)
    assert made.instances == tuple(Instance(each, address, port) for each in TWO)


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (None, "reg1"),
        (("reg2",), "reg2"),
        (("web1", "reg2", "reg1"), "reg1"),
        ({"reg2": 1, "web1": 2}, "reg2"),
        (("web1",), None),
        ((), None),
    ],
)
def test_a_probe_or_a_tunnel_goes_to_the_first_that_it_can_reach(on, expected):
    instance = registry(hosts=TWO).instance(on)
    assert (instance.host.name if instance else None) == expected


def test_an_external_registry_runs_nowhere():
    outside = registry(hosts=(), external=True)
    assert (outside.instances, outside.instance()) == ((), None)


def test_what_a_client_uses():
    mirrors = (Mirror("https://m.example"), Mirror("https://reg.example.com:5001", "cache"))
    made = client(registries=("main",), mirrors=mirrors, logins=with_login("third"))
    assert made.mirrored == {"cache"}
    assert made.uses == {"main", "cache", "third"}
    assert fleet(clients=[made]).hosts().keys() == {"reg1", "web1", "web2"}
