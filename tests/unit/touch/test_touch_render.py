"""A plan as the touch's program: every kind of step, in order, quoted, and without a password."""

import base64
import shlex
import shutil
import typing
from dataclasses import replace

import pytest
import shells
from hypothesis import example, given, settings
from hypothesis import strategies as st
from making import CANARY, container, login

from regfleet import record
from regfleet.desired.model import Directory, File, Image
from regfleet.plan import model
from regfleet.plan.model import (
    ActivateUnit,
    EditDaemon,
    EditFile,
    InstallEngine,
    LogIn,
    LogOut,
    MakeDirectory,
    Plan,
    PullImage,
    PutFile,
    RemoveContainer,
    RemoveImage,
    RemovePath,
    RunContainer,
    StartContainer,
    StartEngine,
)
from regfleet.touch import archive, render

MAIN = container()
IMAGE = Image("registry:2", "a.tar", "ab" * 32)
FILE = File("/etc/docker/certs.d/a/ca.crt", b"CA\n", 0o444, "why")
EDIT = EditDaemon(
    "/etc/docker/daemon.json", "{}", "{}", "{}", "reload", ("insecure a",), ("mirror b/",)
)


def b64(text):
    return base64.b64encode(text.encode()).decode()


DOCKER = ("docker", ".docker/config.json")

# One of each kind at least, with the calls that it becomes.
CALLS = {
    "install": (
        InstallEngine("apt-get", ("docker.io", "docker-cli?")),
        [["install_packages", "apt-get", "docker.io", "docker-cli?"], ["docker_installed"]],
    ),
    "start": (StartEngine(), [["start_engine"]]),
    "unit is restarted": (
        ActivateUnit("containerd", "containerd", "restart"),
        [["will_activate", "containerd", "containerd", "restart"]],
    ),
    "unit is started": (
        ActivateUnit("crio", "crio", "start"), [["activate_unit", "crio", "crio", "start"]],
    ),
    "edit": (
        EditFile("/etc/sysconfig/docker", "A=b", foreign=True),
        [["edit", "/etc/sysconfig/docker", "0644", "1", b64("A=b")]],
    ),
    "edit that is judged": (
        EditFile("/etc/containerd/config.toml", "a = 1", 0o600, engine="containerd"),
        [
            ["edit", "/etc/containerd/config.toml", "0600", "0", b64("a = 1")],
            ["accepted", "containerd", "/etc/containerd/config.toml"],
        ],
    ),
    "directory": (
        MakeDirectory(Directory("/etc/docker", 0o755, "")), [["directory", "/etc/docker", "0755"]],
    ),
    "file": (PutFile(FILE, foreign=False), [["put", FILE.path, "0444", "0", b64("CA\n")]]),
    "foreign file": (PutFile(FILE, foreign=True), [["put", FILE.path, "0444", "1", b64("CA\n")]]),
    "file goes": (RemovePath("/x"), [["drop", "/x"]]),
    "directory goes": (RemovePath("/x", directory=True), [["drop_directory", "/x"]]),
    "daemon.json": (
        EDIT,
        [
            ["want", "insecure a"],
            ["refuse", "mirror b/"],
            ["daemon", EDIT.path, b64("{}"), "same", b64("{}"), "reload"],
        ],
    ),
    "daemon.json, then another": (
        EditDaemon("/d", "{1}", "{2}", "{3}", "none", (), ()),
        [["daemon", "/d", b64("{1}"), b64("{2}"), b64("{3}"), "none"]],
    ),
    "daemon.json goes": (
        EditDaemon("/d", "{1}", None, "{3}", "none", (), ()),
        [["daemon", "/d", b64("{1}"), "remove", b64("{3}"), "none"]],
    ),
    "daemon.json stays": (
        EditDaemon("/d", None, None, "", "restart", ("insecure a",), (), ("-H", "fd://")),
        [
            ["want", "insecure a"],
            ["will_run_with", "-H", "fd://"],
            ["daemon_stays", "/d", "restart"],
        ],
    ),
    "pull": (PullImage(Image("registry:2")), [["pull", "registry:2"]]),
    "run": (
        RunContainer(MAIN),
        [
            [
                "container", "regfleet-main", "5000", "yes", "--restart=always",
                "--label=regfleet.fleet=acme", "--label=regfleet.registry=main",
                f"--label=regfleet.specification={MAIN.specification}",
                "--publish=5000:5000", "registry:2", "serve", "/etc/regfleet/config.yml",
            ]
        ],
    ),
    "run, plain": (
        StartContainer(container(tls=False)), [["start_container", "regfleet-main", "5000", "no"]],
    ),
    "start container": (
        StartContainer(MAIN), [["start_container", "regfleet-main", "5000", "yes"]],
    ),
    "container goes": (
        RemoveContainer("c", "acme"), [["remove_container", "c", "acme", ""]]
    ),
    "container and data go": (
        RemoveContainer("c", "acme", "/d"), [["remove_container", "c", "acme", "/d"]]
    ),
    "image goes": (RemoveImage("registry:2"), [["remove_image", "registry:2"]]),
    "login": (
        LogIn(login()),
        [["login", *DOCKER, "root", "reg.example.com:5000", "ci", b64(CANARY)]],
    ),
    "logout": (LogOut("root", "a.example"), [["logout", *DOCKER, "root", "a.example"]]),
}  # fmt: skip


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


def program(*steps, archives=(), changes=(), **settings):
    return render.render(
        Plan("web1", changes, steps, archives=archives, **settings), "run-1", "ops@control: acme"
    )


def test_the_table_has_every_kind_of_step():
    assert {type(step) for step, _ in CALLS.values()} == set(typing.get_args(model.Step))


@pytest.mark.parametrize("name", CALLS)
def test_every_kind_of_step_has_its_calls(name):
    step, expected = CALLS[name]
    found = calls(program(step))
    begin = next(at for at in range(len(found)) if found[at : at + len(expected)] == expected)
    assert begin > 0


@pytest.mark.parametrize("name", CALLS)
def test_no_kind_of_step_is_passed_over(name):
    """One that registers itself nowhere would be planned, reported and never done."""
    step, expected = CALLS[name]
    assert len([*render.before_swap(step), *render.after_swap(step)]) >= len(expected)


def test_the_functions_are_in_the_program():
    """A call of a function that touch.sh does not have would fail on the host alone."""
    names = {call[0] for _, expected in CALLS.values() for call in expected} | set(ORDER)
    assert [name for name in names if f"\n{name}() {{" not in render.program("docker")] == []


# ---- order ----

ORDER = [
    "begin", "settled_before", "expect", "install_packages", "directory", "put", "drop", "daemon",
    "stage", "drop", "record", "swap", "activate", "start_engine", "load", "pull", "container",
    "start_container", "remove_container", "remove_image", "login", "logout", "drop_directory",
    "settle",
]  # fmt: skip


def order_of(found):
    return [call[0] for call in found if call[0] in ORDER]


def test_a_whole_plan_comes_in_order():
    steps = [
        CALLS[name][0]
        for name in (
            "install", "directory", "file", "file goes", "daemon.json", "start", "pull", "run",
            "start container", "container goes", "image goes", "login", "logout", "directory goes",
        )
    ]  # fmt: skip
    whole = program(*steps, archives=(IMAGE,), expected=((FILE.path, "absent"),))
    assert order_of(calls(whole)) == ORDER


def test_an_engine_that_was_down_is_started_before_an_archive_is_loaded():
    found = order_of(calls(program(StartEngine(), RunContainer(MAIN), archives=(IMAGE,))))
    assert found.index("start_engine") < found.index("load") < found.index("container")


@pytest.mark.parametrize("may", [True, False])
@pytest.mark.parametrize("activation", ["none", "reload", "restart"])
def test_the_engine_takes_its_file_up_as_the_plan_says(activation, may):
    whole = program(replace(EDIT, activation=activation), may_restart=may)
    assert ["activate", activation, "yes" if may else "no"] in calls(whole)


def test_without_daemon_json_nothing_is_activated():
    assert "activate" not in order_of(calls(program(PutFile(FILE, foreign=False))))
    assert "settle" not in order_of(calls(program(PutFile(FILE, foreign=False))))


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("{}\n", b64("{}\n"))])
def test_the_record_comes_with_every_plan(text, expected):
    assert ["record", expected] in calls(program(StartEngine(), record=text))


def test_what_was_looked_at_is_asked_for_again_before_anything():
    whole = program(StartEngine(), expected=((record.PATH, "absent"), ("/x y", "00")))
    assert calls(whole)[:4] == [
        ["begin", "run-1", "ops@control: acme"],
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


@pytest.mark.skipif(not shutil.which("dash"), reason="dash is not installed")
@settings(max_examples=25)
@given(words=st.lists(hostile, min_size=1, max_size=4), who=hostile)
def test_whatever_a_value_is_it_stays_one_argument(words, who):
    steps = [
        step
        for word in words
        for step in (
            PullImage(Image(word)),
            LogOut(word, word),
            PutFile(File(word, word.encode(), 0o644, ""), foreign=False),
            RunContainer(container(word, arguments=(word,), command=(word,))),
        )
    ]
    whole = render.render(Plan("h", steps=tuple(steps)), who, who)
    tell = 'step() { printf "%s\\0" "$@"; }\ntouch_host() { plan; }\nplan() {'
    said = shells.run("dash", whole.replace("\nplan() {", f"\n{tell}")).stdout.decode()
    expected, late = ["begin", who, who, "settled_before"], []
    for word in words:
        one = container(word, arguments=(word,), command=(word,))
        labels = ("fleet", one.fleet), ("registry", "main"), ("specification", one.specification)
        flags = [f"--label=regfleet.{name}={value}" for name, value in labels]
        arguments = ["5000", "yes", "--restart=always", *flags, word, "registry:2", word]
        kept = " ".join(map(shlex.quote, arguments)) + "\n"
        expected += ["put", word, "0644", "0", b64(word)]
        expected += ["stage", f"{record.CONTAINERS}/{word}", "0600", b64(kept)]
        late += ["pull", word, "logout", *DOCKER, word, word, "container", word, *arguments]
    assert said.split("\0")[:-1] == [*expected, "record", "", "swap", *late]


@pytest.mark.parametrize(
    ("rendered", "expected"),
    [
        (
            render.render_recovery("run-1", "me", ["docker"]),
            [["begin", "run-1", "me"], ["recover"]],
        ),
        (
            render.render_rollback(3, "run-1", "me", ["docker"]),
            [["begin", "run-1", "me"], ["recover"], ["go_back", "3"]],
        ),
    ],
)
def test_the_ways_back(rendered, expected):
    assert calls(rendered) == expected
    assert rendered.endswith("\ntouch_host </dev/null\n")


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
    image = Image("busybox", tmp_path / "a.tar", archive.digest(tmp_path / "a.tar"))
    command = archive.receive(image, load="")
    body = "".join(archive.Chunks(tmp_path / "a.tar")) if sent is None else sent
    done = shells.run(shell, f"({command}) <<'EOF'\n{body}EOF\n")
    return done.returncode, [path for path in tmp_path.rglob("*.tar") if path.name != "a.tar"]


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


def test_an_archive_is_loaded_and_taken_away():
    command = archive.receive(IMAGE, load="docker load -q -i")
    spool = archive.spool_path(IMAGE)
    assert spool == f"/var/lib/regfleet/spool/{'ab' * 16}.tar"
    assert f"docker load -q -i {spool} && rm -f {spool}" in command
