"""Which packages an engine is installed from, by distribution; and what stands in its way."""

from dataclasses import replace

import pytest
from making import desired, engine, observed

from regfleet.engines import installation
from regfleet.engines.containerd import PROGRAM as CONTAINERD
from regfleet.engines.docker import PROGRAM as DOCKER
from regfleet.engines.podman import PROGRAM as PODMAN
from regfleet.errors import HostError
from regfleet.model.observed import OtherEngine
from regfleet.model.plan import InstallEngine

HOSTS = {
    "debian": ("apt-get", "debian", "13"),
    "ubuntu": ("apt-get", "ubuntu", "24.04"),
    "fedora": ("dnf", "fedora", "41"),
    "rhel 9": ("dnf", "rhel", "9.4"),
    "rocky 8": ("dnf", "rocky", "8.10"),
    "centos 7": ("yum", "centos", "7"),
    "amazon": ("dnf", "amzn", "2023"),
    "leap": ("zypper", "opensuse-leap", "15.6"),
    "alpine": ("apk", "alpine", "3.20"),
    "arch": ("pacman", "arch", ""),
    "nixos": ("", "nixos", "24.05"),
}
NONE = 'engine = "podman"'
INSTALLED = {
    "debian": (("docker.io", "docker-cli?"), ("containerd",), ("podman",)),
    "ubuntu": (("docker.io", "docker-cli?"), ("containerd",), ("podman",)),
    "fedora": (("moby-engine",), ("containerd",), ("podman",)),
    "rhel 9": (NONE, NONE, ("podman",)),
    "rocky 8": (NONE, NONE, ("podman",)),
    "centos 7": (("docker",), ("containerd",), ("podman",)),
    "amazon": (("docker",), ("containerd",), ("podman",)),
    "leap": (("docker",), ("containerd",), ("podman",)),
    "alpine": (("docker",), ("containerd",), ("podman",)),
    "arch": (("docker",), ("containerd",), ("podman",)),
    "nixos": ("by hand", "by hand", "by hand"),
}


def on(name, **changes):
    manager, os, version = HOSTS[name]
    return observed(packages=manager, os=os, os_version=version, **changes)


@pytest.mark.parametrize("name", HOSTS)
def test_each_distribution_has_its_own_packages(name):
    for program, expected in zip((DOCKER, CONTAINERD, PODMAN), INSTALLED[name], strict=True):
        if isinstance(expected, str):
            with pytest.raises(HostError) as caught:
                installation.install(program, desired(install=True), on(name))
            assert expected in caught.value.hint
        else:
            step = installation.install(program, desired(install=True), on(name))
            assert (step.packages, step.repository) == (expected, ("", ""))


def test_the_refusal_gives_the_choice():
    with pytest.raises(HostError) as caught:
        installation.install(DOCKER, desired(install=True), on("rhel 9"))
    assert "rhel 9.4 has no package of it" in caught.value.message
    for choice in ('runtime = "podman"', 'install = "docker-ce"', "by hand"):
        assert choice in caught.value.hint


@pytest.mark.parametrize(
    ("name", "program", "expected"),
    [
        ("rhel 9", DOCKER, ("centos", "docker-ce")),
        ("rocky 8", CONTAINERD, ("centos", "containerd.io")),
        ("fedora", DOCKER, ("fedora", "docker-ce")),
        ("fedora", PODMAN, None),
        ("debian", DOCKER, None),
        ("alpine", DOCKER, None),
        ("amazon", DOCKER, None),
    ],
)
def test_the_vendors_repository_where_it_is_declared(name, program, expected):
    want = desired(install=True, vendor=True)
    if expected is None:
        with pytest.raises(HostError, match="is for Docker and containerd on Fedora and Red Hat"):
            installation.install(program, want, on(name))
        return
    step = installation.install(program, want, on(name))
    path, text = step.repository
    assert path == "/etc/yum.repos.d/docker-ce.repo"
    assert f"/linux/{expected[0]}/$releasever/$basearch/stable\n" in text
    assert step.packages[0] == expected[1]


@pytest.mark.parametrize(
    ("instead", "said", "hint"),
    [
        ("rootless ops /run/user/1000/docker.sock", "for the account ops alone", 'account = "ops"'),
        ("podman /usr/bin/docker", "/usr/bin/docker is Podman", 'engine = "podman"'),
        ("socket /var/run/docker.sock", "something listens at /var/run", "ss -xlp"),
    ],
)
def test_what_is_there_instead_of_docker_is_named(instead, said, hint):
    seen = on("debian", engine=engine("missing", version="", instead=instead))
    for install in (True, False):
        with pytest.raises(HostError) as caught:
            installation.install(DOCKER, desired(install=install), seen)
        assert said in caught.value.message
        assert hint in caught.value.hint
    step = installation.install(CONTAINERD, desired(install=True), seen)
    assert isinstance(step, InstallEngine)


def test_a_program_in_no_usual_place_is_named():
    there = OtherEngine("missing", facts={"elsewhere": "/srv/bin/containerd"})
    with pytest.raises(HostError, match="there as /srv/bin/containerd"):
        installation.install(
            CONTAINERD, desired(install=True), on("debian", others={"containerd": there})
        )


@pytest.mark.parametrize("more", [{}, {"vendor": True}])
def test_nothing_is_installed_where_usr_is_read_only(more):
    seen = replace(on("fedora"), packages="read-only")
    with pytest.raises(HostError, match=r"/usr is read-only there \(fedora 41\)") as caught:
        installation.install(DOCKER, desired(install=True, **more), seen)
    assert "rpm-ostree install" in caught.value.hint
