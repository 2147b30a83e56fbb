"""What serves a port and was made by hand: by what `foreign.sh` prints of it."""

import base64
import json

import pytest

from regfleet.look import foreign, ports
from regfleet.model.foreign import Foreign, Mount
from regfleet.shell import frame

CONFIG = """\
version: 0.1
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
  delete:
    enabled: true
http:
  addr: :5000
  tls:
    certificate: /certs/a.crt
auth:
  htpasswd:
    realm: a
    path: /auth/htpasswd
"""
ANONYMOUS = "97dc" * 16
VOLUME = Mount("/var/lib/registry", f"/var/lib/docker/volumes/{ANONYMOUS}/_data", ANONYMOUS)
EXAMPLE = Mount("/tmp/registry", "/zzyyuse/myregistry")


def lines(*mounts, config=CONFIG, variables=(), starter=None, **changes):
    inspected = {
        "id": "1f" * 32,
        "name": "/old",
        "image": "registry:2",
        "restart": {"Name": "always", "MaximumRetryCount": 0},
        "remove": False,
        "mounts": [
            {"Destination": each.inside, "Source": each.source, "Name": each.volume}
            for each in mounts
        ],
    }
    said = ["@process 7 docker-proxy", "@container old registry:2 "]
    said += [f"@inspected {json.dumps({**inspected, **changes})}", "@registry 9"]
    said += [f"@variable {each}" for each in variables]
    said += ["@argument /etc/docker/registry/config.yml"]
    if config:
        said += [f"@config {base64.b64encode(config.encode()).decode()}"]
    return said + ([] if starter is None else [f"@starter {starter}"])


def test_the_example_has_its_images_in_a_volume_and_not_on_its_mount():
    found = foreign.parse(lines(EXAMPLE, VOLUME))
    assert (found.source, found.volume, found.unused) == (VOLUME.source, ANONYMOUS, (EXAMPLE,))
    assert found.words == (
        f"it is a registry that keeps its images in {VOLUME.source} (the volume 97dc97dc97dc); "
        "/zzyyuse/myregistry is mounted at /tmp/registry, which it does not use"
    )
    assert (found.certificate, found.htpasswd, found.deletes) == (
        "/certs/a.crt",
        "/auth/htpasswd",
        True,
    )


ROOT = "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"


@pytest.mark.parametrize(
    ("mounts", "variables", "source"),
    [
        ((Mount("/var/lib/registry", "/data"),), (), "/data"),
        ((Mount("/var/lib", "/data"),), (), "/data/registry"),
        ((Mount("/var/lib", "/a"), Mount("/var/lib/registry", "/b")), (), "/b"),
        ((Mount("/images", "/i"), VOLUME), (f"{ROOT}=/images/x",), "/i/x"),
        ((Mount("/var/lib/registry2", "/data"),), (), ""),
        ((), (), ""),
    ],
)
def test_where_the_images_are_on_the_host(mounts, variables, source):
    found = foreign.parse(lines(*mounts, variables=variables))
    assert (found.source, found.obstacle) == (source, "")
    assert foreign.parse(lines(VOLUME, config="", variables=(f"{ROOT}=/x",))).root == "/x"


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({"variables": ("REGISTRY_STORAGE=s3",)}, "it keeps its images by the driver s3"),
        ({"variables": ("REGISTRY_STORAGE_S3=",)}, "it keeps its images by the driver s3"),
        ({"config": "storage: {s3: {region: a}}\n"}, "it keeps its images by the driver s3"),
        ({"config": ""}, "its configuration cannot be read"),
        ({"config": "a: [\n"}, "its configuration cannot be read"),
        ({"remove": True}, "it was run with --rm"),
        ({"swarm": "reg"}, "it belongs to the Swarm service reg"),
        ({"pod": "reg-0"}, "it belongs to the Kubernetes pod reg-0"),
        ({"starter": "myreg"}, "the unit myreg starts it again"),
        ({"starter": ""}, "a running `docker run` starts it again"),
    ],
)
def test_what_cannot_stand_aside(changes, obstacle):
    found = foreign.parse(lines(VOLUME, **changes))
    assert found.obstacle.startswith(obstacle)
    assert found.advice


@pytest.mark.parametrize(
    ("mounts", "unit", "said", "advice"),
    [
        ((Mount("/var/lib/registry", "/srv/a"),), "", "Podman runs it", 'storage = "/srv/a"'),
        ((Mount("/var/lib/registry", "/srv/a"),), "reg", "Podman runs it", "disable --now reg`"),
        ((), "", "its images are inside the container", "podman cp old:/var/lib/registry"),
    ],
)
def test_a_container_of_podmans_is_taken_over_by_hand(mounts, unit, said, advice):
    found = foreign.parse([*lines(*mounts), f"@conmon {unit}"])
    assert said in found.obstacle
    assert advice in found.advice


def test_what_is_no_registry_is_none():
    assert foreign.parse([line for line in lines(VOLUME) if line != "@registry 9"]) is None
    assert foreign.parse(["@process 7 nginx"]) is None


def test_a_service_of_the_host():
    said = ["@process 9 docker-registry", "@managed docker-registry enabled", "@registry 9"]
    config = "storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}\n"
    said += [f"@config {base64.b64encode(config.encode()).decode()}"]
    root = "/var/lib/docker-registry"
    expected = Foreign(
        "unit", "docker-registry", "docker-registry", "enabled",
        driver="filesystem", root=root, source=root,
    )  # fmt: skip
    assert foreign.parse(said) == expected
    said[1] = "@managed - disabled"
    assert foreign.parse(said).obstacle == "no service manager runs it"


def test_an_answer_that_cannot_be_parsed_is_no_registry():
    said = [
        "@begin m",
        "@process 7 x",
        "@container old a ",
        "@registry 9",
        "@inspected {",
        "@end m",
    ]
    assert ports.parse("h", said, "m").registry is None
    assert frame.framed(said, "m").ended
