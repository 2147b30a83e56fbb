"""Files in accounts' homes, and an account's own engine: by the account, in every shell."""

import base64
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from shlex import quote

import pytest
import shells

from regfleet.look import request
from regfleet.look.parse import parse
from regfleet.touch import protocol as touch

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")

NOBODY = pwd.getpwnam("nobody")
EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())
PLACE = "~nobody/.config/docker"
HERE = quote(PLACE)  # the shell itself knows homes by a tilde
SECRET = "roots own"


def own(path):
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)


@pytest.fixture
def place():
    """A directory that everybody may enter: `home` is nobody's, `base` root's, as is `secret`."""
    with tempfile.TemporaryDirectory(prefix="regfleet-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for each, mode in (("home", 0o700), ("base", 0o700), ("base/generations", 0o700)):
            (folder / each).mkdir(mode=mode)
        (folder / "secret").write_text(SECRET)
        (folder / "secret").chmod(0o600)
        own(folder / "home")
        yield folder


@pytest.fixture
def home(place):
    return place / "home"


def given(home, text, mode=0o640):
    """The account's daemon.json as it was before us."""
    for each in (home / ".config", home / ".config/docker"):
        each.mkdir(mode=0o755)
        own(each)
    file = home / ".config/docker/daemon.json"
    file.write_text(text)
    file.chmod(mode)
    own(file)
    return file


def run(shell, place, *calls, before="generation"):
    program = touch.program("docker", "rootless").replace(
        "\nBASE=/var/lib/regfleet\n", f"\nBASE={quote(str(place / 'base'))}\n"
    )
    at = quote(str(place / "home"))
    lines = [program, f"find_home() {{ case $1 in nobody) home={at} ;; *) home= ;; esac; }}"]
    return shells.lines(shell, "\n".join([*lines, before, *calls, ""]))


def b64(text):
    return base64.b64encode(text.encode()).decode()


def tree(home):
    found = sorted(home.rglob("*"))
    return {str(each.relative_to(home)): oct(each.lstat().st_mode) for each in found}


@EVERY_SHELL
def test_what_is_written_is_the_accounts_and_goes_back(shell, place, home):
    file = given(home, "{}\n")
    before = tree(home)
    written = (
        f"home_directory {HERE}/certs.d 0700",
        f"home_put {HERE}/certs.d/ca.crt 0444 0 {b64('CA')}",
        f"home_edit {HERE}/daemon.json 0644 1 {b64('{1}')}",
    )
    assert run(shell, place, *written) == []
    assert file.read_text() == "{1}"
    assert file.stat().st_mode & 0o777 == 0o640  # as the account has it
    assert (home / ".config/docker/certs.d/ca.crt").stat().st_mode & 0o777 == 0o444
    assert {each.lstat().st_uid for each in home.rglob("*")} == {NOBODY.pw_uid}
    assert (place / f"base/original/{PLACE}/daemon.json").read_text() == "{}\n"
    saved = place / "base/generations/1"
    run(shell, place, f"put_back {quote(str(saved))} yes", before="docker_pid() { :; }")
    assert tree(home) == before
    assert file.read_text() == "{}\n"
    assert not (place / f"base/original/{PLACE}/daemon.json").exists()


@EVERY_SHELL
def test_what_goes_gives_back_what_was_there(shell, place, home):
    file = given(home, "{}\n")
    run(shell, place, f"home_edit {HERE}/daemon.json 0644 1 {b64('{1}')}")
    shutil.rmtree(place / "base/generations/1")
    run(shell, place, f"home_drop {HERE}/daemon.json")
    assert file.read_text() == "{}\n"
    made = (f"home_directory {HERE}/a 0700", f"home_put {HERE}/a/b 0444 0 {b64('x')}")
    run(shell, place, *made)
    gone = (f"home_drop {HERE}/a/b", f"home_drop_directory {HERE}/a")
    run(shell, place, *gone)
    assert not (home / ".config/docker/a").exists()


@EVERY_SHELL
def test_a_directory_with_other_files_stays(shell, place, home):
    given(home, "{}")
    run(shell, place, f"home_drop_directory {HERE}")
    assert (home / ".config/docker/daemon.json").exists()


@EVERY_SHELL
@pytest.mark.parametrize(
    "call",
    [
        f"home_put {HERE}/daemon.json 0644 0 {b64('x')}",
        f"home_edit {HERE}/daemon.json 0644 1 {b64('x')}",
        f"home_drop {HERE}/daemon.json",
    ],
)
def test_a_link_to_what_is_roots_is_refused(shell, place, home, call):
    file = given(home, "")
    file.unlink()
    file.symlink_to(place / "secret")
    said = run(shell, place, call)
    assert said[0].startswith("@failed")
    assert (place / "secret").read_text() == SECRET
    assert (place / "secret").stat().st_uid == 0


@EVERY_SHELL
def test_a_linked_directory_leads_root_nowhere(shell, place, home):
    """certs.d may be a link to where root alone writes."""
    (home / ".config").symlink_to(place / "base")
    said = run(shell, place, f"home_put {HERE}/certs.d/ca.crt 0444 0 {b64('CA')}")
    assert said[0].startswith("@failed")
    assert sorted(each.name for each in (place / "base").iterdir()) == ["generations"]


@EVERY_SHELL
def test_the_look_tells_of_a_home_what_the_account_may_see(shell, home):
    given(home, '{"a": 1}\n', 0o644)
    paths = [PLACE, f"{PLACE}/daemon.json", f"{PLACE}/none"]
    program = "\n".join([
        request.program("docker", "rootless"),
        f"find_home() {{ home={quote(str(home))}; }}",
        "printf '\\n@begin m\\n@uid 0\\n'",
        f"look_home {' '.join(map(quote, paths))}",
        f"look_home_text {quote(paths[1])}",
        "answer_requests",
        "printf '@end\\n@end m\\n'",
        "",
    ])  # fmt: skip
    seen = parse("web1", shells.lines(shell, program), "m")
    assert set(seen.paths) == set(paths[:2])
    assert (seen.paths[PLACE].directory, seen.paths[PLACE].mode) == (True, 0o755)
    assert seen.paths[paths[1]].digest == hashlib.sha256(b'{"a": 1}\n').hexdigest()
    assert seen.paths[paths[1]].owner == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert seen.texts == {paths[1]: '{"a": 1}\n'}


@EVERY_SHELL
@pytest.mark.parametrize(
    "line",
    ["file 644 0:0 zz", "file x 0:0 ab", "file 644 0 ab", "file 644 0:0:0 ab", "other", "", "file"],
)
def test_no_other_word_of_an_account_stands_in_the_look(shell, line):
    program = request.program("docker", "rootless")
    calls = f"set -f\nprint_home_path '~a/b' {line}\n"
    assert shells.lines(shell, f"{program}\n{calls}") == []


@pytest.fixture
def engine(home):
    """A program of that name which runs as the account, from a directory of the account's."""
    (home / "bin").mkdir(mode=0o755)
    shutil.copy(shutil.which("sleep"), home / "bin/dockerd")
    docker = home / "bin/docker"
    docker.write_text('#!/bin/sh\necho "$(id -un) $DOCKER_HOST $*"\n')
    for each in (home / "bin", docker, home / "bin/dockerd"):
        each.chmod(0o755)
        own(each)
    home.chmod(0o755)
    given = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": "/run/mine"}
    running = subprocess.Popen([home / "bin/dockerd", "600"], user="nobody", env=given)
    yield running
    running.kill()
    running.wait()


@EVERY_SHELL
@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("script", ["yes", "exit 3", "echo '@ended 0'; sleep 600"])
def test_an_engine_that_hangs_floods_or_fails_is_one_that_failed(shell, place, home, script):
    if "sleep" in script and shell != "dash":
        pytest.skip("takes its seconds in one shell")
    (home / "bin/docker").write_text(f"#!/bin/sh\n{script}\n")
    (length,) = run(
        shell,
        place,
        "find_own nobody; ask_own 1 docker version && echo well; echo ${#said}",
        before="",
    )
    assert int(length) < 1_200_000


@EVERY_SHELL
def test_root_runs_nothing_from_where_an_accounts_engine_is(shell, place, home, engine):
    said = run(
        shell,
        place,
        'before=$PATH; find_own nobody; [ "$PATH" = "$before" ] && echo same',
        "echo $pid $own_programs $own_socket",
        'ask_own 20 docker version; echo "$? $said"',
        "command -v dockerd || echo none",
        before="",
    )
    assert said[0] == "same"
    assert said[1] == f"{engine.pid} {home}/bin /run/mine/docker.sock"
    assert said[2] == "0 nobody unix:///run/mine/docker.sock version"
