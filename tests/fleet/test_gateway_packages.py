"""The gateways of two registries of packages, by name at one port of a host of their own.

In the soak alone: three hosts install the distribution's packages for it.
"""

import json

import pytest

from regfleet.rehearse.twin import HostSpec

pytestmark = [
    pytest.mark.long,
    pytest.mark.soak,
]

REGISTRY = """
[registry.NAME]
hosts = [$HOST]
endpoint = "NAME.test:443"
runtime = "package"
storage = "/srv/images"
admins = ["root"]
users.root.password = "generate"
projects.team = {}

[registry.NAME.gateway]
hosts = [$lb1]
port = PORT
"""
BODY = "".join(
    REGISTRY.replace("NAME", name).replace("HOST", host).replace("PORT", port)
    for name, host, port in (("one", "reg1", "22510"), ("two", "reg2", "22511"))
)
ASKED = "openssl s_client -connect localhost:443 -servername {} </dev/null 2>/dev/null"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", variant="bare"),
        HostSpec("reg2", variant="bare"),
        HostSpec("lb1", variant="bare", aliases=("one.test", "two.test")),
    )


def test_packages_share_a_gateways_host(twin, write_fleet, regfleet):
    fleet = write_fleet(twin, BODY)
    done = regfleet("apply", fleet, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {each["status"] for each in json.loads(done.stdout)["hosts"].values()} == {"changed"}
    lb1 = twin.hosts["lb1"]
    for name in ("one", "two"):
        certificate = f"{ASKED.format(f'{name}.test')} | openssl x509 -noout -checkhost {name}.test"
        assert "does match" in lb1.read(certificate)
        assert lb1.read(f"systemctl is-active regfleet-{name}.gateway") == "active"
    assert lb1.run("systemctl is-active docker-registry").returncode != 0
    assert regfleet("status", fleet).returncode == 0
    done = regfleet("destroy", fleet, "--yes", "--delete-data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lb1.read("ls -d /etc/regfleet /etc/systemd/system/regfleet-* 2>/dev/null || :") == ""
