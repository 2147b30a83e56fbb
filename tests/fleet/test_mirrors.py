"""Mirrors of other registries than Docker Hub: images keep their names and come through a cache.

`quay.io` is a registry that the cache's host alone can name, and `ghcr.io` is nowhere at all: who
pulls by these names has asked a mirror.
"""

import json

import pytest

import stranger
from regfleet.rehearse.twin import HostSpec

pytestmark = pytest.mark.long

BODY = """
[registry.quay]
external = true
endpoint = "quay.io"
smoke = false
tls = {{ source = "files", ca = "{ca}" }}

[registry.quaycache]
hosts = [$reg1]
endpoint = "registry.test:5001"
runtime = "package"
storage = "/srv/quay"
proxy = "https://quay.io"

[registry.plain]
hosts = [$reg1]
endpoint = "registry.test:5002"
image_archive = "$registry_tar"
storage = "/srv/plain"
tls = {{ source = "none" }}

[client.podman]
hosts = [$pod]
engine = "podman"
mirrors = {{ "quay.io" = ["quaycache"], "ghcr.io" = ["plain"] }}

[client.containerd]
hosts = [$ctd]
engine = "containerd"
mirrors = {{ "quay.io" = ["quaycache"], "*" = ["plain"] }}

[smoke]
image_archive = "$busybox_tar"
"""
LEFT = "find /etc/containerd /etc/containers -name '*regfleet*' -o -name hosts.toml 2>/dev/null"


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(
        HostSpec("reg1", aliases=("registry.test",)),
        HostSpec("pod", variant="bare"),
        HostSpec("ctd", variant="bare"),
    )


@pytest.fixture(scope="module")
def ca(twin, seeds, tmp_path_factory):
    """The registry `quay.io` on `reg1`; gives the file of its CA."""
    host = twin.hosts["reg1"]
    file = stranger.serve(host, seeds, tmp_path_factory.mktemp("quay"), "quay.io", 443)
    host.read("docker run -d --name push -p 5999:5000 -v /root/c:/c --volumes-from quay registry:2")
    for tag in ("pod", "ctr", "cri"):
        stranger.push(host, f"127.0.0.1:5999/team/tool:{tag}")
    return file


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(twin, ca, write_fleet, state, regfleet):
    """`run("apply", "--yes")` on the fleet above; with `fewer`, on less of it."""

    def command(name, *options, fewer=False):
        text = BODY.format(ca=ca)
        if fewer:
            text = text.replace(', "ghcr.io" = ["plain"]', "").replace(', "*" = ["plain"]', "")
        return regfleet(name, write_fleet(twin, text), "--state-dir", state, *options)

    return command


def test_images_of_other_registries_come_through_their_mirrors(twin, run, cri_pull, proven):
    done = run("apply", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    again = run("apply", "--yes")
    assert "nothing to do on 3 hosts" in again.stdout, again.stdout + again.stderr
    reg1, pod, ctd = (twin.hosts[name] for name in ("reg1", "pod", "ctd"))
    reg1.read(
        "docker tag busybox 127.0.0.1:5002/team/tool:2; docker push -q 127.0.0.1:5002/team/tool:2"
    )
    assert pod.run("getent hosts quay.io ghcr.io").stdout == ""
    pod.read("podman pull -q quay.io/team/tool:pod; podman pull -q ghcr.io/team/tool:2")
    pull = "ctr images pull --hosts-dir /etc/containerd/certs.d"
    ctd.read(f"{pull} quay.io/team/tool:ctr; {pull} ghcr.io/team/tool:2")
    assert "grpc-status: 0" in cri_pull("ctd", "quay.io/team/tool:cri")
    assert "grpc-status: 0" in cri_pull("ctd", "registry.k8s.io/team/tool:2")
    for host, engine in ((pod, "podman"), (ctd, "containerd")):
        version = host.read(f"{engine} --version | grep -o '[0-9][0-9.]*' | head -n 1")
        proven(engine, version, host.spec.suite, "mirrors of quay.io and ghcr.io")
    # What came is in the cache now.
    kept = reg1.read("ls /srv/quay/docker/registry/v2/repositories/team/tool/_manifests/tags")
    assert set(kept.split()) == {"pod", "ctr", "cri"}


def test_what_is_no_longer_declared_goes(twin, run):
    done = run("apply", "--yes", "--no-smoke", fewer=True)
    assert done.returncode == 0, done.stdout + done.stderr
    pod, ctd = twin.hosts["pod"], twin.hosts["ctd"]
    drop_in = pod.read("cat /etc/containers/registries.conf.d/regfleet-test.conf")
    assert "quay.io" in drop_in
    assert "ghcr.io" not in drop_in
    assert "_default" not in ctd.read("ls /etc/containerd/certs.d")
    done = run("destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for host in (pod, ctd):
        assert host.run(LEFT).stdout == ""
    assert json.loads(run("plan", "--json").stdout)["hosts"]["pod"]["changes"]
