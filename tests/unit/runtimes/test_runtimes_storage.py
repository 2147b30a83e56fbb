"""Where each runtime lets a registry keep its images: a directory, a shared one, a bucket."""

import json

import pytest
from making import host, material, registry

from regfleet.fleet.registries import S3
from regfleet.model.service import Image
from regfleet.runtimes import RUNTIMES
from regfleet.services import unit_text

HOSTS = (host("reg1"), host("reg2"))
SHARED = {"storage": "/mnt/images", "shared": True, "hosts": HOSTS}
BUCKET = {"storage": "", "s3": S3("images", "eu-central-1")}


def service(runtime, **settings):
    made = registry(runtime=runtime, **settings)
    image = Image("registry:2")
    (found,) = RUNTIMES[runtime].services("acme", made, made.instances[0], material(), image)
    return found


def run_from(made):
    """All that is said of how it is run, as text."""
    if made.run.kind == "unit":
        return unit_text.render(made, made.run)
    return repr(made.run)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_directory_is_mounted_whole(runtime):
    made = service(runtime, storage="/srv/images")
    assert "/srv/images" in run_from(made)
    assert "/srv/images/docker" not in run_from(made)
    assert "/srv/images" in {each.path for each in made.directories}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_of_a_shared_one_what_is_inside_which_is_only_there_while_it_is_mounted(runtime):
    made = service(runtime, **SHARED)
    assert "/mnt/images/docker" in run_from(made)
    paths = {each.path for each in made.directories}
    assert "/mnt/images/docker" in paths
    assert "/mnt/images" not in paths  # regfleet makes no directory in place of a mount
    config = json.loads(next(each.content for each in made.files if "config" in each.path))
    assert config["http"]["draintimeout"] == "8s"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_bucket_needs_no_directory(runtime):
    made = service(runtime, **BUCKET)
    assert "RequiresMountsFor" not in run_from(made)
    assert {each.path for each in made.directories} == {"/etc/regfleet", "/etc/regfleet/main"}
    config = json.loads(next(each.content for each in made.files if "config" in each.path))
    assert "filesystem" not in config["storage"]
    assert config["health"]["storagedriver"]["enabled"]
    assert "draintimeout" not in config["http"]
