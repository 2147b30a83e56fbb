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
from pathlib import Path
from shlex import quote

import pytest
import shells
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import MARK, desired, login, parse_look, registry

from regfleet import record, roles
from regfleet.engines import ENGINES
from regfleet.fleet.registries import Member, Project
from regfleet.look import ports, request
from regfleet.model.files import Directory, File
from regfleet.record import Owned, OwnedEdit, OwnedValue
from regfleet.roles import Roles

SALT = "5a17"
EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())


def look(shell, *calls):
    """What look.sh says to some calls of its functions, by Perl and without it."""
    program = "\n".join([request.program("docker"), *calls, "answer_requests || :", ""])
    said = shells.lines(shell, program)
    if shell != "busybox" and "docker_ask" not in "".join(calls):
        without = shells.lines(shell, f"perl() {{ return 127; }}\n{program}")
        assert [line for line in without if "@clock" not in line] == [
            line for line in said if "@clock" not in line
        ]
    return said


def login_call(home, entry):
    """The call for a login as `request` writes it, with the account's home replaced."""
    program = request.render(desired(logins=(entry,)), SALT, MARK)
    call = next(line for line in program.splitlines() if line.startswith("  look_login"))
    return f"find_home() {{ home={quote(str(home))}; }}\nis_self() {{ :; }}\n{call}"


@EVERY_SHELL
def test_files_of_a_name_are_found_in_the_record(shell, tmp_path):
    edited = OwnedEdit(True, {}, {"a": OwnedValue("/x/hosts.toml", None, False)})
    names = ("/etc/a/hosts.toml", "/srv/b c/hosts.toml", "/etc/config.toml", "/etc/xhosts.toml.d/f")
    owned = Owned(files=("/etc/whole/hosts.toml",), edits=dict.fromkeys(names, edited))
    (tmp_path / "owned.json").write_text(record.render({"one": owned, "two": owned}))
    found = "recorded_files hosts.toml | sort -u | while read -r file; do say $file; done"
    at = f"record={tmp_path}/owned.json"
    assert look(shell, at, found) == ["@/etc/a/hosts.toml", "@/srv/b c/hosts.toml"]
    assert look(shell, f"{at}.not-there", found) == []


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
        line
        for line in request.render(want, SALT, MARK).splitlines()
        if line.startswith("  look_paths ")
    )
    found = parse_look("h", ["@uid 0", *look(shell, call), "@end"]).paths
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
    (line,) = look(shell, f"request_content daemon {tmp_path}/file")
    start, name, *rest = line.split(" ")
    assert (start, name) == ("@whole", "daemon")
    assert base64.b64decode("".join(rest), validate=True) == content


@EVERY_SHELL
def test_an_absent_file_is_not_said(shell, tmp_path):
    assert (
        look(shell, f"request_content daemon {tmp_path}/none", f"request_content daemon {tmp_path}")
        == []
    )


HASHES = [f"$2y$05${letter * 22}{'z' * 31}" for letter in "ABC"]
HTPASSWD = f"""alice:{HASHES[0]}
carol:{HASHES[1].replace("$2y$", "$2b$")}
with space:{HASHES[2]}
odd:{{SHA}}secretsecret
broken
zoë:x:y
"""


@EVERY_SHELL
def test_of_a_registrys_users_their_names_are_told_and_never_a_hash(shell, tmp_path):
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    said = look(shell, f"look_users {tmp_path}/htpasswd", f"look_users {tmp_path}/absent")
    (line,) = said
    told = base64.b64decode(line.rpartition(" ")[2]).decode()
    assert "zz" not in told
    assert "secret" not in told
    found = parse_look("h", ["@uid 0", line, "@end"]).users
    assert found == {
        f"{tmp_path}/htpasswd": {
            "alice": HASHES[0][:29],
            "carol": HASHES[1][:29],
            "with space": HASHES[2][:29],
            "odd": "",
            "zoë": "",
        }
    }


@EVERY_SHELL
def test_the_roles_that_a_host_has_on_record(shell, tmp_path):
    held = Roles(frozenset({"root"}), {"team-a": {"bob": "guest"}, "x": {}}, frozenset({"x"}))
    projects = (Project("team-a", members=(Member("bob", "guest"),)), Project("x", public=True))
    kept, odd = tmp_path / "roles.json", tmp_path / "odd"
    kept.write_text(roles.record(registry(admins=("root",), projects=projects)))
    odd.write_text("{}")
    said = look(shell, *(f"look_roles {path}" for path in (kept, odd, tmp_path / "absent")))
    found = parse_look("h", ["@uid 0", *said, "@end"]).roles
    assert found == {str(kept): held}


@EVERY_SHELL
def test_what_directories_hold_that_are_no_longer_wanted(shell, tmp_path):
    wanted, left, empty = (tmp_path / name for name in ("wanted", "left over", "empty"))
    for place in (wanted, left, empty):
        place.mkdir()
    for name in ("ca.crt", ".hidden", "a b"):
        (left / name).write_text("")
        (wanted / name).write_text("")
    paths = tuple(str(place) for place in (wanted, left, empty, tmp_path / "none"))
    (tmp_path / "owned.json").write_text(
        record.render({"acme": Owned(directories=paths), "other": Owned(directories=paths[:2])})
    )
    program = request.program("docker").replace(
        "/var/lib/regfleet/owned.json", f"{tmp_path}/owned.json"
    )
    calls = f"request_content owned {tmp_path}/owned.json; look_paths {quote(paths[0])}"
    calls += "; answer_requests"
    expected = {paths[1]: (".hidden", "a b", "ca.crt")}
    for hide in ("", "perl() { return 127; }"):
        said = shells.lines(shell, f"{hide}\n{program}\n{calls}\n")
        held = [line for line in said if line.startswith("@holds")]
        assert parse_look("h", ["@uid 0", *held, "@end"]).holds == expected


def perl_with(old, new):
    """Shell: Perl, whose program has other words in the place of some."""
    return f"""perl() {{ command perl -e "$(printf '%s' "$2" | sed 's@{old}@{new}@')"; }}"""


@EVERY_SHELL
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("missing", ["", "socket(N, 16", "/proc/net/"])
def test_who_listens_on_a_port_is_found_by_number_and_name(shell, family, missing):
    with (
        socket.socket(family) as server,
        socket.socket(socket.AF_INET6) as bound,
    ):
        server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        # At every address: somebody else may listen at the same number of another one.
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(("::", 0))
        server.listen()
        port, free = server.getsockname()[1], bound.getsockname()[1]
        perl = perl_with(missing, "socket(N, 999") if missing else ":"
        said = look(shell, perl, f"look_port {port}", f"look_port {free}")
        found = parse_look("h", ["@uid 0", *said, "@end"]).listening
        assert found.keys() == {port}
        assert server.getsockname()[0] in found[port]
        program = ports.render(port, MARK)
        holder = ports.parse("h", shells.lines(shell, program), MARK)
        assert holder.process == f"{os.getpid()} {Path('/proc/self/comm').read_text().strip()}"
        assert (
            ports.parse("h", shells.lines(shell, ports.render(free, MARK)), MARK) == ports.Holder()
        )


@EVERY_SHELL
def test_daemon_json_is_found_behind_a_link(shell, tmp_path):
    (tmp_path / "real.json").write_text("{}\n")
    (tmp_path / "daemon.json").symlink_to("real.json")
    said = look(shell, f"look_daemon {tmp_path}/daemon.json")
    real = f"{tmp_path}/real.json"
    assert said == [f"@daemon {real}", f"@whole text:{real} e30K"]


@EVERY_SHELL
def test_daemon_json_is_found_behind_a_step_back(shell, tmp_path):
    (tmp_path / "in").mkdir()
    said = look(shell, f"look_daemon {tmp_path}/in/../daemon.json")
    assert said == [f"@daemon {tmp_path}/daemon.json"]


@EVERY_SHELL
def test_daemon_json_is_looked_at_where_no_engine_is(shell):
    """It may wait there for the engine: to be merged into, not to be overwritten."""
    said = look(
        shell,
        "command() { return 1; }",
        "look_daemon() { say daemon-was-asked; }",
        "find_docker() { pid=; }",
        "print_instead() { :; }",
        "docker_look",
    )
    assert said == ["@daemon-was-asked", "@engine missing"]


@EVERY_SHELL
def test_the_host_says_who_it_is(shell):
    seen = parse_look("h", [*look(shell, "look_host"), "@end"])
    assert seen.uid == os.getuid()
    assert seen.clock > 1_700_000_000
    assert seen.os
    assert seen.machine.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert seen.machine.processes == str(Path("/proc/self/ns/pid").readlink())


@EVERY_SHELL
@pytest.mark.parametrize("newline", ["", "\n"])
def test_the_machine_id_is_the_first_that_is_there(shell, tmp_path, newline):
    (tmp_path / "empty").touch()
    (tmp_path / "id").write_text(f"0123456789abcdef0123456789abcdef{newline}")
    files = " ".join(str(tmp_path / name) for name in ("none", "empty", "id", "id"))
    said = look(shell, f"print_machine {files}")
    assert said[0] == "@machine 0123456789abcdef0123456789abcdef"
    assert [line.split(" ")[0] for line in said[1:]] == ["@boot"]


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
    call = f"print_busy {lock} || say pending"
    assert look(shell, call) == ["@pending"]
    holder = subprocess.Popen(
        ["sh", "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        owner = lock.read_text().strip()
        assert owner.endswith(f"process {holder.pid}")
        (said,) = look(shell, call)
        assert parse_look("h", ["@uid 0", said, "@end"]).busy == owner
    finally:
        holder.communicate("\n")
    assert look(shell, call) == ["@pending"]


@EVERY_SHELL
def test_another_process_of_the_same_number_is_not_at_work(shell, tmp_path):
    (tmp_path / "lock").write_text(f"ops: regfleet, fleet acme since x, process {os.getpid()}\n")
    assert look(shell, f"print_busy {tmp_path}/lock || say pending") == ["@pending"]


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
def test_an_engine_is_asked_without_its_client(shell, answering):
    if shell == "busybox" or not shutil.which("perl"):
        pytest.skip("perl is not there")
    ask = [f"docker_socket={answering}"]
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
    program = request.define(want, salt).replace("\nlook() {", f"\n{tell}{quiet}look() {{")
    said = shells.run("dash", f"{program}look </dev/null\n").stdout.decode().split("\0")[:-1]
    expected = [f"/x/{name}" for name in dict.fromkeys(names)]
    for name in names:
        expected += [name, name, salt, ".docker/config.json"]
    assert said == expected


# ---- what a registry keeps ----


def store(directory, repositories=3):
    v2 = directory / "docker/registry/v2"
    for number in range(repositories):
        (v2 / f"repositories/team/app{number}/_manifests/tags/_manifests").mkdir(parents=True)
        (v2 / f"repositories/team/app{number}/_layers").mkdir()
    for number, size in enumerate((1000, 2000, 5)):
        blob = v2 / f"blobs/sha256/{number:02}/{number}"
        blob.mkdir(parents=True)
        (blob / "data").write_bytes(b"x" * size)
    return directory


def kept(shell, directory, before=""):
    program = request.program("docker", data=True)
    said = shells.lines(shell, f"{program}\n{before}\nlook_data {quote(str(directory))}\n")
    return [line.removesuffix(f" {directory}") for line in said]


@EVERY_SHELL
def test_repositories_and_bytes_are_counted(shell, tmp_path):
    assert kept(shell, store(tmp_path / "a b")) == ["@data registry 3 3005 yes"]
    (tmp_path / "link").symlink_to(tmp_path / "a b")
    assert kept(shell, tmp_path / "link") == ["@data registry 3 3005 yes"]


@EVERY_SHELL
def test_what_is_not_counted_in_time_is_at_least(shell, tmp_path):
    slow = 'find() { command find "$@"; }\nwithin_count_time() { "$@"; return 124; }'
    assert kept(shell, store(tmp_path / "s"), slow) == ["@data registry 3 3005 no"]


@EVERY_SHELL
def test_a_storage_without_images(shell, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letters").touch()
    assert kept(shell, tmp_path / "empty") == ["@data empty 0 0 yes"]
    assert kept(shell, tmp_path / "other") == ["@data other 0 0 yes"]
    assert kept(shell, tmp_path / "none") == []


# ---- space ----


WITHOUT_PERL = "perl() { return 127; }\n"


@EVERY_SHELL
@pytest.mark.parametrize(
    "hidden",
    ["", WITHOUT_PERL, f"{WITHOUT_PERL}timeout() {{ return 125; }}\n"],
    ids=["", "no Perl", "no Perl, no timeout"],
)
def test_the_space_of_a_file_system(shell, tmp_path, hidden):
    program = f"{request.program('docker')}\n{hidden}"
    program += f"look_space {tmp_path} {tmp_path}/absent\nanswer_requests\n"
    (line,) = shells.lines(shell, program)
    (found,) = parse_look("h", ["@uid 0", line, "@end"]).space.items()
    known = os.statvfs(tmp_path)
    assert found[0] == str(tmp_path)
    assert (found[1].inodes, found[1].size > found[1].free) == (known.f_files, True)
    least = (known.f_blocks - known.f_bfree) * known.f_frsize
    assert least <= found[1].size <= known.f_blocks * known.f_frsize


@pytest.mark.parametrize(
    "quick",
    [
        perl_with("alarm 5", "alarm 1"),
        WITHOUT_PERL + 'timeout() { shift 3; command timeout -s KILL 0.1 "$@"; }',
    ],
    ids=["Perl", "no Perl"],
)
def test_a_file_system_that_does_not_answer_is_not_waited_for(tmp_path, quick):
    """As one on a network whose server is gone: `stat` waits, and nothing but KILL ends it."""
    stuck = tmp_path / "stat"
    stuck.write_text("#!/bin/sh\ntrap '' TERM\nexec sleep 600\n")
    stuck.chmod(0o755)
    path = f"PATH={quote(str(tmp_path))}:$PATH"
    program = f"{request.program('docker')}\n{quick}\n{path}\nlook_space /tmp\n"
    program += "answer_requests\nsay end\n"
    assert shells.lines("dash", program) == ["@end"]
