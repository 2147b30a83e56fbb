import pytest

from regfleet.errors import RegfleetError
from regfleet.rehearse.isolation import cgroup_options, permitted_capabilities, run_options


def status(bounding):
    return f"Name:\tdockerd\nCapEff:\t0000000000000000\nCapBnd:\t{bounding:016x}\n"


@pytest.mark.parametrize(
    ("bounding", "names"),
    [
        (0, ()),
        (0b1, ("CHOWN",)),
        (1 << 21 | 1 << 12, ("NET_ADMIN", "SYS_ADMIN")),
        (1 << 16 | 1 << 25 | 1 << 38 | 1 << 39 | 1 << 40, ()),  # withheld: modules, clock, new ones
        (1 << 24, ("SYS_RESOURCE",)),
    ],
)
def test_capabilities_are_those_of_the_bounding_set(bounding, names):
    assert permitted_capabilities(status(bounding)) == names


def test_a_missing_capability_is_not_asked_for():
    everything = (1 << 41) - 1
    without = permitted_capabilities(status(everything & ~(1 << 24)))
    assert set(permitted_capabilities(status(everything))) - set(without) == {"SYS_RESOURCE"}


@pytest.mark.parametrize(
    ("unified", "systemd", "tmpfs"),
    [(True, True, False), (True, False, False), (False, True, False), (False, False, True)],
)
def test_cgroups(tmp_path, unified, systemd, tmpfs):
    if unified:
        (tmp_path / "cgroup.controllers").touch()
    options = cgroup_options(systemd, tmp_path)
    assert options[0] == "--cgroupns=private"
    assert any(option.startswith(f"--tmpfs={tmp_path}") for option in options) is tmpfs


def test_an_engine_elsewhere_is_refused():
    with pytest.raises(RegfleetError, match=r"DOCKER_HOST is tcp://192\.0\.2\.1:2376"):
        run_options("tcp://192.0.2.1:2376", "docker")


@pytest.mark.parametrize(
    ("variant", "signal"),
    [("docker", "SIGRTMIN+3"), ("bare", "SIGRTMIN+3"), ("sysv", "SIGTERM"), ("openrc", "SIGTERM")],
)
def test_stop_signal(variant, signal):
    assert f"--stop-signal={signal}" in run_options("unix:///run/docker.sock", variant)
