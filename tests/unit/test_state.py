"""The state directory: laid lazily, private, whole files, one holder."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from regfleet.errors import StateError
from regfleet.state import StagedState, StateDirectory


@pytest.fixture
def state(tmp_path):
    return StateDirectory.beside(tmp_path / "fleet.toml", "acme")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def everything(path):
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


class TestPlace:
    def test_is_beside_the_fleet_file(self, tmp_path):
        state = StateDirectory.beside(tmp_path / "fleet.toml", "acme")
        assert state.path == tmp_path / ".regfleet" / "acme"

    def test_a_relative_fleet_file_gives_an_absolute_place(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert StateDirectory.beside(Path("f.toml"), "a").path == tmp_path / ".regfleet" / "a"

    def test_a_given_place_wins_and_its_symlinks_are_followed(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        state = StateDirectory.beside(tmp_path / "fleet.toml", "acme", tmp_path / "link")
        state.write("x", b"1")
        assert (tmp_path / "real" / "x").read_bytes() == b"1"

    @pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a\0b"])
    def test_no_name_leads_out_of_it(self, state, name):
        with pytest.raises(StateError):
            state.write(name, b"")
        with pytest.raises(StateError):
            state.read(name)


class TestFiles:
    def test_reading_leaves_no_trace(self, state, tmp_path):
        assert state.read("ca.key") is None
        assert state.read_text("deep/er") is None
        assert everything(tmp_path) == []

    def test_the_first_write_lays_it_private_and_ignored(self, state):
        old = os.umask(0)
        try:
            state.write("passwords/main/ci", b"secret")
        finally:
            os.umask(old)
        assert everything(state.path) == [
            ".gitignore",
            "passwords",
            "passwords/main",
            "passwords/main/ci",
        ]
        assert (state.path / ".gitignore").read_text() == "*\n"
        for path in (state.path, state.path / "passwords", state.path / "passwords" / "main"):
            assert mode(path) == 0o700
        assert mode(state.path / "passwords/main/ci") == 0o600

    def test_git_sees_nothing_of_it(self, state, tmp_path):
        state.write("ca.key", b"secret")
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
        listed = subprocess.run(
            ["git", "-C", tmp_path, "status", "--porcelain", "-uall"],
            check=True,
            capture_output=True,
        )
        assert listed.stdout == b""

    @pytest.mark.parametrize("wanted", [0o600, 0o644, 0o400])
    def test_the_mode_is_what_was_asked_whatever_the_umask(self, state, wanted):
        old = os.umask(0o077)
        try:
            state.write("report.html", b"", wanted)
        finally:
            os.umask(old)
        assert mode(state.path / "report.html") == wanted

    def test_what_was_written_is_read(self, state):
        state.write("a", bytes(range(256)))
        state.write_text("b", "grüße\n")
        assert state.read("a") == bytes(range(256))
        assert state.read_text("b") == "grüße\n"

    def test_a_write_replaces_the_file_and_leaves_nothing_else(self, state):
        state.write("a", b"old")
        os.link(state.path / "a", state.path / "witness")
        state.write("a", b"new")
        assert state.read("a") == b"new"
        assert state.read("witness") == b"old", "the old file was written into, not replaced"
        assert everything(state.path) == [".gitignore", "a", "witness"]

    def test_not_text_is_told(self, state):
        state.write("a", b"\xff\xfe")
        with pytest.raises(StateError, match="not the text"):
            state.read_text("a")


# What somebody else may have laid there is refused, for reading as for writing.


@pytest.fixture
def refused(state):
    """Expects that the file is neither read nor written, and gives back the error."""

    def refuse(name="registry/main.key", match=""):
        caught = []
        for use in (lambda: state.read(name), lambda: state.write(name, b"new")):
            with pytest.raises(StateError, match=match) as each:
                use()
            caught.append(each.value)
        assert caught[0].hint
        return caught[0]

    return refuse


@pytest.fixture
def kept(state):
    state.write("registry/main.key", b"secret")
    return state.path / "registry" / "main.key"


@pytest.mark.parametrize("loose", [0o755, 0o750, 0o770, 0o701])
@pytest.mark.usefixtures("kept")
def test_a_directory_that_others_may_enter(state, refused, loose):
    state.path.chmod(loose)
    assert f"chmod -R go= {state.path}" in refused(match=f"mode {loose:04o}").hint
    with pytest.raises(StateError, match="mode"), state.lock("apply"):
        pass
    with pytest.raises(StateError, match="mode"):
        state.names("registry")


@pytest.mark.parametrize("name", ["a b", "-x", "$(touch x)"])
def test_the_command_that_mends_it_does(tmp_path, name):
    state = StateDirectory.beside(tmp_path / "-a 'place' $(x)" / "fleet.toml", name)
    state.write("registry/main.key", b"secret")
    for path in (state.path, state.path.parent, state.path / "registry/main.key"):
        path.chmod(0o777)
    for _ in range(2):  # the one for the parent, then the one for the directory
        with pytest.raises(StateError) as caught:
            state.read("registry/main.key")
        command = caught.value.hint.partition(": ")[2]
        subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path)
    assert state.read("registry/main.key") == b"secret"


@pytest.mark.parametrize("place", [".regfleet", ".regfleet/acme/registry"])
@pytest.mark.parametrize("loose", [0o775, 0o757])
@pytest.mark.usefixtures("kept")
def test_a_directory_on_the_way_that_others_may_write_to(tmp_path, refused, place, loose):
    (tmp_path / place).chmod(loose)
    refused(match=f"mode {loose:04o}")


def test_others_may_list_what_holds_the_fleets_directories(state, tmp_path, kept):
    (tmp_path / ".regfleet").chmod(0o755)
    assert state.read("registry/main.key") == kept.read_bytes()


def test_it_is_laid_private_under_any_umask(state, tmp_path):
    old = os.umask(0)
    try:
        state.write("registry/main.key", b"")
    finally:
        os.umask(old)
    assert mode(tmp_path / ".regfleet") == 0o700
    assert state.read("registry/main.key") == b""


@pytest.mark.parametrize("loose", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_to(kept, refused, loose):
    kept.chmod(loose)
    assert f"chmod -R go-w {kept}" in refused(match=f"mode {loose:04o}").hint


def test_an_empty_directory_of_any_mode_is_made_private(state):
    state.path.mkdir(parents=True)
    state.path.chmod(0o755)
    assert state.read("a") is None
    assert mode(state.path) == 0o755, "reading leaves no trace"
    state.write("a", b"")
    assert mode(state.path) == 0o700


def test_a_file_with_another_name_elsewhere(kept, tmp_path, state):
    os.link(kept, tmp_path / "elsewhere")
    with pytest.raises(StateError, match="hard links") as caught:
        state.read("registry/main.key")
    command = caught.value.hint.partition(": ")[2]
    subprocess.run(["sh", "-c", command], check=True)
    assert state.read("registry/main.key") == b"secret"


def test_a_pipe_is_not_waited_for(kept, refused):
    kept.unlink()
    os.mkfifo(kept)
    refused(match="not a plain file")


def test_a_file_of_any_length_is_not_read_whole(kept, refused):
    os.truncate(kept, 50 << 30)
    refused(match="longer than")


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.usefixtures("kept")
def test_a_lock_that_leads_elsewhere(state, tmp_path, kind):
    lock = state.path / "lock"
    (tmp_path / "theirs").write_text("keep")
    if kind == "link":
        lock.symlink_to(tmp_path / "theirs")
    else:
        os.mkfifo(lock)
    with pytest.raises(StateError, match=f"{kind}"), state.lock("apply"):
        pass
    assert (tmp_path / "theirs").read_text() == "keep"


@pytest.mark.parametrize("place", [".regfleet", ".regfleet/acme"])
def test_a_symlink_in_the_default_place_is_refused(state, tmp_path, place):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "acme").mkdir(parents=True)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).symlink_to(elsewhere)
    before = everything(elsewhere)
    for use in (lambda: state.read("a"), lambda: state.write("a", b"")):
        with pytest.raises(StateError, match="symbolic link"):
            use()
    assert everything(elsewhere) == before


@pytest.mark.parametrize("name", ["ca.key", "registry/main.key"])
def test_a_symlink_inside_is_refused(state, tmp_path, name):
    state.write("x", b"")
    (tmp_path / "outside").mkdir()
    first = state.path / Path(name).parts[0]
    first.symlink_to(tmp_path / "outside")
    with pytest.raises(StateError, match="symbolic link"):
        state.write(name, b"secret")
    with pytest.raises(StateError, match="symbolic link"):
        state.read(name)


def test_a_file_in_its_place_is_told(state):
    state.path.parent.mkdir()
    state.path.write_text("")
    with pytest.raises(StateError, match="not a directory") as caught:
        state.write("a", b"")
    assert caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("place", ["..", ".", "registry", "registry/main.key"])
@pytest.mark.usefixtures("kept")
def test_what_another_user_owns(state, refused, place):
    os.chown(state.path / place, 65534, 65534)
    assert "chown -R" in refused(match="belongs to user 65534").hint


class TestRefusals:
    def test_no_permission(self, state, tmp_path):
        tmp_path.chmod(0o500)
        root = os.geteuid() == 0
        try:
            if root:
                os.seteuid(65534)
            with pytest.raises(StateError, match="Permission denied") as caught:
                state.write("a", b"")
        finally:
            if root:
                os.seteuid(0)
            tmp_path.chmod(0o700)
        assert "--state-dir" in caught.value.hint

    def test_a_directory_where_a_file_should_be(self, state):
        state.write("a/b", b"")
        with pytest.raises(StateError, match="Is a directory"):
            state.read("a")
        with pytest.raises(StateError, match="Is a directory"):
            state.write("a", b"")
        for use in (lambda: state.write("a/b/c", b""), lambda: state.read("a/b/c")):
            with pytest.raises(StateError, match=r"File exists|not a directory"):
                use()
        assert everything(state.path) == [".gitignore", "a", "a/b"]

    @pytest.mark.parametrize(
        ("options", "prepare", "reason"),
        [
            ("size=16k", "head -c 16384 /dev/zero > filler || true", "No space left on device"),
            ("ro", "true", "Read-only file system"),
        ],
    )
    def test_full_and_read_only_filesystems(self, tmp_path, options, prepare, reason):
        probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "x", tmp_path]
        if subprocess.run(probe, check=False, capture_output=True).returncode != 0:
            pytest.skip("may not mount a tmpfs in a mount namespace of its own")
        script = f"mount -t tmpfs -o {options} x {tmp_path} && cd {tmp_path} && {prepare}"
        program = (
            "import pathlib; from regfleet.state import StateDirectory;"
            f"StateDirectory(pathlib.Path({str(tmp_path)!r}, 's')).write('a', b'x' * 9000)"
        )
        done = subprocess.run(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                f'{script}; exec "$0" -c "$1"',
                sys.executable,
                program,
            ],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )
        last = next(line for line in reversed(done.stderr.splitlines()) if "StateError" in line)
        assert reason in last

    def test_a_failed_write_keeps_the_old_file_and_leaves_no_scrap(self, state):
        state.write("a", b"old")
        with pytest.raises(TypeError):
            state.write("a", "not bytes")
        assert state.read("a") == b"old"
        assert everything(state.path) == [".gitignore", "a"]


class TestStaged:
    """What is written waits in memory until it is kept."""

    @pytest.fixture
    def staged(self, state):
        return StagedState(state.path)

    def test_nothing_is_laid_before(self, staged, tmp_path):
        staged.write("passwords/main/ci", b"secret")
        assert staged.read("passwords/main/ci") == b"secret"
        assert staged.names("passwords/main") == ("ci",)
        assert everything(tmp_path) == []

    def test_then_all_of_it_is_there(self, staged, state):
        state.write("old", b"1")
        for name in ("ca.key", "old", "passwords/main/ci"):
            staged.write(name, b"2", 0o400)
        assert staged.new() == {"ca.key", "passwords/main/ci"}
        staged.keep()
        assert staged.new() == frozenset()
        assert {state.read(name) for name in ("ca.key", "old", "passwords/main/ci")} == {b"2"}
        assert mode(state.path / "ca.key") == 0o400

    def test_no_name_leads_out_of_it(self, staged):
        with pytest.raises(StateError):
            staged.write("../x", b"")

    def test_what_others_may_change_is_refused_here_too(self, staged, state):
        state.write("ca.key", b"1")
        (state.path / "ca.key").chmod(0o666)
        with pytest.raises(StateError, match="mode 0666"):
            staged.read("ca.key")
        staged.write("ca.key", b"2")
        with pytest.raises(StateError, match="mode 0666"):
            staged.keep()


HOLDER = """
import sys, pathlib
from regfleet.state import StateDirectory
with StateDirectory(pathlib.Path(sys.argv[1])).lock("apply"):
    print("held", flush=True)
    sys.stdin.read()
"""


class TestLock:
    @pytest.fixture
    def holder(self, state):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, state.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()
        process.communicate()

    def test_the_second_is_told_who_the_first_is(self, state, holder):
        with pytest.raises(StateError) as caught, state.lock("plan"):
            pass
        assert f"process {holder.pid}, apply, since 20" in caught.value.message
        assert os.uname().nodename in caught.value.message
        assert caught.value.hint

    def test_a_dead_holder_is_no_hindrance(self, state, holder):
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert (state.path / "lock.owner").exists()
        with state.lock("plan"):
            pass
        assert not (state.path / "lock.owner").exists()

    @pytest.mark.usefixtures("holder")
    def test_an_unreadable_owner_is_no_traceback(self, state):
        digits = b'{"pid": ' + b"9" * 5000 + b"}"
        for owner in (b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000, digits):
            state.write("lock.owner", owner)
            with pytest.raises(StateError, match="another regfleet"), state.lock("plan"):
                pass

    @pytest.mark.usefixtures("holder")
    def test_what_the_owner_wrote_is_cut_and_cannot_steer_a_terminal(self, state):
        owner = dict.fromkeys(("user", "host", "pid", "command", "started"), "\x1b]0;x\x07\n" * 99)
        state.write_text("lock.owner", json.dumps(owner))
        with pytest.raises(StateError) as caught, state.lock("plan"):
            pass
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 300

    def test_it_is_free_again_after_an_error(self, state):
        with pytest.raises(ZeroDivisionError), state.lock("apply"):
            raise ZeroDivisionError
        with state.lock("apply"):
            pass

    def test_the_same_process_is_refused_too(self, state):
        with (
            state.lock("apply"),
            pytest.raises(StateError, match="another regfleet"),
            StateDirectory(state.path).lock("plan"),
        ):
            pass
