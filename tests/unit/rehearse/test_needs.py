"""Refusals on machines that cannot carry hosts: bare directories stand for bare machines."""

import os

import pytest

from regfleet.errors import RegfleetError
from regfleet.rehearse import needs
from regfleet.rehearse.docker import Docker
from regfleet.rehearse.images import Images

KIND = ("bookworm", "docker")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """`machine("dockerd", ...)`: what the check says where these programs are and no engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    def check(*programs, cached=False):
        place = tmp_path / "bin"
        place.mkdir()
        for program in programs:
            (place / program).touch(mode=0o755)
        cache = tmp_path / "images"
        if cached:
            file = Images(Docker(""), cache).root_filesystem(*KIND)
            file.parent.mkdir()
            file.touch()
        with pytest.raises(RegfleetError) as caught:
            needs.check(cache, [KIND], path=str(place))
        return caught.value

    return check


def test_all_that_is_missing_is_told_at_once(machine):
    error = machine("apt-get")
    for program in ("docker", "dockerd", "iptables", "ip", "mmdebstrap"):
        assert program in error.message
    for package in ("docker.io", "iptables", "iproute2", "mmdebstrap"):
        assert package in error.hint
    assert error.hint.startswith("apt-get install ")
    assert error.exit_code == 1


def test_one_thing_is_told_in_the_singular(machine):
    error = machine("apt-get", "docker", "dockerd", "iptables", "ip")
    assert error.message.endswith("mmdebstrap is not installed here")
    assert error.hint == "apt-get install mmdebstrap"


def test_what_builds_images_is_not_wanted_where_they_are_built(machine):
    error = machine("docker", "dockerd", "ip", cached=True)
    assert error.message.endswith("iptables is not installed here")


def test_other_systems_have_other_tools(machine):
    assert "this system's own tools" in machine().hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do it all")
def test_root_is_needed_to_start_an_engine(machine):
    error = machine("docker", "dockerd", "iptables", "ip", "mmdebstrap")
    assert "needs root" in error.message
    assert "sudo" in error.hint
