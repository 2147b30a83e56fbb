"""Registries that were made by hand as services of init(8) or of OpenRC: adopted, brought back."""

import pytest

from pushing import Pusher
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

BODY = """
[registry.main]
hosts = [${host}]
endpoint = "{host}.test:5000"
runtime = "package"
storage = "/var/lib/docker-registry"
tls = {{ source = "none" }}
adopt = true
smoke = false
"""
# As an administrator writes it, after OpenRC's service-script-guide.md.
OPENRC = """\
#!/sbin/openrc-run
supervisor=supervise-daemon
command=/usr/bin/docker-registry
command_args="serve /etc/docker/registry/config.yml"
command_user=docker-registry
pidfile=/run/hub.pid
depend() {
  use net
}
"""
SERVICES = {"sysv": "docker-registry", "openrc": "hub"}
ENABLED = {
    "sysv": "ls /etc/rc2.d/ | grep -x 'S[0-9]*docker-registry'",
    "openrc": "ls /etc/runlevels/default | grep -x hub",
}
ARGUMENTS = "ps -o args= -C docker-registry"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(
        HostSpec("sysv", variant="light", aliases=("sysv.test",)),
        HostSpec("openrc", variant="openrc", aliases=("openrc.test",)),
    )
    for host in twin.hosts.values():
        host.read(
            "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install"
            " docker-registry && sed -i '/^auth:/,/^health:/d' /etc/docker/registry/config.yml"
        )
    twin.hosts["sysv"].run("/etc/init.d/docker-registry stop")  # it has not come up with a login
    twin.hosts["sysv"].read("/etc/init.d/docker-registry start")
    openrc = twin.hosts["openrc"]
    openrc.run("rc-service docker-registry stop; rc-update --all delete docker-registry")
    openrc.run("cat >/etc/init.d/hub; chmod 0755 /etc/init.d/hub", stdin=OPENRC)
    openrc.read("rc-update add hub default; rc-service hub start")
    return twin


def served(host):
    """The tags that the registry serves now."""
    return Pusher(f"{host.address}:5000").tags("team/app")


@pytest.mark.parametrize("name", SERVICES)
def test_it_is_adopted_and_comes_back(twin, write_fleet, regfleet, tmp_path, name):
    host, service = twin.hosts[name], SERVICES[name]
    Pusher(f"{host.address}:5000").image("team/app", "1")
    fleet = write_fleet(twin, BODY.format(host=name))

    def run(command, *options):
        done = regfleet(command, fleet, "--state-dir", tmp_path / "state", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return " ".join(done.stdout.split())

    said = run("apply", "--yes")
    assert f"unit {service}" in said, said
    assert served(host) == ["1"]
    assert host.read(ARGUMENTS).split()[-1] == "/etc/regfleet/main/config.yml"
    assert host.run(ENABLED[name]).stdout == ""
    assert "nothing to do" in run("apply", "--yes")
    for command in ("rollback", "destroy"):
        run(command, "--yes")
        assert host.read(ARGUMENTS).split()[-1] == "/etc/docker/registry/config.yml"
        assert host.run(ENABLED[name]).stdout != ""
        assert served(host) == ["1"]
        if command == "rollback":
            run("apply", "--yes")
