"""The look's shell functions, run for real on files made for it."""

import base64
import hashlib
import http.server
import json
import os
import shutil
import socket
import socketserver
import subprocess
import threading
from shlex import quote

import pytest
import shells
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import desired, login

from regfleet.desired.model import Directory, File
from regfleet.engines import ENGINES
from regfleet.look import request
from regfleet.look.parse import parse

SALT = "5a17"
EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())


def look(shell, *calls):
    """What look.sh says to some calls of its functions, by Perl and without it."""
    program = "\n".join([request.program("docker"), *calls, "tell || :", ""])
    said = shells.lines(shell, program)
    if shell != "busybox" and (shutil.which("curl") or "docker_ask" not in "".join(calls)):
        without = shells.lines(shell, f"perl() {{ return 127; }}\n{program}")
        assert [line for line in without if "@clock" not in line] == [
            line for line in said if "@clock" not in line
        ]
    return said


def login_call(home, entry):
    """The call for a login as `request` writes it, with the account's home replaced."""
    program = request.render(desired(logins=(entry,)), SALT)
    call = next(line for line in program.splitlines() if line.startswith("  look_login"))
    return f"find_home() {{ home={quote(str(home))}; }}\n{call}"


# ---- files ----


@EVERY_SHELL
def test_paths_are_told_with_mode_owner_and_digest(shell, tmp_path):
    names = ["plain", "with space", "it's", "$HOME", "two  spaces", "-n", "*", 'quo"te', "ümlaut"]
    for name in names:
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o640)
    (tmp_path / "folder").mkdir(mode=0o750)
    want = desired(
        directories=(Directory(str(tmp_path / "folder"), 0o755, ""),),
        files=tuple(File(str(tmp_path / name), b"", 0o644, "") for name in [*names, "absent"]),
    )
    call = next(
        line for line in request.render(want, SALT).splitlines() if line.startswith("  look_paths ")
    )
    found = parse("h", ["@uid 0", *look(shell, call), "@end"]).paths
    assert {path.removeprefix(f"{tmp_path}/") for path in found} == {*names, "folder"}
    for name in names:
        seen = found[str(tmp_path / name)]
        assert (seen.directory, seen.mode) == (False, 0o640)
        assert seen.digest == hashlib.sha256(name.encode()).hexdigest()
        assert seen.owner == (os.getuid(), os.getgid())
    assert found[str(tmp_path / "folder")].directory
    assert found[str(tmp_path / "folder")].mode == 0o750


def test_a_look_needs_no_room_on_the_disk():
    """Before 5.1 bash writes a here-document to a file in /tmp, which may be full."""
    words = sorted({engine.shell for engine in ENGINES.values()})
    assert "<<" not in request.program(*words)


@EVERY_SHELL
def test_links_are_followed(shell, tmp_path):
    (tmp_path / "target").write_text("x")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("nowhere")
    said = look(shell, f"look_paths {tmp_path}/link {tmp_path}/dangling")
    assert [line.split(" ")[0] for line in said] == ["@stat", "@sum"]


@EVERY_SHELL
def test_no_path_no_line(shell):
    assert look(shell, "look_paths") == []


@EVERY_SHELL
@pytest.mark.parametrize("content", [b"", b"x", b'{"a": 1}\n', "ü\n\n".encode(), b"\x00" * 5000])
def test_a_whole_file_comes_in_one_line(shell, tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    (line,) = look(shell, f"whole daemon {tmp_path}/file")
    start, name, *rest = line.split(" ")
    assert (start, name) == ("@whole", "daemon")
    assert base64.b64decode("".join(rest), validate=True) == content


@EVERY_SHELL
def test_an_absent_file_is_not_said(shell, tmp_path):
    assert look(shell, f"whole daemon {tmp_path}/none", f"whole daemon {tmp_path}") == []


@EVERY_SHELL
def test_daemon_json_is_found_behind_a_link(shell, tmp_path):
    (tmp_path / "real.json").write_text("{}\n")
    (tmp_path / "daemon.json").symlink_to("real.json")
    said = look(shell, f"look_daemon {tmp_path}/daemon.json")
    assert said == [f"@daemon {tmp_path}/real.json", "@whole daemon e30K"]


@EVERY_SHELL
def test_daemon_json_is_looked_at_where_no_engine_is(shell):
    """It may wait there for the engine: to be merged into, not to be overwritten."""
    said = look(
        shell,
        "command() { return 1; }",
        "look_daemon() { say daemon-was-asked; }",
        "docker_look",
    )
    assert said == ["@daemon-was-asked", "@engine missing"]


@EVERY_SHELL
def test_the_host_says_who_it_is(shell):
    seen = parse("h", [*look(shell, "look_host"), "@end"])
    assert seen.uid == os.getuid()
    assert seen.clock > 1_700_000_000
    assert seen.os


# ---- another touch ----

HOLD = """
exec 9>>"$0"
printf 'ops@control: regfleet, fleet acme since 2030-01-02T03:04:05Z, process %s\\n' $$ >"$0"
echo held
read -r _
"""


@EVERY_SHELL
def test_a_touch_at_work_is_told_from_one_that_was_cut_off(shell, tmp_path):
    lock = tmp_path / "lock"
    call = f"at_work {lock} || say pending"
    assert look(shell, call) == ["@pending"]
    holder = subprocess.Popen(
        ["sh", "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        owner = lock.read_text().strip()
        assert owner.endswith(f"process {holder.pid}")
        (said,) = look(shell, call)
        assert parse("h", ["@uid 0", said, "@end"]).busy == owner
    finally:
        holder.communicate("\n")
    assert look(shell, call) == ["@pending"]


@EVERY_SHELL
def test_another_process_of_the_same_number_is_not_at_work(shell, tmp_path):
    (tmp_path / "lock").write_text(f"ops: regfleet, fleet acme since x, process {os.getpid()}\n")
    assert look(shell, f"at_work {tmp_path}/lock || say pending") == ["@pending"]


# ---- logins ----


def auth_of(entry):
    return base64.b64encode(f"{entry.user}:{entry.password.reveal()}".encode()).decode()


ENTRY = login(endpoint="reg.example.com:5000", user="ci", password="p:ä ss'\"\\w0rd$")
AUTHS = {ENTRY.endpoint: {"auth": auth_of(ENTRY)}}
OTHER = {"auth": base64.b64encode(b"other:x").decode()}
DOCUMENTS = {
    "alone": {"auths": AUTHS},
    "among others": {"auths": {"a.example": OTHER, **AUTHS, "z.example": OTHER}},
    "with an e-mail before": {"auths": {ENTRY.endpoint: {"email": "a@b", **AUTHS[ENTRY.endpoint]}}},
    "with an identity token behind": {
        "auths": {ENTRY.endpoint: {**AUTHS[ENTRY.endpoint], "identitytoken": "t"}}
    },
    "with the rest of the file": {
        "HttpHeaders": {"User-Agent": "x {y}"}, "auths": AUTHS, "proxies": {"default": {}},
    },
}  # fmt: skip
LAYOUTS = {
    "tabs, as docker writes": {"indent": "\t"},
    "spaces": {"indent": 2},
    "compact": {"separators": (",", ":")},
}


@EVERY_SHELL
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_kept_login_is_told_by_its_salted_digest(shell, tmp_path, name, layout):
    (tmp_path / ".docker").mkdir()
    text = json.dumps(DOCUMENTS[name], **LAYOUTS[layout])
    (tmp_path / ".docker" / "config.json").write_text(text)
    said = look(shell, login_call(tmp_path, ENTRY))
    assert said == [f"@login root {ENTRY.endpoint} {request.login_digest(ENTRY, SALT)}"]
    assert auth_of(ENTRY) not in "".join(said)


HELPERS = {
    "store": ({"credsStore": "pass", "auths": {ENTRY.endpoint: {}}}, True),
    "store behind": ({"auths": {ENTRY.endpoint: {}}, "credsStore": "pass"}, True),
    "helper": ({"credHelpers": {ENTRY.endpoint: "pass"}}, True),
    "helper of another": ({"credHelpers": {"a.example": "pass"}}, False),
    "store without the login": ({"credsStore": "pass", "auths": {"a.example": {}}}, False),
    "nothing": ({}, False),
    "another's login": ({"auths": {"a.example": OTHER}}, False),
    "a longer name": ({"auths": {f"my{ENTRY.endpoint}": OTHER}}, False),
    "a dot is a dot": ({"auths": {"regXexample.com:5000": OTHER}}, False),
    "a port more": ({"auths": {f"{ENTRY.endpoint}0": OTHER}}, False),
}


@EVERY_SHELL
@pytest.mark.parametrize("name", HELPERS)
def test_what_a_helper_keeps_is_said_to_be_there(shell, tmp_path, name):
    document, kept = HELPERS[name]
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(document, indent="\t"))
    expected = [f"@login root {ENTRY.endpoint} helper"] if kept else []
    assert look(shell, login_call(tmp_path, ENTRY)) == expected


@EVERY_SHELL
@pytest.mark.parametrize("endpoint", ["reg.example.com", "192.0.2.1:5000", "[2001:db8::1]:5000"])
def test_endpoints_of_every_form(shell, tmp_path, endpoint):
    entry = login(endpoint=endpoint)
    (tmp_path / ".docker").mkdir()
    document = {"auths": {endpoint: {"auth": auth_of(entry)}}}
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(document))
    assert look(shell, login_call(tmp_path, entry)) == [
        f"@login root {endpoint} {request.login_digest(entry, SALT)}"
    ]


@EVERY_SHELL
def test_no_configuration_no_login(shell, tmp_path):
    assert look(shell, login_call(tmp_path, ENTRY)) == []


@EVERY_SHELL
def test_an_account_that_does_not_exist_is_said(shell):
    said = look(
        shell, f"look_login no-such-account-here {ENTRY.endpoint} {SALT} .docker/config.json"
    )
    assert said == [f"@login no-such-account-here {ENTRY.endpoint} no-account"]


@EVERY_SHELL
def test_root_is_at_home(shell):
    assert look(shell, "home_of root", "HOME=/elsewhere", "home_of root") == ["/root", "/root"]


@EVERY_SHELL
@pytest.mark.parametrize(
    "account", ["", "-", "+", "a b", "$(echo x >&2)", "~", "root;id", "*", "no-such"]
)
def test_what_is_no_account_is_at_home_nowhere(shell, account):
    assert [line for line in look(shell, f"home_of {quote(account)}") if line] == []


# ---- the engine ----


@EVERY_SHELL
def test_flags_are_told_one_by_one(shell, tmp_path):
    arguments = ["dockerd", "-H", "fd://", "--label=a b", "*", "--config-file", "/a b.json", "-D"]
    process = subprocess.Popen(
        ["sh", "-c", "echo up; read -r _", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "up\n"
        said = look(shell, "config=none", f"look_flags {process.pid}", 'say "config $config"')
    finally:
        process.communicate("\n")
    assert said[3:] == [*(f"@flag {flag}" for flag in arguments), "@config /a b.json"]
    said = look(shell, "config=none", f"cd {tmp_path}; look_flags nobody", 'say "config $config"')
    assert said == ["@config none"]


@EVERY_SHELL
def test_a_link_anywhere_on_the_way_is_seen(shell, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "other").symlink_to("file")
    for path, linked in (("real/file", 1), ("link/file", 0), ("real/other", 0), ("real/none", 1)):
        assert look(shell, f"linked {tmp_path}/{path}; say $?") == [f"@{linked}"]
    assert look(shell, "linked relative/file; say $?") == ["@0"]


class Answering(http.server.BaseHTTPRequestHandler):
    """Says what it was asked, or what it was asked to say: /404, /500."""

    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass

    def do_GET(self):
        code = int(self.path[1:]) if self.path[1:].isdigit() else 200
        body = json.dumps([self.path, "ü " * 40_000]).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class OnASocket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def answering(tmp_path_factory):
    """A socket that HTTP is spoken on."""
    path = tmp_path_factory.mktemp("socket") / "s"
    with OnASocket(str(path), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()


@EVERY_SHELL
@pytest.mark.parametrize("asker", ["perl", "curl"])
def test_an_engine_is_asked_without_its_client(shell, asker, answering):
    if shell == "busybox" or not shutil.which(asker):
        pytest.skip(f"{asker} is not there")
    hide = "" if asker == "perl" else "command() { [ $2 != perl ]; }"
    ask = [hide, f"docker_socket={answering}"]
    said = look(shell, *ask, "docker_ask '/a?b=%7B1%7D' /404 /b; say $?")
    words = [line.split(" ", 3) for line in said]
    assert [line[:3] for line in words[:3]] == [
        ["@api", "200", "/a?b=%7B1%7D"],
        ["@api", "404", "/404"],
        ["@api", "200", "/b"],
    ]
    assert json.loads(words[0][3]) == ["/a?b=%7B1%7D", "ü " * 40_000]
    assert said[3:] == ["@0"]
    assert [line[:10] for line in look(shell, *ask, "docker_ask /a /500 /b; say $?")] == [
        "@api 200 /",
        "@1",
    ]
    assert look(shell, *ask, f"docker_socket={answering}x", "docker_ask /a; say $?") == ["@1"]


@EVERY_SHELL
def test_an_engine_that_nobody_can_ask_is_left_to_its_client(shell, answering):
    asked = f"docker_socket={answering}"
    assert look(shell, "command() { return 1; }", asked, "docker_ask /a; say $?") == ["@1"]


@EVERY_SHELL
def test_a_socket_that_nobody_listens_on_is_no_answer(shell, tmp_path):
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "s"))
    assert look(shell, f"docker_socket={tmp_path}/s", "docker_ask /a; say $?") == ["@1"]


# ---- quoting ----

hostile = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.skipif(not shutil.which("dash"), reason="dash is not installed")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(hostile, min_size=1, max_size=3), salt=hostile)
def test_whatever_a_name_is_it_stays_one_argument(names, salt):
    want = desired(
        files=tuple(File(f"/x/{name}", b"", 0o644, "") for name in names),
        logins=tuple(login(account=name, endpoint=name) for name in names),
    )
    tell = 'look_paths() { printf "%s\\0" "$@"; }\nlook_login() { look_paths "$@"; }\n'
    quiet = "look_host() { :; }\ndocker_look() { :; }\nsay() { :; }\n"
    program = request.render(want, salt).replace("\nlook() {", f"\n{tell}{quiet}look() {{")
    said = shells.run("dash", program).stdout.decode().split("\0")[:-1]
    expected = [f"/x/{name}" for name in dict.fromkeys(names)]
    for name in names:
        expected += [name, name, salt, ".docker/config.json"]
    assert said == expected
