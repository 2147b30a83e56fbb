"""From the look's lines to an observed host; and what is said when they are no look."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import CANARY, MARK, container, desired, login, observed, parse_look, seen_container

from regfleet.errors import HostError
from regfleet.look import request
from regfleet.look.parse import parse
from regfleet.model.observed import Machine, ObservedEngine, ObservedPath, ObservedSpace
from regfleet.model.service import Image
from regfleet.shell import frame

DAEMON = "@whole text:/etc/docker/daemon.json"


def b64(text):
    return base64.b64encode(text.encode()).decode()


LEAST = ["@uid 0", "@end"]
INFO = {
    "ServerVersion": "26.1.5+dfsg1",
    "ContainersRunning": 3,
    "LiveRestoreEnabled": True,
    "Debug": False,
    "LoggingDriver": "json-file",
    "RegistryConfig": {
        "InsecureRegistryCIDRs": ["127.0.0.0/8"],
        "IndexConfigs": {
            "docker.io": {"Name": "docker.io", "Secure": True},
            "a.example:5000": {"Name": "a.example:5000", "Secure": False},
        },
        "Mirrors": ["https://m.example/"],
    },
}
RECORD = '{"version": 1, "fleets": {}}'
WHOLE = [
    "@uid 0",
    "@clock 1754200000",
    "@init systemd",
    "@packages apt-get",
    "@os debian 13",
    f"@whole owned {b64(RECORD)}",
    "@stat 81a4 0 0 /etc/docker/certs.d/a/ca.crt",
    "@stat 41ed 0 5 /etc/docker",
    "@sum abcd  /etc/docker/certs.d/a/ca.crt",
    "@flag dockerd",
    "@flag -H",
    "@flag fd://",
    "@daemon /etc/docker/daemon.json",
    f"{DAEMON} {b64('{}')}",
    "@engine up",
    f"@info {json.dumps(INFO)}",
    "@container /regfleet-main true sha256:1 ports:5000,5000, - spec acme",
    "@container /other false sha256:2 ports: - - -",
    "@image registry:2 sha256:1",
    "@login root a.example:5000 digest",
    "@end",
    "@exit 0",
]


def test_a_whole_look():
    assert parse_look("web1", WHOLE) == observed(
        uid=0,
        clock=1754200000,
        os="debian",
        os_version="13",
        paths={
            "/etc/docker/certs.d/a/ca.crt": ObservedPath(
                "/etc/docker/certs.d/a/ca.crt", False, 0o644, (0, 0), "abcd"
            ),
            "/etc/docker": ObservedPath("/etc/docker", True, 0o755, (0, 5), ""),
        },
        daemon_json="{}",
        record=RECORD,
        engine=ObservedEngine(
            "up",
            version="26.1.5+dfsg1",
            flags=("dockerd", "-H", "fd://"),
            insecure=frozenset({"127.0.0.0/8", "a.example:5000"}),
            mirrors=("https://m.example/",),
            values={"live-restore": True, "debug": False, "log-driver": "json-file"},
            running=3,
            live_restore=True,
        ),
        services={
            "regfleet-main": seen_container("regfleet-main", True, "sha256:1", "spec", "acme"),
            "other": seen_container("other", False, "sha256:2", "", ""),
        },
        images={"registry:2": "sha256:1"},
        logins={("root", "a.example:5000"): "digest"},
    )


ENGINES = {
    "missing": (["@engine missing"], ObservedEngine("missing")),
    "nothing said": ([], ObservedEngine("missing")),
    "client alone": (
        ["@engine missing", "@client /usr/bin/docker"],
        ObservedEngine("missing", detail="/usr/bin/docker"),
    ),
    "down": (
        ["@engine down", "@version Docker version 20.10.24+dfsg1, build 297e128"],
        ObservedEngine("down", "20.10.24+dfsg1"),
    ),
    "silent": (
        ["@engine silent", "@silent ERROR: permission denied"],
        ObservedEngine("silent", detail="ERROR: permission denied"),
    ),
    "silent, but the exit code is 0": (
        ["@engine up", '@info {"ServerErrors": ["Cannot connect"], "ServerVersion": ""}'],
        ObservedEngine("silent", detail="Cannot connect"),
    ),
    "up with nulls": (
        ["@engine up", '@info {"ServerVersion": "1", "RegistryConfig": null}'],
        ObservedEngine("up", "1"),
    ),
    "another configuration": (
        ["@engine missing", "@daemon /srv/daemon.json"],
        ObservedEngine("missing", config="/srv/daemon.json"),
    ),
}


@pytest.mark.parametrize("name", ENGINES)
def test_engines(name):
    lines, expected = ENGINES[name]
    assert parse_look("web1", [*lines, *LEAST]).engine == expected


LISTED = {
    "Names": ["/regfleet-main"],
    "State": "running",
    "ImageID": "sha256:1",
    "Labels": {"regfleet.specification": "spec", "regfleet.fleet": "acme", "x": "y"},
}
CONTAINERS = {
    "ours": ([LISTED], seen_container("regfleet-main", True, "sha256:1", "spec", "acme")),
    "under two names": (
        [{**LISTED, "Names": ["/web/alias", "/regfleet-main"]}],
        seen_container("regfleet-main", True, "sha256:1", "spec", "acme"),
    ),
    "somebody's": (
        [{**LISTED, "Labels": {}}], seen_container("regfleet-main", True, "sha256:1", "", ""),
    ),
    "without labels": (
        [{**LISTED, "Labels": None}], seen_container("regfleet-main", True, "sha256:1", "", ""),
    ),
    "stopped": (
        [{**LISTED, "State": "exited"}],
        seen_container("regfleet-main", False, "sha256:1", "spec", "acme"),
    ),
    "about to be restarted": (
        [{**LISTED, "State": "restarting"}],
        seen_container("regfleet-main", True, "sha256:1", "spec", "acme"),
    ),
    "among longer names": (
        [{**LISTED, "Names": ["/regfleet-main-before"], "State": "exited"}, LISTED],
        seen_container("regfleet-main", True, "sha256:1", "spec", "acme"),
    ),
    "only a longer name": ([{**LISTED, "Names": ["/regfleet-main-before"]}], None),
    "none": ([], None),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_as_the_api_lists_them(name):
    listed, expected = CONTAINERS[name]
    path = "/containers/json?all=1&filters=x"
    seen = parse_look("web1", [f"@api 200 {path} {json.dumps(listed)}", *LEAST]).services
    assert seen.pop("regfleet-main", None) == expected
    assert set(seen) <= {"regfleet-main-before"}


def test_ports_that_a_container_is_published_on_are_told_by_the_client_too():
    seen = parse_look("web1", WHOLE).services
    assert {name: each.ports for name, each in seen.items()} == {
        "regfleet-main": {5000},
        "other": frozenset(),
    }
    with pytest.raises(HostError, match="out of range"):
        parse_look("web1", [*LEAST, "@container /a true sha256:1 ports:65536, - - -"])


def test_what_the_api_tells_is_what_the_client_would():
    cut = WHOLE.index("@engine up")
    client = [line for line in WHOLE if line.split()[0] not in ("@info", "@image", "@container")]
    api = [
        f"@api 200 /info {json.dumps(INFO)}",
        '@api 200 /images/registry:2/json {"Id": "sha256:1", "RepoTags": ["registry:2"]}',
        '@api 404 /images/busybox:latest/json {"message": "No such image"}',
        f"@api 200 /containers/json?all=1 {json.dumps([LISTED])}",
    ]
    by_client = [line for line in WHOLE if not line.startswith("@container /other")]
    assert parse_look("web1", [*client[:cut], *api, *client[cut:]]) == parse_look("web1", by_client)


@pytest.mark.parametrize("line", [f"{DAEMON} ", DAEMON])
def test_an_empty_daemon_json_is_there(line):
    assert parse_look("web1", [line, *LEAST]).daemon_json == ""


def test_least():
    seen = parse_look("web1", LEAST)
    assert seen.daemon_json is None
    assert seen.record is None
    assert seen.owned == {}
    assert seen.engine.state == "missing"


REFUSALS = {
    "nothing": ([], "no output", "by hand"),
    "sudo wants a password": (["sudo: a password is required"], "sudo asks for", "NOPASSWD"),
    "sudo wants a terminal": (
        ["sudo: a terminal is required to read the password; either use the -S option"],
        "sudo asks for",
        "NOPASSWD",
    ),
    "sudo 1.8": (
        ["sudo: no tty present and no askpass program specified"], "sudo asks for", "NOPASSWD",
    ),
    "sudo-rs": (
        ["sudo: interactive authentication is required"], "sudo asks for", "NOPASSWD",
    ),
    "not in sudoers": (
        ["ops is not in the sudoers file."], "sudo does not work", "sudo = false",
    ),
    "no sudo": (["sh: 1: sudo: not found"], "sudo does not work", "sudo = false"),
    "no shell": (["This account is currently not available."], "not available", "by hand"),
    "junk": (["@", "@@", "@ uid", "\x00\x01", "  "], "", "by hand"),
    "cut off": (WHOLE[:-2], "ended early", "again"),
    "cut off at once": (["@uid 0"], "ended early", "again"),
    "killed": ([*WHOLE[:8], "Killed", "@exit 137"], "ended early (Killed)", "again"),
    "no number": (["@uid root", "@end"], "cannot be parsed", "defect"),
    "half a stat": ([*LEAST, "@stat 81a4 0"], "cannot be parsed", "defect"),
    "half a sum": ([*LEAST, "@sum abcd"], "cannot be parsed", "defect"),
    "half a container": ([*LEAST, "@container /a true"], "cannot be parsed", "defect"),
    "half a list": (
        [*LEAST, '@api 200 /containers/json [{"Names"'], "cannot be parsed", "defect",
    ),
    "a list of nothing": (
        [*LEAST, "@api 200 /containers/json [{}]"], "cannot be parsed", "defect",
    ),
    "an image of nothing": (
        [*LEAST, "@api 200 /images/x/json {}"], "cannot be parsed", "defect",
    ),
    "half an answer": ([*LEAST, "@api 200 /info"], "cannot be parsed", "defect"),
    "half a login": ([*LEAST, "@login root"], "cannot be parsed", "defect"),
    "up without a word": ([*LEAST, "@engine up"], "cannot be parsed", "defect"),
    "half an info": ([*LEAST, "@engine up", '@info {"a'], "cannot be parsed", "defect"),
    "an info that is none": ([*LEAST, "@engine up", "@info []"], "cannot be parsed", "defect"),
    "a number of many digits": (["@uid " + "9" * 5000, "@end"], "cannot be parsed", "defect"),
    "a user that cannot be": (["@uid 4294967296", "@end"], "out of range", "defect"),
    "a clock of ages": ([*LEAST, "@clock 1" + "0" * 400], "out of range", "defect"),
    "a clock of words": ([*LEAST, "@clock " + "now" * 9000], "cannot be parsed", "defect"),
    "deep JSON": (
        [*LEAST, "@engine up", "@info " + "[" * 100_000], "RecursionError", "defect",
    ),
    "a record of deep JSON": (
        [*LEAST, f"@whole owned {b64('[' * 100_000)}"], "cannot be", "",
    ),
    "an endless number": (
        [*LEAST, "@engine up", '@info {"ContainersRunning": 1e999}'], "OverflowError", "defect",
    ),
    "an engine of no state": ([*LEAST, "@engine fine"], "'fine' is not one of", "defect"),
    "another engine of no state": ([*LEAST, "@of podman state fine"], "is not one of", "defect"),
    "an init of its own": ([*LEAST, "@init mine"], "'mine' is not one of", "defect"),
    "a page of complaints": (["x" * 1_000_000], "x…", "by hand"),
    "no base64": ([*LEAST, f"{DAEMON} %%%"], "daemon.json is not UTF-8", "broken"),
    "no UTF-8": ([*LEAST, f"{DAEMON} /w=="], "daemon.json is not UTF-8", "broken"),
    "a record that is no JSON": (
        [*LEAST, f"@whole owned {b64('{')}"], "owned.json cannot be read", "move it away",
    ),
    "a record of another version": (
        [*LEAST, "@whole owned " + b64('{"version": 9, "fleets": {}}')],
        "version 9 is not 2",
        "move it away",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_look_is_refused(name):
    lines, said, hint = REFUSALS[name]
    if hint not in ("by hand", "NOPASSWD", "sudo = false"):  # then our program never ran
        lines = [f"@begin {MARK}", *lines, f"@end {MARK}"]
    with pytest.raises(HostError) as caught:
        parse("web1", lines, MARK)
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.host == "web1"


@given(st.lists(st.text('@ abc01{}[]"/', max_size=12) | st.sampled_from(WHOLE), max_size=12))
def test_any_lines_are_a_look_or_refused(lines):
    with suppress(HostError):
        parse_look("web1", [*LEAST, *lines])


@pytest.mark.parametrize("text", ["uninitialized", "", "-", "A" * 32, "a" * 33, "a" * 9000])
def test_a_machine_id_that_is_none_is_unknown(text):
    assert parse_look("web1", [*LEAST, f"@machine {text}", "@boot x"]).machine == Machine()


def test_what_stands_outside_the_frame_is_noise():
    noise = ["\33]0;root@web1\7", "@uid of the day: 7", "@engine up", "@begin look-2", *WHOLE[:4]]
    lines = [*noise, "", f"@begin {MARK}", *WHOLE[:-1], f"@end {MARK}", *noise, "@exit 0"]
    assert parse("web1", lines, MARK) == parse_look("web1", WHOLE)
    with pytest.raises(HostError, match="ended early"):
        parse("web1", lines[: lines.index(f"@end {MARK}")], MARK)


@given(st.lists(st.text("@ ab:7\n", max_size=20), max_size=5))
def test_no_noise_makes_another_host(noise):
    """A host's own prompt may end without a newline: the frame begins with one."""
    before = "\n".join(noise) + f"\n@begin {MARK}"
    lines = [*before.split("\n"), *WHOLE[:-1], f"@end {MARK}", *"\n".join(noise).split("\n")]
    assert parse("web1", lines, MARK) == parse_look("web1", WHOLE)


@given(st.integers(0, len(WHOLE) - 3), st.integers(0, 40))
def test_a_look_cut_anywhere_is_refused(line, column):
    with pytest.raises(HostError):
        parse_look("web1", [*WHOLE[:line], WHOLE[line][:column], "@exit 0"])


# ---- what is asked ----


def asked(want):
    program = request.render(want, "5a17", MARK)
    kinds = sorted({service.kind for service in want.services})
    body = program.removeprefix(request.program("docker", kinds=kinds)).strip()
    assert body.startswith("look() {\n")
    calls, _, ending = body.partition("\n}\n")
    assert ending == frame.around(MARK, "look </dev/null").strip()
    return [line.strip() for line in calls.splitlines()[1:]]


def test_a_host_with_nothing_wanted_is_asked_the_least():
    assert asked(desired()) == [
        "look_host",
        "look_paths",
        "docker_look",
        "answer_requests",
        "say end",
    ]


def test_images_are_asked_for_once():
    want = desired(
        services=(container(), container("two")),
        images=(Image("busybox:latest"), Image("registry:2", "a.tar", "00")),
    )
    assert [line for line in asked(want) if line.startswith("look_image")] == [
        "look_image docker busybox:latest",
        "look_image docker registry:2",
    ]
    assert [line for line in asked(want) if line.startswith("look_container")] == [
        "look_container regfleet-main",
        "look_container two",
    ]
    listing = "'/containers/json?all=1&filters=%7B%22name%22%3A%5B%22{}%22%5D%7D'"
    wants = " ".join(
        [
            "docker_wants /images/busybox:latest/json /images/registry:2/json",
            *(listing.format(name) for name in ("regfleet-main", "two")),
        ]
    )
    assert asked(want).index(wants) < asked(want).index("docker_look")


def test_no_password_is_sent_with_the_look():
    program = request.render(desired(logins=(login(),)), "5a17", MARK)
    assert CANARY not in program
    assert b64(f"ci:{CANARY}") not in program


def test_the_digest_depends_on_all_of_a_login_and_on_the_salt():
    entries = [login(), login(user="other"), login(password="other")]
    digests = {request.login_digest(entry, salt) for entry in entries for salt in ("1", "2")}
    assert len(digests) == 6
    assert request.login_digest(login(account="ops"), "1") == request.login_digest(login(), "1")


@pytest.mark.parametrize(
    ("line", "path", "expected"),
    [
        ("4096 100 40 30 10 5 /var/lib/registry", "/var/lib/registry", (90, 30, 10, 5)),
        ("4096 100 0 0 10 0 /with a space", "/with a space", (100, 0, 10, 0)),
        ("4096 100 40 40 0 0 /btrfs", "/btrfs", (100, 40, 0, 0)),
        ("4096 100 400 30 10 50 /odd", "/odd", (30, 30, 10, 10)),
    ],
)
def test_space(line, path, expected):
    size, free, inodes, free_inodes = expected
    assert parse_look("h", [*LEAST, f"@space {line}"]).space == {
        path: ObservedSpace(size * 4096, free * 4096, inodes, free_inodes)
    }


@pytest.mark.parametrize("line", ["", "1 2 3", "a b c d e f /x", "-1 1 1 1 1 1 /x", "9" * 5000])
def test_space_that_is_none_is_that_hosts_error(line):
    with pytest.raises(HostError, match="cannot be parsed"):
        parse_look("h", [*LEAST, f"@space {line}"])


def test_the_space_of_each_storage_is_asked_for_once():
    containers = (
        container(storage="/srv/b"),
        container("other", storage="/srv/a"),
        container("third", storage="/srv/a"),
    )
    assert "look_space /srv/a /srv/b" in asked(desired(services=containers))
