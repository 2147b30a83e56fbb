"""`regfleet gc` with every runtime, and of a registry with TLS and users, whose passwords are known
here or not."""

import json
import time

import pytest

from pushing import Pusher
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

TOP = """
[registry.main]
hosts = [$reg1]
endpoint = "registry.test:5000"
storage = "/srv/the images"
runtime = "{runtime}"
{more}
"""
ARCHIVE = 'image_archive = "$registry_tar"\n'
PLAIN = 'tls.source = "none"\n'
USERS = 'users.ci = { password = { env = "CI_PASSWORD" } }\n'
DATA = "/srv/the images/docker/registry/v2"
LEFT = (
    "ls -d /var/lib/regfleet/collecting /run/regfleet/read-only-* 2>/dev/null;"
    "ls -A '/srv/the images/docker/registry' | grep -v '^v2$'; grep config.yml /proc/self/mounts"
)


@pytest.fixture(scope="module")
def docker(boot_for_module):
    return boot_for_module("reg1=registry.test")


@pytest.fixture(scope="module")
def bare(boot_for_module):
    return boot_for_module(HostSpec("reg1", "trixie", "bare", aliases=("registry.test",)))


@pytest.fixture(scope="module")
def scripts(boot_for_module):
    return boot_for_module(
        HostSpec("sysv", variant="light", aliases=("registry.test",)),
        HostSpec("openrc", variant="openrc", aliases=("registry.test",)),
    )


@pytest.fixture
def collected(write_fleet, regfleet):
    """Applies a fleet, collects its garbage, and takes it out again."""

    def run(twin, runtime, more, push, name="reg1", **passwords):
        host = twin.hosts[name]
        body = TOP.format(runtime=runtime, more=more).replace("$reg1", f"${name}")
        fleet = write_fleet(twin, body)
        password = {"CI_PASSWORD": "canary-1"}
        try:
            done = regfleet("apply", fleet, "--yes", **password)
            assert done.returncode == 0, done.stderr
            check = push(host)
            host.read(
                f"find '{DATA}/repositories' -path '*/revisions/*/link'"
                " -exec touch -d '2 days ago' {} +"
            )
            if name != "reg1":
                killed_and_over(host, regfleet, fleet)
            done = regfleet("gc", fleet, "--yes", "--json", **{**password, **passwords})
            assert done.returncode == 0, done.stdout + done.stderr
            found = json.loads(done.stdout)["hosts"][name]["registries"]["main"]
            check(found)
            assert not host.run(LEFT).stdout
            planned = regfleet("plan", fleet, "--detailed-exitcode", **password)
            assert planned.returncode == 0, planned.stdout
        finally:
            done = regfleet("destroy", fleet, "--yes", "--delete-data", **password)
            assert done.returncode == 0, done.stderr
            assert not host.run("ls -d '/srv/the images'").stdout

    return run


def await_that(host, condition, seconds=120):
    end = time.monotonic() + seconds
    while host.run(condition).returncode != 0:
        assert time.monotonic() < end, condition
        time.sleep(0.2)


def killed_and_over(host, regfleet, fleet):
    """A collection is killed; without systemd, too, somebody else ends the read-only state."""
    hook = '[ "$2" = collection-delete ] && kill -9 $$'
    killed = regfleet("gc", fleet, "--yes", REGFLEET_TOUCH_HOOK=hook)
    assert killed.returncode == 1, killed.stdout
    pusher = Pusher(f"{host.address}:5000")
    pusher.pushed_at_last(lambda: pusher.image("pushed", "again"), seconds=30)
    await_that(host, f'[ -z "$({LEFT})" ]')


def push_over_plain_http(host):
    pusher = Pusher(f"{host.address}:5000")
    for _ in range(2):
        pusher.index("app", "moving", [pusher.image("app") for _ in range(2)])
    kept = pusher.image("app", "kept")

    def check(found):
        assert (found["untagged"], found["missing_blobs"]) == (3, 0)
        assert found["blobs"] == 3 + 4
        assert pusher.pull("app", "moving") == 4
        assert pusher.pull("app", kept["digest"]) == 2
        pusher.image("app", "later")

    return check


@pytest.mark.parametrize("runtime", ["podman", pytest.param("package", marks=pytest.mark.soak)])
def test_without_docker(collected, bare, runtime):
    more = PLAIN if runtime == "package" else PLAIN + ARCHIVE
    collected(bare, runtime, more, push_over_plain_http)


@pytest.mark.soak
def test_by_compose(collected, docker):
    collected(docker, "compose", PLAIN + ARCHIVE, push_over_plain_http)


def push_by_docker(host):
    """With a login, over TLS, by the engine of the registry's host, which trusts 127.0.0.0/8."""
    image = "127.0.0.1:5000/app:moving"
    host.read(
        "docker login -u ci -p canary-1 127.0.0.1:5000;"
        "for file in hostname group; do"
        f"  tar -C /etc -c $file | docker import - {image}; docker push -q {image}; done"
    )

    def check(found):
        assert (found["tags"], found["manifests"], found["untagged"]) == (1, 2, 1)
        assert found["blobs"] >= 3  # the proof of roles leaves some, too
        host.read(f"docker rmi -f {image}; docker pull -q {image}; docker rmi {image}")

    return check


@pytest.mark.parametrize("known", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_with_users_over_tls(collected, docker, known):
    passwords = {} if known else {"CI_PASSWORD": ""}
    collected(docker, "container", USERS + ARCHIVE, push_by_docker, **passwords)


GATEWAY = """admins = ["ci"]
[registry.main.gateway]
image_archive = "$nginx_tar"
[registry.main.projects.app]
members = { ci = "developer" }
"""


def test_behind_a_gateway(collected, docker):
    """Its registry takes no password: what its process has read is the proof."""
    more = ARCHIVE + USERS + GATEWAY
    collected(docker, "container", more, push_by_docker)


@pytest.mark.parametrize("manager", ["openrc", pytest.param("sysv", marks=pytest.mark.soak)])
def test_without_systemd(collected, scripts, manager):
    collected(scripts, "package", PLAIN, push_over_plain_http, name=manager)
