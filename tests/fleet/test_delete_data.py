"""What root uses and deletes as a registry's storage, on a host that has more than registries."""

import json

import pytest

FLEET = """
[registry.linked]
hosts = [$reg1]
endpoint = "registry.test:5000"
image_archive = "$registry_tar"
storage = "/srv/linked"

[registry.made]
hosts = [$reg1]
endpoint = "registry.test:5001"
image_archive = "$registry_tar"
storage = "/srv/made"

[registry.shared]
hosts = [$reg1]
endpoint = "registry.test:5002"
image_archive = "$registry_tar"
storage = "/srv/shared"

[registry.mounted]
hosts = [$reg1]
endpoint = "registry.test:5003"
image_archive = "$registry_tar"
storage = "/srv/mounted"

[client.all]
hosts = [$reg1]
registries = ["linked", "made", "shared", "mounted"]

[smoke]
image_archive = "$busybox_tar"
"""
OTHER = """
[registry.other]
hosts = [$reg1]
endpoint = "registry.test:6000"
image_archive = "$registry_tar"
storage = "STORAGE"
"""
REPOSITORY = "docker/registry/v2/repositories/team/app/_manifests"


@pytest.fixture(scope="module")
def host(twin):
    return twin.hosts["reg1"]


@pytest.fixture(scope="module")
def twin(boot_for_module):
    twin = boot_for_module("reg1=registry.test")
    twin.hosts["reg1"].read(
        "mkdir -p /data/linked /data/apart /srv/shared /srv/letters; "
        "ln -s /data/linked /srv/linked; "
        "touch /srv/shared/letter /srv/letters/letter /data/apart/letter; ln -s /etc /srv/evil"
    )
    return twin


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fleets")


@pytest.fixture
def write(twin, place, write_fleet):
    def write(body, name):
        path = place / f"{name}.toml"
        path.write_text(write_fleet(twin, body).read_text().replace('"test"', f'"{name}"'))
        return path

    return write


@pytest.fixture
def other(write, regfleet):
    """Runs a command on another fleet of the host, whose registry has that storage."""

    def run(command, storage, *options):
        fleet = write(OTHER.replace("STORAGE", storage), "other")
        return regfleet(command, fleet, "--json", *options)

    return run


def test_the_system_behind_a_link_is_not_used(host, other):
    before = host.read("ls -A /etc; stat -c '%a %u' /etc")
    for storage in ("/srv/evil", "/srv/evil/images"):
        done = other("apply", storage, "--yes")
        assert done.returncode == 1
        assert "/etc is the system's" in json.loads(done.stdout)["hosts"]["reg1"]["error"]
    assert host.read("ls -A /etc; stat -c '%a %u' /etc") == before


def test_what_is_no_registrys_is_not_deleted(host, other):
    assert other("apply", "/srv/letters", "--yes").returncode == 0
    done = other("destroy", "/srv/letters", "--yes", "--delete-data")
    assert done.returncode == 1
    assert (
        "holds something other than registry images"
        in json.loads(done.stdout)["hosts"]["reg1"]["error"]
    )
    assert other("destroy", "/srv/letters", "--yes").returncode == 0
    assert host.read("ls /srv/letters") == "letter"


def test_only_images_go_and_only_ours(host, write, regfleet, other):
    fleet = write(FLEET, "test")
    done = regfleet("apply", fleet, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for storage in ("/srv/made", "/srv/made/sub"):
        done = other("plan", storage)
        assert "where regfleet-made of the fleet test keeps" in done.stdout, done.stdout
    done = other("apply", "/data/linked/sub", "--yes")  # behind the link of another fleet's
    assert "another registry keeps its images in /data/linked" in done.stdout, done.stdout
    for storage in ("linked", "made", "shared", "mounted"):
        host.read(f"mkdir -p /srv/{storage}/{REPOSITORY}")
    host.read(
        "mkdir /srv/mounted/docker/registry/here; "
        "mount --bind /data/apart /srv/mounted/docker/registry/here"
    )
    asked = regfleet("destroy", fleet, "--delete-data")  # there is nobody to ask
    assert asked.returncode == 2
    assert "data /srv/linked" in asked.stdout
    done = regfleet("destroy", fleet, "--yes", "--delete-data", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    changes = json.loads(done.stdout)["hosts"]["reg1"]["changes"]
    reasons = {c["resource"]: c["reason"] for c in changes if c["resource"].startswith("data ")}
    assert set(reasons) == {f"data /srv/{name}" for name in ("linked", "made", "shared", "mounted")}
    for reason in reasons.values():
        assert reason.startswith(
            "--delete-data: 2 repositories, "
        )  # the smoke test's, and team/app
    assert host.read("readlink /srv/linked; ls -A /data/linked") == "/data/linked"
    assert host.run("test -e /srv/made").returncode == 1
    assert host.read("ls -A /srv/shared") == "letter"
    assert host.read(f"ls -d /srv/mounted/{REPOSITORY}; ls /data/apart").endswith("letter")
