"""Several registries at one port of a host, told apart by their names."""

import json

import pytest

from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

HEAD = """
[client.build]
hosts = [$client1]
registries = [NAMES]
login = { LOGINS }

[smoke]
image_archive = "$busybox_tar"
"""
REGISTRY = """
[registry.NAME]
hosts = [$reg1]
endpoint = "NAME.test:5000"
image_archive = "$registry_tar"
storage = "/srv/NAME"
admins = ["root"]
users.root.password = "generate"
users.ci.password = "generate"
projects.NAME.members = { ci = "developer" }
gateway.image_archive = "$nginx_tar"
"""


def body(*names):
    listed = ", ".join(f'"{name}"' for name in names)
    logins = ", ".join(f'{name} = "ci"' for name in names)
    registries = "".join(REGISTRY.replace("NAME", name) for name in names)
    return registries + HEAD.replace("NAMES", listed).replace("LOGINS", logins)


@pytest.fixture(scope="module")
def twin(boot_for_module, seeds):
    twin = boot_for_module(HostSpec("reg1", aliases=("one.test", "two.test")), HostSpec("client1"))
    client = twin.hosts["client1"]
    client.copy_in(seeds.busybox, "/root/busybox.tar")
    client.read("docker load -q -i /root/busybox.tar")
    return twin


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, regfleet, write_fleet, state):
    def of(names, command, *more):
        fleet = write_fleet(twin, body(*names))
        return regfleet(command, fleet, "--state-dir", state, *more)

    return of


def apply(run, *names):
    done = run(names, "apply", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    smoke = {}
    for host in json.loads(done.stdout)["hosts"].values():
        smoke |= host["smoke"]
    assert "failed" not in smoke.values(), smoke
    assert "nothing to do on 2 hosts" in run(names, "apply", "--yes").stdout


def push(client, name):
    image = f"{name}.test:5000/{name}/app:1"
    return client.run(f"docker tag busybox {image} && docker push {image} 2>&1")


def container(host, name):
    return host.read(f"docker inspect -f '{{{{.Id}}}}' regfleet-{name}.gateway")


def shown(client, name):
    """The names in the certificate of who answers to a name."""
    asks = f"openssl s_client -connect {name}.test:5000 -servername {name}.test </dev/null"
    return client.read(f"{asks} 2>/dev/null | openssl x509 -noout -ext subjectAltName")


def test_another_registry_comes_to_the_port(twin, run):
    reg1, client = twin.hosts["reg1"], twin.hosts["client1"]
    apply(run, "one")
    assert push(client, "one").returncode == 0
    before = container(reg1, "one")
    apply(run, "one", "two")
    assert container(reg1, "one") == before
    for name in ("one", "two"):
        assert push(client, name).returncode == 0
    for name, other in (("one", "two"), ("two", "one")):
        assert f"{name}.test" in shown(client, name)
        assert f"{other}.test" not in shown(client, name)
        assert reg1.read(f"ls /srv/{name}/docker/registry/v2/repositories") == name


def test_each_has_its_own_users_and_sees_its_clients_addresses(twin, run, state):
    client, reg1 = twin.hosts["client1"], twin.hosts["reg1"]
    password = (state / "passwords/one/ci").read_text().strip()
    login = "docker --config /root/other login -u ci --password-stdin"
    assert client.run(f"{login} one.test:5000", password).returncode == 0
    assert client.run(f"{login} two.test:5000", password).returncode != 0
    log = reg1.read("docker logs regfleet-two.gateway 2>&1 | grep 'wrong password'")
    assert f"from {client.address}" in log
    image = "two.test:5000/one/app:1"
    said = client.run(f"docker tag busybox {image}; docker push {image} 2>&1").stdout
    assert "denied: ci has no rights in one/app" in said
    found = json.loads(run(("one", "two"), "status", "--json").stdout)["registries"]
    assert [each["health"] for each in found.values()] == ["healthy", "healthy"]


def test_one_that_is_down_leaves_the_other(twin):
    reg1, client = twin.hosts["reg1"], twin.hosts["client1"]
    reg1.read("docker stop regfleet-two.gateway")
    try:
        assert push(client, "one").returncode == 0
        assert push(client, "two").returncode != 0
    finally:
        reg1.read("docker start regfleet-two.gateway")


def test_the_second_takes_the_port_when_the_first_goes(twin, run):
    reg1, client = twin.hosts["reg1"], twin.hosts["client1"]
    apply(run, "two")
    assert push(client, "two").returncode == 0
    assert "one" not in reg1.read("docker ps --format '{{.Names}}'")
    assert run(("two",), "destroy", "--yes").returncode == 0
    assert reg1.read("docker ps -aq; docker images -q; ls -d /etc/regfleet || :") == ""
