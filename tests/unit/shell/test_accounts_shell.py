"""What root does in an account's home, as that account: by every shell, by every way to be it."""

import base64
import hashlib
import json
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from shlex import quote

import pytest
import shells

from regfleet.look import request
from regfleet.touch import protocol as touch

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")

NOBODY = pwd.getpwnam("nobody")
KEY = "reg.example.com:5000"
SECRET = '{"auths": {"roots.example": {"auth": "cm9vdDp4"}}}'
EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())


@pytest.fixture
def place():
    """A directory that everybody may enter: `home` is nobody's, `root` has a file of root's."""
    with tempfile.TemporaryDirectory(prefix="regfleet-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "home").mkdir(mode=0o700)
        (folder / "root").mkdir(mode=0o755)
        (folder / "root/config.json").write_text(SECRET)
        (folder / "root/config.json").chmod(0o600)
        own(folder / "home")
        yield folder


def own(path):
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)


def docker(place, text=None):
    """nobody's file of logins, with this in it."""
    folder = place / "home/.docker"
    folder.mkdir(mode=0o700)
    own(folder)
    file = folder / "config.json"
    if text is not None:
        file.write_text(text)
        file.chmod(0o640)
        own(file)
    return file


def run(shell, place, *calls, before=""):
    """The touch's functions with a place of their own, and nobody at home there."""
    program = touch.program("docker").replace(
        "\nBASE=/var/lib/regfleet\n", f"\nBASE={quote(str(place / 'base'))}\n"
    )
    home = quote(str(place / "home"))
    lines = [
        program,
        f"find_home() {{ case $1 in nobody) home={home} ;; *) home= ;; esac; }}",
        before,
        f"file={home}/.docker/config.json",
        "find_account nobody",
        *calls,
        "",
    ]
    return shells.lines(shell, "\n".join(lines))


WAYS = {
    "setpriv": "",
    "runuser": "setpriv() { false; }",
    "su": "setpriv() { false; }\nrunuser() { false; }",
}


@EVERY_SHELL
@pytest.mark.parametrize("way", WAYS)
def test_an_account_is_become_by_whatever_is_there(shell, way, place):
    if not shutil.which(way):
        pytest.skip(f"{way} is not installed")
    docker(place)
    said = run(
        shell,
        place,
        f'printf \'%s\\n\' \'{{"auth": "eDp5"}}\' | in_home nobody put "$file" {KEY}',
        f'in_home nobody look "$file" {KEY}',
        "exec 9>/dev/null",
        "export LEFT_OVER=1",
        "as_account nobody 'id -un; umask; echo \"$HOME ${LEFT_OVER-}\"; readlink /proc/self/fd/9'",
        f'in_home nobody drop "$file" {KEY}',
        before=WAYS[way],
    )
    assert said == ["ok", "auth eDp5", "nobody", said[3], f"{place}/home ", "empty"]
    assert not list((place / "home/.docker").iterdir())


@EVERY_SHELL
def test_what_is_put_there_is_the_accounts(shell, place):
    file = docker(place)
    put = f'printf \'%s\\n\' \'{{"auth": "eDp5"}}\' | in_home nobody put "$file" {KEY}'
    assert run(shell, place, put) == ["ok"]
    found = file.stat()
    assert (found.st_uid, found.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert found.st_mode & 0o777 == 0o600


SAVE = (
    "saved=$BASE/g",
    'mkdir -p "$saved" && : >"$saved/present" && : >"$saved/absent" && : >"$saved/made"',
    'keep_home nobody "$file" && account=nobody && keep_ways nobody "$file"',
    'echo "kept $?"',
)
BACK = (
    "from=$saved",
    'each restore_one "$(cat "$saved/present")"',
    'each forget_one "$(cat "$saved/absent")"',
    'each unmake "$(cat "$saved/made")"',
)


@EVERY_SHELL
def test_a_file_comes_back_with_its_mode_and_owner(shell, place):
    text = '{"x":\n\n"before"}\n\n'
    file = docker(place, text)
    put = f'printf \'%s\\n\' \'{{"auth": "eDp5"}}\' | in_home nobody put "$file" {KEY}'
    assert run(shell, place, *SAVE, put, *BACK) == ["kept 0", "ok"]
    assert file.read_text() == text
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (NOBODY.pw_uid, 0o640)
    assert (place / "base/g/files").is_dir()


@EVERY_SHELL
def test_what_was_not_there_goes_again(shell, place):
    put = f'printf \'%s\\n\' \'{{"auth": "eDp5"}}\' | in_home nobody put "$file" {KEY}'
    assert run(shell, place, *SAVE, put, *BACK) == ["kept 0", "ok"]
    assert not list((place / "home").iterdir())


@EVERY_SHELL
def test_a_link_that_comes_after_the_look_leads_root_nowhere(shell, place):
    """To a file that the account cannot read: it is neither saved nor written."""
    docker(place).symlink_to(place / "root/config.json")
    said = run(shell, place, *SAVE)
    assert "cannot be read by nobody" in said[0]
    assert said[-1] == "kept 1"
    saved = [path for path in (place / "base/g/files").rglob("*") if path.is_file()]
    assert saved == []
    put = f'printf \'%s\\n\' \'{{"auth": "eDp5"}}\' | in_home nobody put "$file" {KEY}'
    assert run(shell, place, put) == ["unreadable"]
    untouched(place)


def untouched(place):
    root = place / "root/config.json"
    assert (root.read_text(), root.stat().st_uid) == (SECRET, 0)


@EVERY_SHELL
@pytest.mark.parametrize("homes", [True, False], ids=["noted", "of a version before"])
def test_a_generation_is_put_back_through_no_link(shell, homes, place):
    """What was saved from a home, and what was not there, when the home leads elsewhere now."""
    saved = place / "base/g"
    file = place / "home/.docker/config.json"
    kept = saved / f"files{file}"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    own(kept)
    (place / "home/.docker").symlink_to(place / "root")
    if homes:
        (saved / "homes").write_text(f"{file}\tnobody\n{file.parent}\tnobody\n")
    calls = (f"saved={saved} from={saved}", f'getent() {{ echo "nobody:x:1:1::{place}/home:"; }}')
    for call in ("restore_one", "forget_one", "unmake"):
        said = run(shell, place, *calls, f'broken=; {call} "$file"; echo "broken $broken"')
        assert said[-1] == "broken "
        if call != "unmake":
            assert "was not put back" in said[0]
    assert (place / "root").is_dir()
    untouched(place)


@EVERY_SHELL
def test_what_root_saved_through_a_link_before_is_given_to_nobody(shell, place):
    """A version before this one copied whatever the link led to."""
    file = docker(place, "{}")
    saved = place / "base/g"
    kept = saved / f"files{file}"
    kept.parent.mkdir(parents=True)
    kept.write_text(SECRET)
    said = run(
        shell, place, f"saved={saved} from={saved}",
        f'getent() {{ echo "nobody:x:1:1::{place}/home:"; }}', 'restore_one "$file"',
    )  # fmt: skip
    assert "it was not a file of that account" in said[0]
    assert file.read_text() == "{}"


@EVERY_SHELL
@pytest.mark.parametrize("what", ["pipe", "sparse", "directory", "device"])
def test_what_is_no_file_to_read_is_said_and_waited_for_by_nobody(shell, what, place):
    file = docker(place)
    match what:
        case "pipe":
            os.mkfifo(file)
            own(file)
        case "sparse":
            with file.open("w") as opened:
                opened.truncate(50 << 30)
            own(file)
        case "directory":
            file.mkdir()
        case "device":
            file.symlink_to("/dev/zero")
    said = run(shell, place, f'in_home nobody look "$file" {KEY}')
    assert said == ["too-large" if what == "sparse" else "not-a-file"]


@EVERY_SHELL
def test_a_home_that_closes_while_it_is_read_is_left_in_time(shell, place):
    """A program of the account's that never ends, and one that says too much."""
    said = run(
        shell,
        place,
        "{ within 2 sleep 50; } 2>/dev/null; echo ended",
        "home_program='head -c 3000000 /dev/zero'",
        'in_home nobody look "$file" x | wc -c | tr -d " "',
    )
    assert said == ["ended", "1100000"]


# ---- an account that writes into the answers of the processes that run as it ----

FORGED = "auth eDp5\nwhole\towned\t/srv/forged\n@outcome changed"


def answering(text):
    """What stands in the place of home.sh: such an answer."""
    return f"home_program={quote(f'printf %s {quote(text)}')}"


@EVERY_SHELL
@pytest.mark.parametrize("answer", [FORGED, "helper x\n@outcome changed", "auth a\tb", "helper -x"])
def test_an_account_makes_up_no_line_of_ours(shell, answer, place):
    """Not of what the look asks for as root, nor of what a touch says, nor a helper's options."""
    login = f"login docker .docker/config.json nobody {KEY} ci eA=="
    said = run(
        shell,
        place,
        answering(answer),
        'saved=$BASE/g; mkdir -p "$saved"; : >"$saved/present"; : >"$saved/made"',
        'echo "$file" >"$saved/absent"',
        f"logout docker .docker/config.json nobody {KEY}",
        "failed=; prove() { value=x; }; private_directory() { private=$BASE; }",
        login,
        f'copy_login nobody .docker/config.json {KEY} "$BASE/copy" || echo "$said"',
    )
    assert len(said) == 5
    assert not any("outcome" in line or "whole" in line for line in said), said
    assert "changed" not in (place / "base/copy").read_text()


@EVERY_SHELL
def test_the_proxies_of_an_accounts_containers(shell, place):
    """Put by the account beside its logins, looked at by a digest alone, taken out again."""
    text = '{"auths": {"reg.example.com:5000": {"auth": "eDp5"}}}'
    file = docker(place, text)
    value = '{"httpsProxy": "http://me:sesame@p:1"}'
    encoded = base64.b64encode(value.encode()).decode()
    before = 'saved=$BASE/g; mkdir -p "$saved"; for each in present absent made; do'
    before += ' : >"$saved/$each"; done'
    put = f"login docker .docker/config.json nobody @proxies '' {encoded}"
    assert run(shell, place, before, put) == []
    assert json.loads(file.read_text()) == {
        **json.loads(text),
        "proxies": {"default": json.loads(value)},
    }
    assert (file.stat().st_mode & 0o777, file.stat().st_uid) == (0o600, NOBODY.pw_uid)
    lines = [
        request.program("docker"),
        f"find_home() {{ home={quote(str(place / 'home'))}; }}",
        "look_login nobody @proxies salt .docker/config.json",
        "answer_requests",
        "",
    ]
    digest = hashlib.sha256(f"salt{value}\n".encode()).hexdigest()
    assert shells.lines(shell, "\n".join(lines)) == [f"@login nobody @proxies {digest}"]
    assert run(shell, place, before, "logout docker .docker/config.json nobody @proxies") == []
    assert file.read_text() == text


@EVERY_SHELL
def test_an_account_has_nothing_else_looked_at(shell, place):
    """What the look asks for as root: a record of ownership that an account wrote, or a secret."""
    (place / "forged").write_text("forged")
    lines = [
        request.program("docker"),
        f"find_home() {{ home={quote(str(place / 'home'))}; }}",
        answering(f"auth eDp5\nwhole\towned\t{place}/forged"),
        f"look_login nobody {KEY} salt .docker/config.json",
        "answer_requests",
        "",
    ]
    said = shells.lines(shell, "\n".join(lines))
    assert len(said) == 1
    assert "obstacle" in said[0]


@EVERY_SHELL
def test_an_account_is_asked_for_each_of_its_logins(shell, place):
    docker(place, '{"auths": {"r0.test": {"auth": "eDp5"}, "r1.test": {"auth": "eDp5"}}}')
    lines = [
        request.program("docker"),
        f"find_home() {{ home={quote(str(place / 'home'))}; }}",
        *(f"look_login nobody r{number}.test salt .docker/config.json" for number in range(3)),
        "answer_requests",
        "",
    ]
    said = shells.lines(shell, "\n".join(lines))
    assert [line.split()[:3] for line in said] == [
        ["@login", "nobody", f"r{n}.test"] for n in (0, 1)
    ]


@EVERY_SHELL
def test_an_account_that_gives_no_answer_is_asked_once(shell, place):
    """A look has ninety seconds for a host, and an account may have the login of ten registries."""
    lines = [
        request.program("docker"),
        f"find_home() {{ home={quote(str(place / 'home'))}; }}",
        f"home_program={quote(f'echo asked >>{place}/home/asked')}",
        *(f"look_login nobody r{number}.test salt .docker/config.json" for number in range(3)),
        "",
    ]
    said = shells.lines(shell, "\n".join(lines))
    assert [line.split()[3] for line in said] == ["obstacle"] * 3
    assert (place / "home/asked").read_text() == "asked\n"


@EVERY_SHELL
def test_an_account_is_noted_for_no_path_of_anothers(shell, place):
    """Whoever is noted for a path is given, on the way back, what was saved of it."""
    docker(place, "{}")
    mine, others = f"{place}/home/.docker", f"{place}/other/.docker"
    lines = [f"{others}/config.json", mine, f"{place}/home", "/", f"{mine}/config.json", "", "\t7"]
    said = run(
        shell, place,
        'saved=$BASE/g; mkdir -p "$saved"; : >"$saved/made"; : >"$saved/homes"; account=nobody',
        answering("".join(f"{line}\t700\n" for line in lines)),
        'keep_ways nobody "$file"; each leave_way "$(in_home nobody way "$file")"',
        'cat "$saved/made" "$saved/homes" "$saved/left"',
    )  # fmt: skip
    assert said == [mine, f"{mine}\tnobody", f"{mine}\tnobody", f"{mine}\t700\tnobody"]


@EVERY_SHELL
def test_an_account_has_not_the_terminal_of_root(shell, place):
    """On the machine itself that would be the terminal of whoever runs regfleet."""
    own_session = "read -r _ _ _ _ _ session _ </proc/self/stat; echo $session"
    said = run(shell, place, own_session, f"as_account nobody '{own_session}'")
    assert len(said) == 2
    assert said[0] != said[1]
