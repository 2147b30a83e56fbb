"""What ends a collection, whoever calls it: in which order, and what it waits for."""

import subprocess
import threading
import time
from pathlib import Path

import pytest
from shells import COMMANDS, parameters

END = Path(__file__).parents[3] / "src/regfleet/jobs/collection_end.sh"


@pytest.fixture
def place(tmp_path):
    """The directory of a collection that was begun."""
    place = tmp_path / "base/collecting/regfleet-main"
    place.mkdir(parents=True)
    marker = tmp_path / "marker"
    marker.touch()
    for name, text in {
        "config": tmp_path / "config.yml",
        "storage": tmp_path / "storage",
        "marker": marker,
    }.items():
        (place / name).write_text(f"{text}\n")
    (place / "restart").write_text(f"cat {tmp_path}/meet/reg1 >{tmp_path}/seen 2>/dev/null; :\n")
    (tmp_path / "storage/docker/registry").mkdir(parents=True)
    (tmp_path / "meet").mkdir()
    return place


def ended(shell, place):
    words = [*COMMANDS[shell][:-1], str(END), str(place)]
    subprocess.run(words, check=True, timeout=60)
    assert not place.exists()


@pytest.mark.parametrize("shell", parameters())
def test_what_still_deletes_is_ended_first(shell, place):
    deleting = subprocess.Popen(["sleep", "100"])
    stat = Path(f"/proc/{deleting.pid}/stat").read_text().rpartition(")")[2].split()
    (place / "program").write_text(f"{deleting.pid} {stat[19]}\n")
    ended(shell, place)
    assert deleting.wait(5) == -9


@pytest.mark.parametrize("shell", parameters())
def test_a_process_of_the_same_number_is_left_alone(shell, place):
    other = subprocess.Popen(["sleep", "100"])
    (place / "program").write_text(f"{other.pid} 1\n")
    ended(shell, place)
    assert other.poll() is None
    other.kill()
    other.wait()


@pytest.mark.parametrize("shell", parameters())
@pytest.mark.parametrize("last", ["over", "free.reg2"])
def test_it_waits_for_the_host_that_collects(shell, place, tmp_path, last):
    meet = tmp_path / "meet"
    (place / "meets").write_text(f"{meet}\nreg1\ntoken\nreg2\n")

    def collects():
        for number in range(6):
            (meet / "reg1").write_text(f"token work {number}\n")
            time.sleep(0.2)
        (meet / "reg1").write_text(f"token {last} 9\n")

    (meet / "reg1").write_text("token work 0\n")
    thread = threading.Thread(target=collects)
    thread.start()
    ended(shell, place)
    thread.join()
    assert (tmp_path / "seen").read_text() == f"token {last} 9\n"
    assert (meet / "reg2").read_text() == "token lost 0\n"


@pytest.mark.parametrize("shell", parameters())
def test_another_collection_is_not_waited_for(shell, place, tmp_path):
    (place / "meets").write_text(f"{tmp_path}/meet\nreg1\ntoken\nreg2\n")
    (tmp_path / "meet/reg1").write_text("other work 1\n")
    ended(shell, place)
    assert not (tmp_path / "meet/reg2").exists()


@pytest.mark.parametrize("shell", parameters())
def test_a_file_that_is_just_being_written_says_nothing(shell, place, tmp_path):
    """The host that collects would take `lost` for the end of what it waits for."""
    meet = tmp_path / "meet"
    (place / "meets").write_text(f"{meet}\nreg1\ntoken\nreg2\n")
    (meet / "reg1").touch()
    (meet / "reg2").write_text("token holds 7\n")
    thread = threading.Timer(1.0, (meet / "reg1").write_text, ["token free.reg2 9\n"])
    thread.start()
    ended(shell, place)
    thread.join()
    assert (tmp_path / "seen").read_text() == "token free.reg2 9\n"
    assert (meet / "reg2").read_text() == "token holds 7\n"
