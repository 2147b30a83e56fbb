"""An engine that is started for test hosts, and what it leaves on the machine: nothing."""

import subprocess
from pathlib import Path

import pytest

from regfleet.errors import RegfleetError
from regfleet.rehearse import engine as engines

# It takes a snapshot of the machine's packet filter, and goes back to it.
pytestmark = pytest.mark.alone


@pytest.fixture
def docker0():
    """The bridge of the machine's own Docker, or a stand-in where it has none."""
    path = Path("/sys/class/net/docker0")
    missing = not path.exists()
    if missing:
        subprocess.run(["ip", "link", "add", "docker0", "type", "bridge"], check=True)
    yield path
    if missing and path.exists():
        subprocess.run(["ip", "link", "delete", "docker0"], check=True)


def test_an_engine_of_our_own_comes_and_goes(engine, docker0, tmp_path):
    if engine.own is None:
        pytest.skip("the machine's engine runs; a second one would meddle with its firewall rules")
    own = engines.OwnEngine(tmp_path / "engine")
    pids = set()
    try:
        for _ in range(2):  # the second time it finds its own traces, and docker0 was in danger
            own.start()
            assert own.docker.answers()
            assert docker0.exists()
            pids.add(own.pid())
            own.stop()
            assert own.pid() is None
    finally:
        own.remove()
    assert len(pids) == 2
    assert docker0.exists()
    for left in (own.runtime, own.directory, Path("/sys/class/net", own.bridge)):
        assert not left.exists()
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    assert own.bridge not in rules


def test_it_runs_behind_a_link_and_is_not_taken_for_another(engine, images, tmp_path):
    """The same directory by two paths is one engine; another one's data is not touched."""
    if engine.own is None:
        pytest.skip("the machine's engine runs; a second one would meddle with its firewall rules")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    own = engines.OwnEngine(tmp_path / "link" / "engine")
    try:
        own.start()
        pid = own.pid()
        own.docker.run("load", "--quiet", "--input", str(images.seeds().busybox))
        said = own.docker.run("run", "--rm", "--network=none", "busybox", "echo", "it runs")
        assert said == "it runs"
        same = engines.OwnEngine(tmp_path / "real" / "engine")
        same.start()
        assert same.pid() == pid
        moved = tmp_path / "real" / "moved"
        moved.mkdir()
        (moved / "data").symlink_to(own.directory / "data")
        with pytest.raises(RegfleetError, match="another Docker engine uses"):
            engines.OwnEngine(moved).start()
        assert own.docker.answers()
    finally:
        own.remove()
