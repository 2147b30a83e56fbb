"""A plan as the touch's program: every kind of step, in order, quoted, and without a password."""

import base64
import os
import shlex
import shutil
import typing

import pytest
import shells
from hypothesis import example, given, settings
from hypothesis import strategies as st
from making import CANARY, container, engine, login

from regfleet import archives, record
from regfleet.fleet import storage
from regfleet.model import plan as model
from regfleet.model.files import Directory, File
from regfleet.model.foreign import Foreign
from regfleet.model.plan import (
    ActivateDocker,
    ActivateOwn,
    ActivateUnit,
    Adopt,
    Change,
    Drain,
    EditFile,
    InstallEngine,
    InstallProgram,
    LoadImage,
    LogIn,
    LogOut,
    MakeDirectory,
    Plan,
    PullImage,
    PutFile,
    ReloadService,
    RemoveImage,
    RemovePath,
    RemoveService,
    ReturnAdopted,
    RunService,
    SettleDocker,
    SettleTimers,
    ShowSettings,
    StartEngine,
    StartService,
)
from regfleet.model.resource import Resource
from regfleet.model.service import Image
from regfleet.record import BroughtImage, parse_brought
from regfleet.shell import frame
from regfleet.touch import archive, protocol, render

MAIN = container()
IMAGE = Image("registry:2", "a.tar", "ab" * 32)
FILE = File("/etc/docker/certs.d/a/ca.crt", b"CA\n", 0o444, "why")
HOME = "~ops/.config/docker"
OWN = ActivateOwn("rootless", "ops", f"{HOME}/daemon.json", "reload", ("insecure a",))
DOCKERD = ActivateDocker("/etc/docker/daemon.json", "reload", ("insecure a",), ("mirror b/",))


def b64(text):
    return base64.b64encode(text.encode()).decode()


DOCKER = ("docker", ".docker/config.json")

RUN = RunService(MAIN, "container")
VIP = container("regfleet-main.vip", drains="/run/regfleet-main.vip/drain", address="10.0.0.10")
HTTPS = "https:200,401:/v2/"  # a registry's probe

# A plan in its order, with each kind of step. What the calls do with their arguments is shown in
# test_touch_shell.py, and by tests/fleet on hosts.
WHOLE = (
    InstallEngine("apt-get", ("docker.io", "docker-cli?"), "docker"),
    InstallProgram("apt-get", ("docker-registry",), "docker-registry"),
    MakeDirectory(Directory("/etc/docker", 0o755, "")),
    PutFile(FILE, foreign=False),
    RemovePath("/x"),
    EditFile("/etc/containerd/config.toml", "a = 1", 0o600, engine="containerd"),
    DOCKERD,
    StartEngine(),
    OWN,
    LoadImage(IMAGE),
    ActivateUnit("containerd", "containerd", "restart"),
    ShowSettings("podman", "/etc/p.conf", ("insecure a",)),
    RemoveService("c", "container"),
    ReturnAdopted(record.Adopted("c", "5000", "container", "1f", "old", "always")),
    PullImage(Image("registry:2")),
    Adopt(Foreign("container", "1f", "old", "always", source="/data"), "/srv"),
    Drain(VIP),
    RUN,
    StartService(MAIN),
    ReloadService(MAIN),
    SettleTimers(("regfleet-replication-a.b.c",)),
    RemoveImage("registry:2"),
    LogIn(login()),
    LogOut("root", "a.example", *DOCKER),
    RemovePath("/x", directory=True),
    SettleDocker(),
)
# Its calls: what is asked first, what is written, and behind the swap what acts.
ORDER = [
    "begin", "noted", "settled_before", "expect", "protect", "storage",
    "install_packages", "docker_installed", "install_program", "directory", "put", "drop", "edit",
    "accepted", "want", "refuse", "will_take_up", "will_activate", "will_activate", "drop_service",
    "keep_service", "keep_service", "will_settle", "record", "swap", "activate", "start_engine",
    "rootless_activate", "load", "activate_unit", "show_settings", "remove_service",
    "return_adopted", "pull", "adopt", "adopt_images", "drain", "run_service", "start_service",
    "reload_service", "settle_timers", "remove_image", "login", "logout", "drop_directory",
    "settle",
]  # fmt: skip


def calls(program):
    """The steps of a program, as the shell splits them."""
    lines = program.split("\nplan() {\n", 1)[1].removesuffix("\n}\ntouch_host </dev/null\n")
    found = shlex.split(lines.replace("\n  step ", " \0 ").removeprefix("  step "), posix=True)
    steps = [[]]
    for word in found:
        if word == "\0":
            steps.append([])
        else:
            steps[-1].append(word)
    return steps


def program(*steps, changes=(), **settings):
    return render.render(Plan("web1", changes, steps, **settings), "run-1", "ops@control: acme")


def test_every_kind_of_step_has_its_place():
    assert {type(step) for step in WHOLE} == set(typing.get_args(model.Step))
    found = calls(program(*WHOLE, expected=((FILE.path, "absent"),)))
    assert [call[0] for call in found] == ORDER


@pytest.mark.parametrize("step", WHOLE, ids=lambda step: type(step).__name__)
def test_no_kind_of_step_is_passed_over(step):
    """One that registers itself nowhere would be planned, reported and never done."""
    assert [*render.before_swap(step), *render.after_swap(step)]


def test_the_functions_are_in_the_program():
    """A call of a function that it does not have would fail on the host alone."""
    there = protocol.program("docker", "rootless")
    assert [name for name in ORDER if f"\n{name}() {{" not in there] == []


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (ActivateDocker("/d", "reload", meanwhile="{1}", undo="{2}", may_restart=True),
         [["will_take_up", "/d", "reload", b64("{2}"), b64("{1}")], ["activate", "reload", "yes"]]),
        (ActivateDocker("/d", "restart", ("a",), ("b",), flags=("-H", "fd://"), parser=False),
         [["want", "a"], ["refuse", "b"], ["will_run_with", "-H", "fd://"], ["without_parser"],
          ["will_take_up", "/d", "restart", "", ""], ["activate", "restart", "no"]]),
        (OWN, [["will_activate", "rootless", "ops", "reload"],
               ["rootless_activate", "ops", "reload", "no", f"{HOME}/daemon.json",
                b64("insecure a"), "", "", ""]]),
        (ActivateOwn("rootless", "ops", "~ops/d", "start"),
         [["rootless_activate", "ops", "start", "no", "~ops/d", "", "", "", ""]]),
        # One that did not run before need not run on the way back.
        (ActivateUnit("crio", "crio", "start"), [["activate_unit", "crio", "crio", "start"]]),
        (ShowSettings("podman", "/p", ("a b", "c")),
         [["show_settings", "podman", "/p", b64("a b\nc")]]),
    ],
)  # fmt: skip
def test_how_an_engine_takes_its_files_up(step, expected):
    found = [*render.before_swap(step), *render.after_swap(step)]
    assert [shlex.split(line) for line in found] == expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (MakeDirectory(Directory(HOME, 0o700, "")), ["home_directory", HOME, "0700"]),
        (PutFile(File(f"{HOME}/a", b"CA\n", 0o444, ""), foreign=True),
         ["home_put", f"{HOME}/a", "0444", "1", b64("CA\n")]),
        (EditFile(f"{HOME}/d", "{}"), ["home_edit", f"{HOME}/d", "0644", "0", b64("{}")]),
        (RemovePath(f"{HOME}/a"), ["home_drop", f"{HOME}/a"]),
        (RemovePath(HOME, directory=True), ["home_drop_directory", HOME]),
    ],
)  # fmt: skip
def test_root_writes_nothing_in_a_home(step, expected):
    """What is in one is written by its account, once there is a generation to go back to."""
    assert [*render.before_swap(step)] == []
    assert [shlex.split(line) for line in render.after_swap(step)] == [expected]


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("{}\n", b64("{}\n"))])
def test_the_record_comes_with_every_plan(text, expected):
    assert ["record", expected] in calls(program(StartEngine(), record=text))


def test_the_generation_gets_the_run_and_what_it_changes():
    changes = (
        Change(Resource("file", "/etc/x"), "create", "why"),
        Change(Resource("other", "odd\nname"), "delete", "why"),
    )
    whole = render.render(
        Plan("h", changes, (RemoveImage("registry:2"),)), "run-ab12-7", "me", number=12
    )
    notes = b64("create file /etc/x\ndelete odd name\ndelete image registry:2\n")
    assert ["noted", "12", "run-ab12", "me", notes] in calls(whole)


def test_what_was_looked_at_is_asked_for_again_before_anything():
    whole = program(StartEngine(), expected=((record.PATH, "absent"), ("/x y", "00")))
    assert calls(whole)[:5] == [
        ["begin", "run-1", "ops@control: acme"],
        ["noted", "0", "run", "ops@control: acme", ""],
        ["settled_before"],
        ["expect", record.PATH, "absent"],
        ["expect", "/x y", "00"],
    ]


# ---- quoting, secrets, and the end ----


def test_no_password_in_clear():
    assert CANARY not in program(LogIn(login()))
    assert b64(CANARY) in program(LogIn(login()))


def test_it_ends_with_the_call_that_takes_no_more_input():
    assert program(StartEngine()).endswith("\n}\ntouch_host </dev/null\n")


hostile = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
outside = hostile.filter(lambda word: not word.startswith("~"))  # a file in a home goes another way


@pytest.mark.skipif(not shutil.which("dash"), reason="dash is not installed")
@settings(max_examples=25)
@given(words=st.lists(outside, min_size=1, max_size=4), who=hostile)
def test_whatever_a_value_is_it_stays_one_argument(words, who):
    steps = [
        step
        for word in words
        for step in (
            PullImage(Image(word)),
            LogOut(word, word, *DOCKER),
            PutFile(File(word, word.encode(), 0o644, ""), foreign=False),
            RunService(container(word, arguments=(word,), command=(word,)), "container"),
        )
    ]
    whole = render.render(Plan("h", steps=tuple(steps)), who, who)
    tell = 'step() { printf "%s\\0" "$@"; }\ntouch_host() { plan; }\nplan() {'
    said = shells.run("dash", whole.replace("\nplan() {", f"\n{tell}")).stdout.decode()
    noted = ["noted", "0", who.rpartition("-")[0], who, ""]
    expected = ["begin", who, who, *noted, "settled_before", "protect"]
    expected += [" ".join(storage.SYSTEM), " ".join(storage.WHOLLY)]
    expected += ["storage", "/var/lib/registry"]
    late = []
    for word in words:
        one = container(word, arguments=(word,), command=(word,))
        labels = ("fleet", one.fleet), ("registry", "main"), ("specification", one.specification)
        flags = [f"--label=regfleet.{name}={value}" for name, value in labels]
        arguments = [
            "127.0.0.1:5000", HTTPS, "--restart=always", *flags, word, "registry:2", word
        ]  # fmt: skip
        kept = " ".join(map(shlex.quote, ["container", *arguments])) + "\n"
        expected += ["put", word, "0644", "0", b64(word)]
        expected += ["keep_service", word, b64(kept)]
        late += ["pull", "docker", word, "logout", *DOCKER, word, word,
                 "run_service", "container", word, "container", *arguments]  # fmt: skip
    assert said.split("\0")[:-1] == [*expected, "record", "", "swap", *late]


# ---- archives ----


@example(content=bytes(range(200)), copies=1000)
@given(content=st.binary(max_size=200), copies=st.sampled_from([1, 300, 2000]))
def test_an_archive_survives_its_way(tmp_path_factory, content, copies):
    path = tmp_path_factory.mktemp("archive") / "a.tar"
    path.write_bytes(content * copies)
    chunks = archive.Chunks(path)
    for _ in range(2):  # it can be sent twice: to two hosts
        lines = list(chunks)
        assert all(line.endswith("\n") and "\n" not in line[:-1] for line in lines)
        whole = "".join(line.removesuffix("\n") for line in lines)
        assert base64.b64decode(whole, validate=True) == content * copies


def test_an_archive_is_a_list_that_is_never_empty(tmp_path):
    """What pyinfra asks of standard input that is to be iterated."""
    (tmp_path / "a.tar").write_bytes(b"")
    chunks = archive.Chunks(tmp_path / "a.tar")
    assert isinstance(chunks, list)
    assert chunks


EVERY_SHELL = pytest.mark.parametrize("shell", shells.parameters())


def received(shell, monkeypatch, tmp_path, content, sent=None):
    """Run the receiving command on a spool of our own; gives its exit code and what it left."""
    monkeypatch.setattr(archive, "DIRECTORY", str(tmp_path / "var lib"))
    (tmp_path / "a.tar").write_bytes(content)
    image = Image("busybox", tmp_path / "a.tar", archives.digest(tmp_path / "a.tar"))
    command = archive.receive(image, load="", mark="m")
    body = "".join(archive.Chunks(tmp_path / "a.tar")) if sent is None else sent
    done = shells.run(shell, f"({command}) <<'EOF'\n{body}EOF\n")
    return done.returncode, [path for path in tmp_path.rglob("*.tar*") if path.name != "a.tar"]


@EVERY_SHELL
def test_an_archive_is_received_whole_and_private(shell, monkeypatch, tmp_path):
    content = bytes(range(256)) * 999
    code, left = received(shell, monkeypatch, tmp_path, content)
    assert code == 0
    assert [path.read_bytes() for path in left] == [content]
    assert left[0].stat().st_mode & 0o777 == 0o600
    assert left[0].parent.stat().st_mode & 0o777 == 0o700


@EVERY_SHELL
@pytest.mark.parametrize("sent", ["", "aGFsZg==\n", "%%%\n"])
def test_an_archive_that_is_not_what_it_was_leaves_nothing(shell, monkeypatch, tmp_path, sent):
    code, left = received(shell, monkeypatch, tmp_path, b"whole", sent)
    assert code != 0
    assert left == []


@EVERY_SHELL
def test_what_a_kill_left_of_an_archive_goes_with_the_next_one(shell, monkeypatch, tmp_path):
    spool = tmp_path / "var lib" / "spool"
    spool.mkdir(parents=True)
    (spool / "cd.tar.99999999").touch()  # no such process
    alive = spool / f"ef.tar.{os.getpid()}"
    alive.touch()
    code, left = received(shell, monkeypatch, tmp_path, b"whole")
    assert code == 0
    assert len(left) == 2
    assert alive in left


@EVERY_SHELL
def test_one_that_a_killed_touch_left_waiting_is_in_nobodys_way(shell, monkeypatch, tmp_path):
    received(shell, monkeypatch, tmp_path, b"abc")
    image = Image("busybox", tmp_path / "a.tar", archives.digest(tmp_path / "a.tar"))
    command = archive.receive(image, load="test -f", mark="m")
    body = "".join(archive.Chunks(tmp_path / "a.tar"))
    done = shells.run(shell, f"({command}) <<'EOF'\n{body}EOF\n")
    assert frame.framed(done.stdout.decode().splitlines(), "m").ended
    assert not (tmp_path / "var lib" / "spool").exists()


@EVERY_SHELL
def test_an_image_that_a_fleet_brings_is_listed_once_before_it_is_loaded(
    shell, monkeypatch, tmp_path
):
    def bring(fleet, load):
        command = archive.receive(image, load=load, mark="m", fleet=fleet)
        done = shells.run(shell, f"({command}) <<'EOF'\n{body}EOF\n")
        return frame.framed(done.stdout.decode().splitlines(), "m").ended

    monkeypatch.setattr(archive, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(archive, "BROUGHT", str(tmp_path / "brought"))
    (tmp_path / "a.tar").write_bytes(b"abc")
    image = Image("busybox", tmp_path / "a.tar", archives.digest(tmp_path / "a.tar"))
    body = "".join(archive.Chunks(tmp_path / "a.tar"))
    loaded = f"grep -q busybox {tmp_path}/brought && test -f"
    assert not bring("acme", "false")
    assert not (tmp_path / "brought").exists()
    for fleet in ("acme", "acme", "other", ""):
        assert bring(fleet, loaded)
    assert not bring("acme", "false")  # it is there from an earlier touch
    listed = (tmp_path / "brought").read_text()
    assert listed == "acme\tdocker\tbusybox\nother\tdocker\tbusybox\n"
    assert parse_brought(listed) == {
        BroughtImage(each, "docker", "busybox") for each in ("acme", "other")
    }


def test_an_archive_is_loaded_and_taken_away():
    load = archive.loading("docker load -q -i", engine(address="unix:///srv/a b.sock"))
    command = archive.receive(IMAGE, load=load, mark="m")
    spool = archive.spool_path(IMAGE)
    assert spool == f"/var/lib/regfleet/spool/{'ab' * 16}.tar"
    assert f"p={spool}.$$;" in command
    assert (
        "HOME=/nonexistent DOCKER_HOST='unix:///srv/a b.sock' "
        'docker load -q -i "$p" && rm -f "$p" '
    ) in command
    assert " env -i " in command
