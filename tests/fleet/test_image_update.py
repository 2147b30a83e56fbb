"""A registry gets another image, and a rollback gives it the one of before, without a network.

The image of before is kept while a generation needs it, and goes when that is pruned. In the soak
Compose runs one, too.
"""

import json

import pytest

from regfleet.rehearse.twin import HostSpec
from workers import SOAK

pytestmark = pytest.mark.long

REGISTRIES = {"container": "reg1", **({"compose": "reg1"} if SOAK else {}), "podman": "pod"}
PORTS = {"container": 5001, "compose": 5002, "podman": 5003}
REGISTRY = """
[registry.{name}]
hosts = [${host}]
endpoint = "{host}.test:{port}"
runtime = "{name}"
image = "{image}"
image_archive = "{archive}"
storage = "/srv/{name}"
delete = {delete}
"""
OTHER = "FROM registry:2\nLABEL which={}\n"
KEPT = "localhost/regfleet-kept:"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", aliases=("reg1.test",)),
        HostSpec("pod", "trixie", "bare", aliases=("pod.test",)),
    )


@pytest.fixture(scope="module")
def archives(twin, seeds, tmp_path_factory):
    """Archives of three images, of which the first two have one name."""
    host, directory = twin.hosts["reg1"], tmp_path_factory.mktemp("images")
    host.copy_in(seeds.registry, "/root/image.tar")
    host.read("docker load -q -i /root/image.tar")
    found = {"a": ("registry:2", seeds.registry)}
    for which, name in (("b", "registry:2"), ("c", "registry:other")):
        built = host.run(f"docker build -q -t {name} -", stdin=OTHER.format(which))
        assert built.returncode == 0, built.stderr
        host.read(f"docker save -o /root/{which}.tar {name}")
        host.copy_out(f"/root/{which}.tar", directory / f"{which}.tar")
        found[which] = (name, directory / f"{which}.tar")
    host.read("docker rmi $(docker images -q --no-trunc); docker image prune -f; rm /root/*.tar")
    return found


@pytest.fixture
def run(twin, archives, write_fleet, regfleet, tmp_path_factory):
    state = tmp_path_factory.mktemp("state")

    def command(name, which, *options, delete="true"):
        image, archive = archives[which]
        body = "".join(
            REGISTRY.format(
                name=each, host=host, port=PORTS[each], image=image, archive=archive, delete=delete
            )
            for each, host in REGISTRIES.items()
        )
        done = regfleet(name, write_fleet(twin, body), "--state-dir", state, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return command


def running(twin):
    """The label of the image that each registry runs, once it has been asked for `/v2/`."""
    found = {}
    for name, host in REGISTRIES.items():
        program = "podman" if name == "podman" else "docker"
        made = twin.hosts[host]
        made.read(f"openssl s_client -connect 127.0.0.1:{PORTS[name]} </dev/null 2>/dev/null")
        told = json.loads(made.read(f"{program} container inspect regfleet-{name}"))[0]
        found[name] = told["Config"]["Labels"].get("which", "a")
    return found


def images(twin):
    """All images of both engines: how many there are, and the names of those that have one.

    Without the registry in a name, which Podman adds.
    """
    found = {}
    for program, host in (("docker", "reg1"), ("podman", "pod")):
        made = twin.hosts[host]
        ids = set(made.read(f"{program} images -aq --no-trunc").split())
        names = made.read(f"{program} images --format '{{{{.Repository}}}}:{{{{.Tag}}}}'").split()
        own = sorted(name.rpartition("/")[2] for name in names if KEPT not in name)
        found[program] = (len(ids), own)
    return found


def all_of(which):
    return dict.fromkeys(REGISTRIES, which)


def has(count, name):
    """What `images` is to give."""
    return dict.fromkeys(("docker", "podman"), (count, [name]))


def test_an_update_and_the_way_back(twin, run):
    run("apply", "a", "--yes")
    before = images(twin)
    assert before == has(1, "registry:2")
    assert running(twin) == all_of("a")

    run("apply", "b", "--yes")
    assert running(twin) == all_of("b")
    assert images(twin) == has(2, "registry:2")
    run("rollback", "a", "--yes")
    assert running(twin) == all_of("a")
    assert images(twin) == before
    assert "nothing to do on 2 hosts" in run("apply", "a", "--yes")

    run("apply", "c", "--yes")
    assert running(twin) == all_of("c")
    assert images(twin) == has(2, "registry:other")
    run("rollback", "a", "--yes")
    assert running(twin) == all_of("a")
    run("apply", "c", "--yes")
    assert running(twin) == all_of("c")

    # Ten generations later nothing can go back to it: the next touch removes it.
    for host in twin.hosts.values():
        host.read("cd /var/lib/regfleet/generations; mkdir $(seq 101 110)")
    run("apply", "c", "--yes", delete="false")
    assert images(twin) == has(1, "registry:other")
    for host in twin.hosts.values():
        assert "regfleet-kept" not in host.read("cat /var/lib/regfleet/brought")


def test_with_the_fleet_all_of_them_go(twin, run):
    run("apply", "a", "--yes")
    run("destroy", "a", "--yes", "--delete-data")
    assert images(twin) == dict.fromkeys(("docker", "podman"), (0, []))
