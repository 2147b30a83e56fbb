"""Where passwords come from, and what is refused."""

import os
import re
import signal
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet import passwords, state_paths
from regfleet.errors import PasswordError
from regfleet.fleet.registries import PasswordSource
from regfleet.state import StateDirectory


@pytest.fixture
def state(tmp_path):
    return StateDirectory(tmp_path / "state")


@pytest.fixture
def resolve(state):
    def call(kind, value="", *, user="ci", save=False, environment=None):
        return passwords.resolve(
            PasswordSource(kind, value),
            state=state,
            registry="main",
            user=user,
            save=save,
            environment=environment,
        ).reveal()

    return call


class TestEnv:
    def test_value_as_it_is(self, resolve):
        assert resolve("env", "P", environment={"P": " pa:ss wörd "}) == " pa:ss wörd "

    def test_the_process_environment_is_the_default(self, resolve, monkeypatch):
        monkeypatch.setenv("P", "x")
        assert resolve("env", "P") == "x"

    @pytest.mark.parametrize(
        ("environment", "message"), [({}, "P is not set"), ({"P": ""}, "P is empty")]
    )
    def test_missing_names_the_variable(self, resolve, environment, message):
        with pytest.raises(PasswordError, match=message) as caught:
            resolve("env", "P", environment=environment)
        assert "'ci'" in caught.value.message
        assert "'main'" in caught.value.message
        assert "export P=" in caught.value.hint


class TestFile:
    @pytest.mark.parametrize(
        ("content", "password"),
        [
            (b"x", "x"),
            (b"x\n", "x"),
            (b"x\r\n", "x"),
            (b" x \n", " x "),
            ("wörd\n".encode(), "wörd"),
        ],
    )
    def test_without_its_last_line_end(self, resolve, tmp_path, content, password):
        (tmp_path / "p").write_bytes(content)
        assert resolve("file", str(tmp_path / "p")) == password

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"x\n\n", "line end"),
            (b"x\ny\n", "line end"),
            (b"x\0y", "NUL"),
            (b"\xff", "not UTF-8"),
        ],
    )
    def test_unfit(self, resolve, tmp_path, content, message):
        (tmp_path / "p").write_bytes(content)
        with pytest.raises(PasswordError, match=message):
            resolve("file", str(tmp_path / "p"))

    def test_missing(self, resolve, tmp_path):
        with pytest.raises(PasswordError, match=f"{tmp_path}/p: No such file"):
            resolve("file", str(tmp_path / "p"))

    def test_a_directory(self, resolve, tmp_path):
        with pytest.raises(PasswordError, match="Is a directory"):
            resolve("file", str(tmp_path))

    def test_unreadable(self, resolve, tmp_path):
        (tmp_path / "p").write_text("x")
        (tmp_path / "p").chmod(0)
        root = os.geteuid() == 0
        try:
            if root:
                os.seteuid(65534)
            with pytest.raises(PasswordError, match="Permission denied"):
                resolve("file", str(tmp_path / "p"))
        finally:
            if root:
                os.seteuid(0)


class TestCommand:
    @pytest.mark.parametrize(
        ("command", "password"),
        [
            ("printf x", "x"),
            ("echo x", "x"),
            (r"printf 'x\r\n'", "x"),
            (r"printf 'x\nuser: ci\n'", "x"),
            ("echo x | tr x y", "y"),
            ("echo noise >&2; echo x", "x"),
            ("cat; echo x", "x"),
        ],
    )
    def test_first_line(self, resolve, command, password):
        assert resolve("command", command) == password

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            ("echo s3cret; echo first >&2; echo last >&2; exit 3", "exit code 3: last\n"),
            ("echo s3cret; exit 1", "exit code 1\n"),
            ("no-such-program-here", "exit code 127: .*not found"),
            ("kill -9 $$", "exit code -9"),
            ("true", "is empty"),
            ("echo; echo s3cret", "is empty"),
            (r"printf '\377'", "not UTF-8"),
        ],
    )
    def test_failure_tells_stderr_and_never_stdout(self, resolve, command, message):
        with pytest.raises(PasswordError, match=message) as caught:
            resolve("command", command)
        assert "s3cret" not in str(caught.value).replace(repr(command), "")

    @pytest.mark.parametrize("command", ["yes", "yes >&2"])
    def test_an_endless_one_takes_no_memory(self, resolve, command, monkeypatch):
        monkeypatch.setattr(passwords, "COMMAND_TIMEOUT", 2)
        tracemalloc.start()
        with pytest.raises(PasswordError, match=r"more than 64 KiB|not finished"):
            resolve("command", command)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 4 << 20

    def test_a_hanging_one_is_ended_with_its_children(self, resolve, tmp_path, monkeypatch):
        monkeypatch.setattr(passwords, "COMMAND_TIMEOUT", 2)
        with pytest.raises(PasswordError, match="not finished"):
            resolve("command", f"sleep 600 & echo $! > {tmp_path}/child; wait")
        child = int((tmp_path / "child").read_text())
        for _ in range(200):
            if not _runs(child):
                return
            time.sleep(0.05)
        os.kill(child, signal.SIGKILL)
        pytest.fail("the command's child lives on")


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestGenerate:
    def test_is_random_url_safe_and_of_128_bits_at_least(self, resolve):
        made = {resolve("generate") for _ in range(50)}
        assert len(made) == 50
        # 6 bits to a character
        assert all(re.fullmatch("[A-Za-z0-9_-]{22,72}", password) for password in made)

    def test_is_made_once(self, resolve, state):
        made = resolve("generate", save=True)
        assert resolve("generate", save=True) == made
        assert resolve("generate", save=False) == made
        kept = state.path_of("passwords/main/ci")
        assert kept.read_text() == f"{made}\n"
        assert kept.stat().st_mode & 0o777 == 0o600

    def test_is_not_kept_unless_asked(self, resolve, state):
        resolve("generate")
        assert not state.path.exists()

    def test_a_kept_one_that_was_emptied_is_told(self, resolve, state):
        state.write("passwords/main/ci", b"\n")
        with pytest.raises(PasswordError, match="is empty"):
            resolve("generate", save=True)

    @pytest.mark.parametrize("user", ["../../x", ".", "..", "a/b", "a b", "ü", ".gitignore", "%2E"])
    def test_any_user_name_has_a_file_of_its_own(self, resolve, state, user):
        plain, odd = resolve("generate", save=True), resolve("generate", user=user, save=True)
        assert resolve("generate", user=user) == odd != plain
        assert len(list(state.path_of("passwords/main").iterdir())) == 2


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_two_names_share_a_file(one, other):
    try:
        names = [state_paths._as_file_name(name) for name in (one, other)]
    except UnicodeEncodeError:
        return
    assert (names[0] == names[1]) == (one == other)
    assert all("/" not in name and name not in (".", "..") for name in names)


@pytest.mark.parametrize(
    ("password", "fits"),
    [("x" * 72, True), ("x" * 73, False), ("ü" * 36, True), ("ü" * 37, False), ("\udcff", False)],
)
def test_bcrypt_takes_72_bytes(resolve, password, fits):
    if fits:
        assert resolve("env", "P", environment={"P": password}) == password
    else:
        with pytest.raises(PasswordError):
            resolve("env", "P", environment={"P": password})


def test_no_message_shows_a_password(resolve):
    with pytest.raises(PasswordError) as caught:
        resolve("env", "P", environment={"P": "hunter2" * 11})
    assert "hunter2" not in str(caught.value)
