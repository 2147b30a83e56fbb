"""Whether a storage is shared, as each shell finds out."""

import pytest
import shells

from regfleet import shell as programs

PROGRAM = programs.program("regfleet.look", "shared.sh")
EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
# A directory of the tests is on the root file system, or not: here it is told which.
ELSEWHERE = 'stat() { case "$3" in /) echo 1 ;; *) [ "$2" = %d ] && echo 2 || echo 7 ;; esac; }'
SAME = "stat() { echo 1; }"


def said(shell, call, stat=ELSEWHERE):
    done = shells.run(shell, f"{PROGRAM}\n{stat}\n{call}\n")
    return done.stdout.decode().split("\n")[0]


@EVERY_SHELL
def test_what_one_writes_the_others_read_and_it_goes_again(shell, tmp_path):
    assert said(shell, f"shared_write {tmp_path} run-1") == "@shared ok 7"
    assert (tmp_path / ".regfleet-run-1").stat().st_mode & 0o777 == 0o600
    assert said(shell, f"shared_read {tmp_path} run-1") == "@shared ok 7"
    assert said(shell, f"shared_forget {tmp_path} run-1") == ""
    assert not list(tmp_path.iterdir())


@EVERY_SHELL
def test_what_was_not_written_is_not_seen(shell, tmp_path):
    (tmp_path / ".regfleet-run-1").write_text("another run\n")
    assert said(shell, f"shared_read {tmp_path} run-1") == "@shared unseen"


@EVERY_SHELL
def test_nothing_is_written_where_nothing_is_mounted(shell, tmp_path):
    for call in ("write", "read"):
        assert said(shell, f"shared_{call} {tmp_path}/none run-1") == "@shared missing"
        assert said(shell, f"shared_{call} {tmp_path} run-1", SAME) == "@shared unmounted"
    assert not list(tmp_path.iterdir())
