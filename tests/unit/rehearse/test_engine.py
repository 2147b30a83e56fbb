import fcntl
import os
from pathlib import Path

import pytest

from regfleet.errors import RegfleetError
from regfleet.rehearse import engine
from regfleet.rehearse.engine import OwnEngine, free_pool

HEADER = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def routes(*entries):
    """proc_net(5): addresses are hex words with the first byte last."""
    return HEADER + "".join(
        f"eth0\t{destination}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n"
        for destination, mask in entries
    )


@pytest.mark.parametrize(
    ("table", "pool"),
    [
        (routes(), "10.213.0.0/16"),
        (routes(("00000000", "00000000")), "10.213.0.0/16"),  # the default route is no obstacle
        (routes(("0007D50A", "00FFFFFF")), "10.214.0.0/16"),  # 10.213.7.0/24
        (routes(("0000000A", "000000FF")), "172.30.0.0/16"),  # 10.0.0.0/8
        (routes(("0000000A", "000000FF"), ("0000A8C0", "0000FFFF"), ("000011AC", "0000FFFF")),
         "172.30.0.0/16"),
    ],
)  # fmt: skip
def test_the_first_address_range_that_is_free(table, pool):
    assert free_pool(table) == pool


def test_no_address_range_is_free():
    taken = routes(("0000000A", "000000FF"), ("000010AC", "0000F0FF"), ("0000A8C0", "0000FFFF"))
    with pytest.raises(RegfleetError, match="no address range is left"):
        free_pool(taken)


def test_an_engine_is_known_by_its_command_line_not_by_its_pid(tmp_path):
    own = OwnEngine(tmp_path)
    assert own.pid() is None
    (tmp_path / "docker.pid").write_text("1\n")  # runs, but is not ours
    assert own.pid() is None
    (tmp_path / "docker.pid").write_text("junk")
    assert own.pid() is None


@pytest.mark.parametrize("verb", ["start", "stop", "remove"])
def test_a_directory_that_another_engine_uses_is_left_alone(tmp_path, verb, monkeypatch):
    """As dockerd has it: by a lock on the list of its volumes."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)  # where this test fails nothing is started
    volumes = tmp_path / "data" / "volumes" / "metadata.db"
    network = tmp_path / "data" / "network" / "files"
    for each in (volumes.parent, network):
        each.mkdir(parents=True)
    volumes.touch()
    (tmp_path / "docker.pid").write_text(f"{os.getpid()}\n")
    with volumes.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RegfleetError, match="another Docker engine uses") as caught:
            getattr(OwnEngine(tmp_path), verb)()
    assert "another directory" in caught.value.hint
    assert network.is_dir()
    assert (tmp_path / "docker.pid").exists()


def test_links_on_the_way_to_the_directory_are_resolved(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    own = OwnEngine(tmp_path / "real" / "engine")
    monkeypatch.chdir(tmp_path)
    for other in (OwnEngine(tmp_path / "link" / "engine"), OwnEngine(Path("link/engine"))):
        assert other == own
        assert other.docker == own.docker
        assert str(other.log).startswith(str(tmp_path / "real"))


def test_sockets_fit_however_deep_the_directory_is(tmp_path):
    own = OwnEngine(tmp_path / ("deep/" * 60))
    assert len(own.docker.host.removeprefix("unix://")) < 40
    assert len(own.bridge) < 16
    assert own.bridge != OwnEngine(tmp_path).bridge


def test_a_named_engine_that_does_not_answer_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(RegfleetError, match="DOCKER_HOST names does not answer") as caught:
        engine.connect(tmp_path / "engine")
    assert "unset DOCKER_HOST" in caught.value.hint
    assert not (tmp_path / "engine").exists()
