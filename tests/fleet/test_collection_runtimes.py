"""`regfleet gc` with every runtime, and of a registry with TLS and users, whose passwords are known
here or not."""

import json

import pytest

from pushing import Pusher
from regfleet.rehearse.twin import HostSpec

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


@pytest.fixture
def collected(write_fleet, regfleet):
    """Applies a fleet, collects its garbage, and takes it out again."""

    def run(twin, runtime, more, push, **passwords):
        host = twin.hosts["reg1"]
        fleet = write_fleet(twin, TOP.format(runtime=runtime, more=more))
        password = {"CI_PASSWORD": "canary-1"}
        try:
            done = regfleet("apply", fleet, "--yes", **password)
            assert done.returncode == 0, done.stderr
            check = push(host)
            host.read(
                f"find '{DATA}/repositories' -path '*/revisions/*/link'"
                " -exec touch -d '2 days ago' {} +"
            )
            done = regfleet("gc", fleet, "--yes", "--json", **{**password, **passwords})
            assert done.returncode == 0, done.stdout + done.stderr
            found = json.loads(done.stdout)["hosts"]["reg1"]["registries"]["main"]
            check(found)
            assert not host.run(LEFT).stdout
            planned = regfleet("plan", fleet, "--detailed-exitcode", **password)
            assert planned.returncode == 0, planned.stdout
        finally:
            done = regfleet("destroy", fleet, "--yes", "--delete-data", **password)
            assert done.returncode == 0, done.stderr
            assert not host.run("ls -d '/srv/the images'").stdout

    return run


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


@pytest.mark.parametrize("runtime", ["podman", "package"])
def test_without_docker(collected, bare, runtime):
    more = PLAIN if runtime == "package" else PLAIN + ARCHIVE
    collected(bare, runtime, more, push_over_plain_http)


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
        assert found["blobs"] == 3
        host.read(f"docker rmi -f {image}; docker pull -q {image}; docker rmi {image}")

    return check


@pytest.mark.parametrize("known", [True, False])
def test_with_users_over_tls(collected, docker, known):
    passwords = {} if known else {"CI_PASSWORD": ""}
    collected(docker, "container", USERS + ARCHIVE, push_by_docker, **passwords)
