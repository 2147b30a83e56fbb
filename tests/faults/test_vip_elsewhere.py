"""The gateways' common address where the rest is unusual: with IPv6, on hosts without systemd.

One host of OpenRC and one of init(8) alone, with Podman's containers. In the soak alone. Programs
go to them out of band (see driver.py), for SSH goes by IPv4 there.
"""

import time

import pytest
from driver import Driver

from regfleet.rehearse.twin import HostSpec

pytestmark = [
    pytest.mark.long,
    pytest.mark.soak,
]

VOLUME = (("images", "/mnt/registry"),)
ADDRESSES = {"openrc": "fd00:5::11", "sysv": "fd00:5::12"}
VIP = "fd00:5::10"
HOSTS = ", ".join(f'{{ name = "{name}", address = "{at}" }}' for name, at in ADDRESSES.items())
BODY = """
[registry.main]
hosts = [HOSTS]
endpoint = "registry.test:5000"
runtime = "podman"
image_archive = "$registry_tar"
storage = { shared = "/mnt/registry" }
users.ci = { password = "generate" }

[registry.main.gateway]
NGINX
vip = "VIP/64"
"""
KEPT = (
    "ls -d /etc/regfleet /run/regfleet-* /etc/init.d/regfleet-* /etc/r*/*/*regfleet-* 2>/dev/null"
)


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(
        HostSpec("openrc", variant="openrc", volumes=VOLUME),
        HostSpec("sysv", variant="light", volumes=VOLUME),
    )
    for name, address in ADDRESSES.items():
        twin.hosts[name].read(
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0 && "
            f"ip addr add {address}/64 dev eth0 nodad"
        )
    return twin


@pytest.fixture
def driven(twin, write_fleet):
    def of(nginx, name):
        body = BODY.replace("HOSTS", HOSTS).replace("VIP", VIP).replace("NGINX", nginx)
        return Driver(write_fleet(twin, body, name=f"{name}.toml"), twin)

    return of


def holder(twin, but=""):
    """The one host that has the address, once they have agreed; not the one that is named."""
    for _ in range(80):
        found = [
            name
            for name in ADDRESSES
            if f" {VIP}/64 " in twin.hosts[name].read("ip -o -6 addr show dev eth0")
        ]
        if len(found) == 1 and found != [but]:
            return found[0]
        time.sleep(0.25)
    raise AssertionError(found)


def answers(twin):
    """From both hosts, with a certificate that has the address."""
    asked = f"openssl s_client -connect '[{VIP}]:5000' </dev/null 2>/dev/null"
    for name in ADDRESSES:
        found = twin.hosts[name].read(f"{asked} | openssl x509 -noout -checkip {VIP}")
        assert "does match" in found, found


def test_an_ipv6_address_moves_between_hosts_without_systemd(twin, driven, proven, tally):
    driver = driven('image_archive = "$nginx_tar"', "first")
    for name in ADDRESSES:
        ended = driver.apply(name)
        assert ended.result == "changed", ended
        assert driver.plan(name).empty
    first = holder(twin)
    answers(twin)
    # A new image, by another name of the same: the address goes elsewhere before.
    host = twin.hosts[first]
    host.read("podman tag nginx:stable nginx:next")
    later = driven('image = "nginx:next"', "second")
    ended = later.apply(first)
    assert (ended.result, ended.notes) == ("changed", ())
    second = holder(twin, but=first)
    answers(twin)
    # Its service is stopped in order.
    twin.hosts[second].read("/etc/init.d/regfleet-main.vip stop")
    assert holder(twin, but=second) == first
    answers(twin)
    twin.hosts[second].read("/etc/init.d/regfleet-main.vip start")
    assert holder(twin) == first  # it stays where it is
    for name in ADDRESSES:
        assert driver.destroy(name).result == "changed"
        assert twin.hosts[name].read(f"{KEPT} || :") == ""
        assert VIP not in twin.hosts[name].read("ip -o addr; pgrep -l keepalived || :")
    proven("vip", "keepalived", "bookworm", "IPv6, OpenRC and init(8)")
    tally("IPv6 address of gateways moved", 2, 2)
