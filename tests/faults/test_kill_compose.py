"""A registry that Compose runs is killed at boundaries of its replacement, by whatever kind.

Compose 2 on trixie; in the soak docker-compose 1.29 on bookworm, too. A few of the steps, all
boundaries in the soak; none is named here.
"""

import itertools

import pytest
from driver import Driver, chosen, kill_at
from urllib3 import PoolManager

from regfleet.jobs.recovery import Recovery
from regfleet.rehearse.twin import HostSpec
from workers import SOAK

pytestmark = pytest.mark.long

HOSTS = {"new": "trixie", **({"old": "bookworm"} if SOAK else {})}
THIN = 8  # two or three boundaries of a change
BODY = """
[registry.NAME]
hosts = [$NAME]
endpoint = "NAME.test:5000"
runtime = "RUNTIME"
image_archive = "$registry_tar"
storage = "/srv/images"
delete = DELETE
tls = { source = "none" }
"""
# Pairs of runtime and `delete` that take turns.
CHANGES = {
    "by compose": (("compose", "true"), ("compose", "false")),
    "by another runtime": (("compose", "true"), ("container", "false")),
}


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module(
        *(HostSpec(name, suite, aliases=(f"{name}.test",)) for name, suite in HOSTS.items())
    )
    for host in twin.hosts.values():
        done = host.run(
            "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update && "
            "apt-get -qq install --no-install-recommends docker-compose"
        )
        if done.returncode != 0:
            pytest.skip("no package sources: docker-compose cannot be installed")
    return twin


def served(host):
    """What `delete` says of the registry that answers there, which has what was pushed."""
    pool = PoolManager(timeout=10, retries=False)
    address = f"http://{host.address}:5000/v2/team/app"
    assert pool.request("GET", f"{address}/tags/list").json()["tags"] == ["1"]
    off = pool.request("DELETE", f"{address}/manifests/sha256:{'0' * 64}").status == 405
    return "false" if off else "true"


def containers(host):
    return host.read("docker ps -a --format '{{.Names}}' | sort").split()


def with_an_image(host, seeds):
    host.copy_in(seeds.busybox, "/root/busybox.tar")
    host.read(
        "docker load -q -i /root/busybox.tar; docker tag busybox 127.0.0.1:5000/team/app:1;"
        "docker push -q 127.0.0.1:5000/team/app:1; docker rmi busybox 127.0.0.1:5000/team/app:1"
    )


@pytest.fixture(params=HOSTS)
def host(request, twin):
    return twin.hosts[request.param]


@pytest.fixture
def change(request):
    return getattr(request, "param", "by compose")


@pytest.fixture
def drivers(host, change, twin, write_fleet):
    """By what `delete` says: each brings the registry from the other's state to its own."""
    found = {}
    for runtime, delete in CHANGES[change]:
        text = BODY.replace("NAME", host.name).replace("RUNTIME", runtime)
        path = write_fleet(twin, text.replace("DELETE", delete), name=f"{delete}.toml")
        found[delete] = Driver(path, twin)
    return found


@pytest.mark.parametrize("change", CHANGES, indirect=True)
def test_a_kill_leaves_before_or_after(host, change, drivers, seeds, tally):
    """There and back again: each replacement begins where the one before has ended."""
    assert drivers["true"].apply(host.name).result == "changed"
    with_an_image(host, seeds)
    boundaries = {}
    for delete in ("false", "true"):
        boundaries[delete], ended = drivers[delete].boundaries(host.name)
        assert ended.result == "changed", ended
        assert served(host) == delete
    survived = tried = 0
    killed = {delete: chosen(found, thin=THIN) for delete, found in boundaries.items()}
    most = max(map(len, killed.values()))
    for at, delete in itertools.product(range(most), killed):
        driver = drivers[delete]
        number, step = killed[delete][min(at, len(killed[delete]) - 1)]
        where = f"{host.name}, {change} to {delete}: killed at {number}, {step}"
        tried += 1
        assert driver.touch_with(host.name, kill_at(number)).cut, where
        ended = driver.do(host.name, Recovery()).outcome
        assert ended.result in {"changed", "unchanged", "rolled-back"}, (where, ended)
        assert containers(host) == [f"regfleet-{host.name}"], where
        assert served(host) in boundaries, where
        driver.apply(host.name)
        assert driver.plan(host.name).empty, where
        assert served(host) == delete, where
        assert containers(host) == [f"regfleet-{host.name}"], where
        survived += 1
    tally(f"touch of a registry killed while Compose's is replaced {change}", tried, survived)
    drivers["true"].apply(host.name)
    drivers["true"].destroy(host.name)
    assert host.read("docker ps -aq; docker images -q; ls -d /etc/regfleet || :") == ""
    assert "app" in host.read("ls /srv/images/docker/registry/v2/repositories/team")


def test_a_kill_while_it_comes(host, drivers):
    """The image was loaded before the touch, which was killed before it recorded that."""
    driver = drivers["true"]
    for number in (1, 2):
        assert driver.touch_with(host.name, kill_at(number)).cut
        assert host.read("docker images -q") != ""
        if number == 1:
            assert driver.apply(host.name).result == "changed"
        driver.destroy(host.name)
        assert host.read("docker images -q; ls -d /etc/regfleet /var/lib/regfleet || :") == ""


def test_a_kill_while_it_is_taken_out(host, drivers, tally):
    driver = drivers["true"]
    driver.apply(host.name)
    boundaries, ended = driver.boundaries(host.name, gone=True)
    assert ended.result == "changed", ended
    survived = 0
    for number, step in chosen(boundaries, thin=THIN):
        where = f"{host.name}: killed at {number}, {step} of destroy"
        driver.apply(host.name)
        assert driver.touch_with(host.name, kill_at(number), gone=True).cut, where
        driver.destroy(host.name)
        assert containers(host) == [], where
        assert host.read("docker images -q; ls -d /etc/regfleet /var/lib/regfleet || :") == "", (
            where
        )
        survived += 1
    tally("touch of a registry of Compose's killed while it is taken out", survived, survived)
